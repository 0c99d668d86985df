#include "mqtt_client.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "codec/mqtt/mqtt.h"
#include "codec/mqtt/property.h"

struct client *client_new(void)
{
    struct client *client = calloc(1, sizeof *client);
    cr_assert(client);
    client->host = fake_host_new();
    fake_exchange(client->host, "amq.topic", false);
    client->host->options.mqtt_anonymous = true;
    client->c = calloc(1, codec_mqtt.state_bytes);
    cr_assert(client->c);
    codec_mqtt.open(client->c, client->host);
    return client;
}

static void keep(struct client *client, const struct op *op)
{
    if (!client->keep)
        return;
    client->last = realloc(client->last, (client->kept + 1) * sizeof *op);
    cr_assert(client->last);
    client->last[client->kept++] = *op;
}

void client_free(struct client *client)
{
    codec_mqtt.gone(client->c, client->host);
    for (struct op *op; (op = fake_take_op(client->host, NULL)); host_free_op(client->host, op))
        free(op->will);
    fake_host_free(client->host);
    free(client->c);
    free(client->input.at);
    free(client->last);
    free(client);
}

void client_bytes(struct client *client, struct span bytes)
{
    struct fake_bytes *in = &client->input;
    in->at = realloc(in->at, in->len + bytes.len + 1);
    cr_assert(in->at);
    put_span(in->at + in->len, bytes);
    in->len += bytes.len;
}

void client_packet(struct client *client, uint8_t head, struct span body)
{
    uint8_t bytes[5], *end = varint_put(put_u8(bytes, head), (uint32_t)body.len);
    client_bytes(client, span_of(bytes, (size_t)(end - bytes)));
    client_bytes(client, body);
}

/* In memory of just that size, so that reading beyond it is seen. */
static size_t show(struct client *client, size_t bytes)
{
    uint8_t *exact = malloc(bytes + 1);
    cr_assert(exact);
    put_span(exact, span_of(client->input.at, bytes));
    size_t used =
        client->host->closed ? bytes : codec_mqtt.input(client->c, client->host, span_of(exact, bytes));
    free(exact);
    cr_assert_leq(used, bytes);
    client->input.len -= used;
    memmove(client->input.at, client->input.at + used, client->input.len);
    client->shown = bytes - used;
    codec_mqtt.flush(client->c, client->host);
    return used;
}

static bool answer(struct client *client)
{
    unsigned router;
    struct op *op = fake_take_op(client->host, &router);
    if (!op)
        return false;
    keep(client, op);
    if (op->kind == OP_CONSUME)
        op->consumer = ++client->next_consumer;
    free(op->will);
    op->will = NULL;
    codec_mqtt.event(client->c, client->host, router, &(union event){.op = {.kind = EVENT_OP, .op = op}});
    codec_mqtt.flush(client->c, client->host);
    return true;
}

void client_run(struct client *client)
{
    for (;;) {
        size_t more = client->input.len - client->shown;
        if (client->piece && more > client->piece)
            more = client->piece;
        size_t used = show(client, client->shown + more);
        bool answered = false;
        while (answer(client))
            answered = true;
        if (!used && !answered && !more)
            return;
    }
}

static uint8_t *put_text(uint8_t *to, struct span s)
{
    return put_span(put_be16(to, (uint16_t)s.len), s);
}

void client_connect(struct client *client, uint8_t version, bool kept)
{
    uint8_t body[64], *at = put_text(body, version == MQTT_31 ? span_str("MQIsdp") : span_str("MQTT"));
    at = put_be16(put_u8(put_u8(at, version), 2), 0);
    if (version == MQTT_5 && kept)
        at = put_be32(put_u8(put_u8(at, 5), PROPERTY_SESSION_EXPIRY), 100);
    else if (version == MQTT_5)
        at = put_u8(at, 0);
    at = put_text(at, span_str("me"));
    client_packet(client, 0x10, span_of(body, (size_t)(at - body)));
    client_run(client);
    struct span connack = client_expect(client, PACKET_CONNACK);
    cr_assert_eq(connack.at[1], 0);
}

void client_subscribe(struct client *client, const char *filter, uint8_t options)
{
    uint8_t body[600], *at = put_be16(body, 77);
    at = client->c->version == MQTT_5 ? put_u8(at, 0) : at;
    at = put_u8(put_text(at, span_str(filter)), options);
    client_packet(client, 0x82, span_of(body, (size_t)(at - body)));
    client_run(client);
    client_expect(client, PACKET_SUBACK);
}

void client_publish(struct client *client, const char *topic, unsigned qos, uint16_t id,
                    struct span properties, struct span payload)
{
    uint8_t *body = malloc(strlen(topic) + properties.len + payload.len + 16), *at = body;
    cr_assert(body);
    at = put_text(at, span_str(topic));
    at = qos ? put_be16(at, id) : at;
    if (client->c->version == MQTT_5)
        at = put_span(varint_put(at, (uint32_t)properties.len), properties);
    at = put_span(at, payload);
    client_packet(client, (uint8_t)(0x30 | qos << 1), span_of(body, (size_t)(at - body)));
    free(body);
    client_run(client);
}

void client_answer(struct client *client, enum packet packet, uint16_t id)
{
    uint8_t body[2];
    put_be16(body, id);
    client_packet(client, (uint8_t)(packet << 4 | (packet == PACKET_PUBREL ? 2 : 0)), span_of(body, 2));
    client_run(client);
}

void client_confirm(struct client *client, uint64_t seq, uint32_t count, uint8_t flags)
{
    codec_mqtt.event(
        client->c, client->host, 0,
        &(union event){.confirm = {.kind = EVENT_CONFIRM, .flags = flags, .count = count, .seq = seq}});
    codec_mqtt.flush(client->c, client->host);
}

struct message *client_message(uint8_t protocol, bool persistent, struct span key, struct span properties,
                               struct span body)
{
    struct message *m = calloc(1, sizeof *m + key.len + properties.len + body.len);
    cr_assert(m);
    m->protocol = protocol;
    m->flags = persistent ? MESSAGE_PERSISTENT : 0;
    m->key_len = (uint8_t)key.len;
    m->properties_len = (uint32_t)properties.len;
    m->body_len = (uint32_t)body.len;
    put_span(put_span(put_span((uint8_t *)(m + 1), key), properties), body);
    return m;
}

void client_deliver(struct client *client, uint64_t seq, const struct message *message)
{
    cr_assert(client->c->own);
    codec_mqtt.event(client->c, client->host, 0,
                     &(union event){.deliver = {.kind = EVENT_DELIVER,
                                                .tag = client->c->own->handle,
                                                .queue = 5,
                                                .seq = seq,
                                                .page = 9,
                                                .message = message}});
    codec_mqtt.flush(client->c, client->host);
}

struct span client_expect(struct client *client, enum packet packet)
{
    const struct fake_bytes *out = &client->host->output;
    struct span in = span_of(out->at + client->read, out->len - client->read);
    uint32_t remaining;
    cr_assert(in.len > 1, "nothing came, expected type %d; log: %.*s", packet, (int)client->host->log.len,
              (const char *)client->host->log.at);
    int n = varint_read(span_of(in.at + 1, in.len - 1), &remaining);
    cr_assert_gt(n, 0);
    cr_assert_geq(in.len, 1 + (size_t)n + remaining);
    cr_assert_eq(in.at[0] >> 4, packet, "type %d came, expected %d", in.at[0] >> 4, packet);
    client->read += 1 + (size_t)n + remaining;
    return span_of(in.at + 1 + n, remaining);
}

void client_expect_answer(struct client *client, enum packet packet, uint16_t id, enum reason reason)
{
    struct span body = client_expect(client, packet);
    cr_assert_eq(get_be16(body.at), id, "identifier %d, expected %d", get_be16(body.at), id);
    cr_assert_eq(body.len > 2 ? body.at[2] : 0, reason);
}

void client_expect_end(struct client *client, enum reason reason)
{
    struct span body = client_expect(client, PACKET_DISCONNECT);
    cr_assert_eq(body.at[0], reason, "reason 0x%02x, expected 0x%02x", body.at[0], reason);
    cr_assert(client->host->closed);
}

bool client_silent(const struct client *client)
{
    return client->read == client->host->output.len;
}
