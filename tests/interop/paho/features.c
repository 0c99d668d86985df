/* features URI CASE NAME: a small application over paho's library for C, with MQTT 5.0 and 3.1.1. NAME: of
 * topics and clients, which nobody else uses. Says what is wrong, and ends with 1. */
#include <MQTTClient.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 200, LONG_MS = 30000 };

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    exit(1);
}

/* ---- a client ------------------------------------------------------------------------------------- */

struct client {
    MQTTClient handle;
    int version, present;
};

static MQTTProperty number(enum MQTTPropertyCodes code, unsigned value)
{
    MQTTProperty p = {.identifier = code};
    switch (MQTTProperty_getType(code)) {
    case MQTTPROPERTY_TYPE_BYTE:
        p.value.byte = (unsigned char)value;
        break;
    case MQTTPROPERTY_TYPE_TWO_BYTE_INTEGER:
        p.value.integer2 = (unsigned short)value;
        break;
    default:
        p.value.integer4 = value;
    }
    return p;
}

static MQTTProperty text(enum MQTTPropertyCodes code, const char *value)
{
    MQTTProperty p = {.identifier = code};
    p.value.data = (MQTTLenString){(int)strlen(value), (char *)(size_t)value};
    return p;
}

static MQTTProperty pair(const char *name, const char *value)
{
    MQTTProperty p = text(MQTTPROPERTY_CODE_USER_PROPERTY, name);
    p.value.value = (MQTTLenString){(int)strlen(value), (char *)(size_t)value};
    return p;
}

/* Properties, a list that ends with identifier 0. */
static MQTTProperties list(const MQTTProperty *one)
{
    MQTTProperties all = MQTTProperties_initializer;
    for (; one && one->identifier; one++)
        if (MQTTProperties_add(&all, one))
            fail("a property can't be added");
    return all;
}

static int client_connect(struct client *c, const char *uri, const char *id, int version, int clean,
                          const MQTTProperty *more)
{
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    MQTTClient_connectOptions three = MQTTClient_connectOptions_initializer;
    MQTTClient_connectOptions five = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions *options = version == MQTTVERSION_5 ? &five : &three;
    MQTTProperties properties = list(more);
    create.MQTTVersion = version;
    if (MQTTClient_createWithOptions(&c->handle, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create))
        fail("no client");
    options->MQTTVersion = version;
    if (version == MQTTVERSION_5)
        options->cleanstart = clean;
    else
        options->cleansession = clean;
    c->version = version;
    if (version != MQTTVERSION_5) {
        int code = MQTTClient_connect(c->handle, options);
        c->present = options->returned.sessionPresent;
        return code;
    }
    MQTTResponse response = MQTTClient_connect5(c->handle, options, &properties, NULL);
    c->present = options->returned.sessionPresent;
    int code = (int)response.reasonCode;
    MQTTResponse_free(response);
    MQTTProperties_free(&properties);
    return code;
}

static void must(struct client *c, const char *uri, const char *id, int version, int clean,
                 const MQTTProperty *more)
{
    int code = client_connect(c, uri, id, version, clean, more);
    if (code)
        fail("%s isn't connected: %d", id, code);
}

static void client_end(struct client *c)
{
    if (c->version == MQTTVERSION_5)
        MQTTClient_disconnect5(c->handle, LONG_MS, MQTTREASONCODE_SUCCESS, NULL);
    else
        MQTTClient_disconnect(c->handle, LONG_MS);
    MQTTClient_destroy(&c->handle);
}

static void client_subscribe(struct client *c, const char *topic, int qos)
{
    int code;
    if (c->version == MQTTVERSION_5) {
        MQTTResponse response = MQTTClient_subscribe5(c->handle, topic, qos, NULL, NULL);
        code = (int)response.reasonCode;
        MQTTResponse_free(response);
    } else {
        code = MQTTClient_subscribe(c->handle, topic, qos);
    }
    if (code != (c->version == MQTTVERSION_5 ? qos : 0))
        fail("subscribed to %s with %d: %d", topic, qos, code);
}

static void client_publish(struct client *c, const char *topic, const char *payload, int qos, int retained,
                           const MQTTProperty *more)
{
    MQTTClient_message m = MQTTClient_message_initializer;
    MQTTClient_deliveryToken token;
    m.payload = (char *)(size_t)payload;
    m.payloadlen = (int)strlen(payload);
    m.qos = qos;
    m.retained = retained;
    m.properties = list(more);
    int code;
    if (c->version == MQTTVERSION_5) {
        MQTTResponse response = MQTTClient_publishMessage5(c->handle, topic, &m, &token);
        code = (int)response.reasonCode;
        MQTTResponse_free(response);
    } else {
        code = MQTTClient_publishMessage(c->handle, topic, &m, &token);
    }
    if (code || MQTTClient_waitForCompletion(c->handle, token, LONG_MS))
        fail("'%s' isn't published: %d", payload, code);
    MQTTProperties_free(&m.properties);
}

/* The next message, whose payload and QoS are to be these. The caller frees it. */
static MQTTClient_message *client_take(struct client *c, const char *topic, const char *payload, int qos)
{
    char *from;
    int len;
    MQTTClient_message *m;
    if (MQTTClient_receive(c->handle, &from, &len, &m, LONG_MS) || !m)
        fail("'%s' doesn't come", payload);
    if (strcmp(from, topic) != 0 || m->payloadlen != (int)strlen(payload) ||
        memcmp(m->payload, payload, strlen(payload)) != 0 || m->qos != qos)
        fail("%s '%.*s' with QoS %d came, not %s '%s' with %d", from, m->payloadlen, (char *)m->payload,
             m->qos, topic, payload, qos);
    MQTTClient_free(from);
    return m;
}

static void client_expect(struct client *c, const char *topic, const char *payload, int qos)
{
    MQTTClient_message *m = client_take(c, topic, payload, qos);
    MQTTClient_freeMessage(&m);
}

static void expect_number(const MQTTClient_message *m, enum MQTTPropertyCodes code, long value)
{
    long got = MQTTProperties_getNumericValue((MQTTProperties *)(size_t)&m->properties, code);
    if (got != value)
        fail("%s is %ld, not %ld", MQTTPropertyName(code), got, value);
}

static void expect_text(const MQTTClient_message *m, enum MQTTPropertyCodes code, int i, const char *value,
                        const char *second)
{
    const MQTTProperty *p = MQTTProperties_getPropertyAt((MQTTProperties *)(size_t)&m->properties, code, i);
    if (!p || p->value.data.len != (int)strlen(value) ||
        memcmp(p->value.data.data, value, strlen(value)) != 0)
        fail("%s isn't '%s'", MQTTPropertyName(code), value);
    if (second && (p->value.value.len != (int)strlen(second) ||
                   memcmp(p->value.value.data, second, strlen(second)) != 0))
        fail("the value of '%s' isn't '%s'", value, second);
}

/* ---- the cases ------------------------------------------------------------------------------------- */

static void each_qos(const char *uri, const char *name)
{
    static const int versions[] = {MQTTVERSION_3_1, MQTTVERSION_3_1_1, MQTTVERSION_5};
    for (unsigned v = 0; v < 3; v++)
        for (int qos = 0; qos < 3; qos++) {
            struct client c;
            char topic[TEXT_BYTES];
            snprintf(topic, sizeof topic, "%s/%u/%d", name, v, qos);
            must(&c, uri, name, versions[v], 1, NULL);
            client_subscribe(&c, topic, qos);
            client_publish(&c, topic, "hello", qos, 0, NULL);
            client_expect(&c, topic, "hello", qos);
            client_end(&c);
        }
}

static void properties(const char *uri, const char *name)
{
    struct client c;
    must(&c, uri, name, MQTTVERSION_5, 1, NULL);
    client_subscribe(&c, name, 2);
    client_publish(&c, name, "text", 2, 0,
                   (MQTTProperty[]){number(MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, 1),
                                    text(MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain"),
                                    text(MQTTPROPERTY_CODE_RESPONSE_TOPIC, "a/b"),
                                    text(MQTTPROPERTY_CODE_CORRELATION_DATA, "id"),
                                    pair("b", "1"),
                                    pair("a", "2"),
                                    {0}});
    MQTTClient_message *m = client_take(&c, name, "text", 2);
    expect_number(m, MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, 1);
    expect_text(m, MQTTPROPERTY_CODE_CONTENT_TYPE, 0, "text/plain", NULL);
    expect_text(m, MQTTPROPERTY_CODE_RESPONSE_TOPIC, 0, "a/b", NULL);
    expect_text(m, MQTTPROPERTY_CODE_CORRELATION_DATA, 0, "id", NULL);
    expect_text(m, MQTTPROPERTY_CODE_USER_PROPERTY, 0, "b", "1");
    expect_text(m, MQTTPROPERTY_CODE_USER_PROPERTY, 1, "a", "2");
    MQTTClient_freeMessage(&m);
    client_end(&c);
}

static void a_retained_message(const char *uri, const char *name)
{
    struct client c;
    must(&c, uri, name, MQTTVERSION_5, 1, NULL);
    client_publish(&c, name, "old", 1, 1, NULL);
    client_publish(&c, name, "new", 1, 1, NULL);
    client_subscribe(&c, name, 1);
    MQTTClient_message *m = client_take(&c, name, "new", 1);
    if (!m->retained)
        fail("it isn't said to be retained");
    MQTTClient_freeMessage(&m);
    client_publish(&c, name, "", 1, 1, NULL);
    client_end(&c);
}

static void a_session(const char *uri, const char *name)
{
    static const int versions[] = {MQTTVERSION_3_1_1, MQTTVERSION_5};
    for (unsigned v = 0; v < 2; v++) {
        struct client away, out;
        char id[TEXT_BYTES], other[TEXT_BYTES];
        MQTTProperty kept[] = {number(MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, 100), {0}};
        snprintf(id, sizeof id, "%s-%u", name, v);
        snprintf(other, sizeof other, "%s-out", name);
        const MQTTProperty *more = versions[v] == MQTTVERSION_5 ? kept : NULL;
        must(&away, uri, id, versions[v], 0, more);
        client_subscribe(&away, id, 2);
        client_end(&away);
        must(&out, uri, other, versions[v], 1, NULL);
        client_publish(&out, id, "1", 1, 0, NULL);
        client_publish(&out, id, "2", 2, 0, NULL);
        client_end(&out);
        must(&away, uri, id, versions[v], 0, more);
        if (versions[v] != MQTTVERSION_5 && !away.present) /* paho says it of MQTT 3.1.1 only */
            fail("the session isn't there: version %d", versions[v]);
        client_expect(&away, id, "1", 1);
        client_expect(&away, id, "2", 2);
        client_end(&away);
    }
}

static void a_refusal(const char *uri, const char *name)
{
    struct client c;
    char id[300];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    (void)name;
    int code = client_connect(&c, uri, id, MQTTVERSION_5, 1, NULL);
    if (code != MQTTREASONCODE_CLIENT_IDENTIFIER_NOT_VALID)
        fail("an identifier of 299 bytes: %d", code);
    MQTTClient_destroy(&c.handle);
    code = client_connect(&c, uri, id, MQTTVERSION_3_1_1, 1, NULL);
    if (code != 2)
        fail("an identifier of 299 bytes with MQTT 3.1.1: %d", code);
    MQTTClient_destroy(&c.handle);
}

static const struct {
    const char *name;
    void (*run)(const char *uri, const char *name);
} cases[] = {
    {"each_qos", each_qos},   {"properties", properties}, {"a_retained_message", a_retained_message},
    {"a_session", a_session}, {"a_refusal", a_refusal},
};

int main(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: features URI CASE NAME");
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, argv[2]) == 0) {
            cases[i].run(argv[1], argv[3]);
            return 0;
        }
    fail("no case %s", argv[2]);
}
