/*
 * The negotiation (section 2.2.4 of the specification's introduction):
 *
 *   client: "AMQP" 0 0 9 1     server: connection.start
 *   client: start-ok           server: tune (or close, when the login is refused)
 *   client: tune-ok, open      server: open-ok
 */
#include <stdio.h>

#include "base/check.h"
#include "codec/amqp/connection.h"
#include "codec/amqp/handlers.h"
#include "router/table.h"

static const uint8_t header[8] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};

/* ---- connection.start ------------------------------------------------------------------------------ */

/* What this broker really does. */
static const char *const capabilities[] = {
    "publisher_confirms", "exchange_exchange_bindings",   "basic.nack",       "consumer_cancel_notify",
    "connection.blocked", "authentication_failure_close", "per_consumer_qos", "direct_reply_to",
};

static const char *const properties[][2] = {
    {"product", "Gannet"},
    {"version", GANNET_VERSION},
    {"platform", "Linux"},
    {"information", "a durable AMQP 0-9-1 broker"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static uint8_t *put_text(uint8_t *p, const char *name, const char *text)
{
    p = put_str(p, span_str(name));
    *p++ = 'S';
    p = put_be32(p, (uint32_t)strlen(text));
    return put_span(p, span_str(text));
}

/* The table's length stands before it, and is only known after. */
static uint8_t *put_capabilities(uint8_t *p)
{
    p = put_str(p, span_str("capabilities"));
    *p++ = 'F';
    uint8_t *length = p;
    p += 4;
    for (size_t i = 0; i < COUNT(capabilities); i++) {
        p = put_str(p, span_str(capabilities[i]));
        *p++ = 't';
        *p++ = 1;
    }
    put_be32(length, (uint32_t)(p - length - 4));
    return p;
}

/* Who the peer is needs no password: a certificate says it, or he may be whom he wants. */
static bool may_be_external(struct amqp *c)
{
    return host_is_trusted(c->host) || host_certified(c->host).len;
}

static void send_start(struct amqp *c)
{
    uint8_t table[1024], *p = table;
    for (size_t i = 0; i < COUNT(properties); i++)
        p = put_text(p, properties[i][0], properties[i][1]);
    p = put_capabilities(p);
    CHECK((size_t)(p - table) <= sizeof table);
    char mechanisms[64];
    snprintf(mechanisms, sizeof mechanisms, "PLAIN AMQPLAIN%s%s", may_be_external(c) ? " EXTERNAL" : "",
             c->options->amqp_anonymous ? " ANONYMOUS" : "");
    SEND(c, 0, CONNECTION_START, .version_major = num(0), .version_minor = num(9),
         .server_properties = str(span_of(table, (size_t)(p - table))),
         .mechanisms = str(span_str(mechanisms)), .locales = str(span_str("en_US")));
}

size_t protocol_header(struct amqp *c, struct span bytes)
{
    size_t n = bytes.len < sizeof header ? bytes.len : sizeof header;
    if (memcmp(bytes.at, header, n) != 0) {
        host_write(c->host, span_of(header, sizeof header));
        amqp_drop(c, "it doesn't begin with AMQP 0-9-1's protocol header");
        return bytes.len;
    }
    if (n < sizeof header)
        return 0;
    send_start(c);
    c->phase = PHASE_START;
    return sizeof header;
}

/* ---- connection.start-ok ------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    uint8_t bit;
} capable[] = {
    {"consumer_cancel_notify", CAPABLE_CANCEL_NOTIFY},
    {"connection.blocked", CAPABLE_BLOCKED},
    {"authentication_failure_close", CAPABLE_AUTH_FAILURE_CLOSE},
};

static uint8_t read_capabilities(struct span client)
{
    struct field field;
    uint8_t bits = 0;
    if (!table_find(client, "capabilities", &field) || field.type != 'F')
        return 0;
    struct span table = field.value;
    for (size_t i = 0; i < COUNT(capable); i++) {
        bool on;
        if (table_find(table, capable[i].name, &field) && field_bool(&field, &on) && on)
            bits |= capable[i].bit;
    }
    return bits;
}

/* RFC 4616: authorization identity, NUL, user, NUL, password. */
static bool plain(struct span response, struct span *user, struct span *password)
{
    const uint8_t *end = response.at + response.len;
    const uint8_t *first = response.len ? memchr(response.at, 0, response.len) : NULL;
    if (!first)
        return false;
    const uint8_t *second = memchr(first + 1, 0, (size_t)(end - first - 1));
    if (!second)
        return false;
    *user = span_of(first + 1, (size_t)(second - first - 1));
    *password = span_of(second + 1, (size_t)(end - second - 1));
    return true;
}

/* A table without its length: LOGIN, PASSWORD. */
static bool amqplain(struct span response, struct span *user, struct span *password)
{
    struct field login, secret;
    if (!table_check(response) || !table_find(response, "LOGIN", &login) || login.type != 'S' ||
        !table_find(response, "PASSWORD", &secret) || secret.type != 'S')
        return false;
    *user = login.value;
    *password = secret.value;
    return true;
}

static enum host_login by_password(struct amqp *c, const struct args_CONNECTION_START_OK *m,
                                   struct span *user)
{
    struct span password;
    bool read = span_is(m->mechanism.s, "PLAIN") ? plain(m->response.s, user, &password)
                                                 : amqplain(m->response.s, user, &password);
    return read && user->len <= NAME_MAX_BYTES ? host_login(c->host, *user, password) : HOST_LOGIN_REFUSED;
}

static bool is_anonymous(const struct amqp *c, struct span mechanism)
{
    return c->options->amqp_anonymous && span_is(mechanism, "ANONYMOUS");
}

static bool is_external(struct amqp *c, struct span mechanism)
{
    return span_is(mechanism, "EXTERNAL") && may_be_external(c);
}

/* The response names whom he wants to be (RFC 4422, appendix A), which only a trusted peer chooses. */
static enum host_login by_peer(struct amqp *c, struct span wanted, struct span *user)
{
    bool trusted = host_is_trusted(c->host);
    *user = trusted ? wanted : host_certified(c->host);
    if (user->len > NAME_MAX_BYTES)
        return HOST_LOGIN_REFUSED;
    return (trusted ? host_login_trusted(c->host, *user) : host_login_certified(c->host))
               ? HOST_LOGIN_GRANTED
               : HOST_LOGIN_REFUSED;
}

/* What comes with ANONYMOUS is for the log at best (RFC 4505), and nothing can be made of it. */
static enum host_login login(struct amqp *c, const struct args_CONNECTION_START_OK *m)
{
    struct span user;
    enum host_login login = HOST_LOGIN_REFUSED;
    if (is_external(c, m->mechanism.s))
        login = by_peer(c, m->response.s, &user);
    else if (!is_anonymous(c, m->mechanism.s))
        login = by_password(c, m, &user);
    else if (host_login_guest(c->host, &user))
        login = HOST_LOGIN_GRANTED;
    if (login == HOST_LOGIN_GRANTED)
        name_set(&c->user, user);
    return login;
}

static void refuse_login(struct amqp *c, struct span mechanism)
{
    if (c->capabilities & CAPABLE_AUTH_FAILURE_CLOSE)
        c->phase = PHASE_TUNE; /* from where on a failure is said */
    amqp_fail_method(
        c, NULL, METHOD_NONE, ERR_ACCESS_REFUSED,
        "Login was refused using authentication mechanism %.*s. For details see the broker logfile.",
        TEXT_OF(mechanism));
}

/* Of client-properties: whoever sends more is shown with none. */
enum { PROPERTIES_KEPT_MAX = 2048 };

/* What the client calls itself: kept for connection.open, from when on status shows it. */
static void keep_client(struct amqp *c, struct span client)
{
    struct field name;
    if ((table_find(client, "connection_name", &name) && name.type == 'S') ||
        (table_find(client, "product", &name) && name.type == 'S'))
        c->client = name_keep(
            span_of(name.value.at, name.value.len < NAME_MAX_BYTES ? name.value.len : NAME_MAX_BYTES));
    if (client.len <= PROPERTIES_KEPT_MAX)
        c->properties = name_keep(client);
}

static void describe(struct amqp *c)
{
    host_describe(c->host, "AMQP 0-9-1", name_span(&c->user), name_span(&c->vhost_name), c->client);
    name_drop(&c->client);
}

bool on_connection_start_ok(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_CONNECTION_START_OK *m = (const void *)args;
    const struct host_options *options = c->options;
    c->capabilities = read_capabilities(m->client_properties.s);
    if (!span_is(m->mechanism.s, "PLAIN") && !span_is(m->mechanism.s, "AMQPLAIN") &&
        !is_external(c, m->mechanism.s) && !is_anonymous(c, m->mechanism.s)) {
        amqp_fail(c, ch, ERR_COMMAND_INVALID, "unknown authentication mechanism '%.*s'",
                  TEXT_OF(m->mechanism.s));
        return true;
    }
    enum host_login answer = login(c, m);
    if (answer == HOST_LOGIN_WAITS)
        return false;
    if (answer == HOST_LOGIN_REFUSED) {
        refuse_login(c, m->mechanism.s);
    } else {
        keep_client(c, m->client_properties.s);
        SEND(c, 0, CONNECTION_TUNE, .channel_max = num(options->channel_max),
             .frame_max = num(options->frame_max), .heartbeat = num(options->heartbeat_s));
        c->phase = PHASE_TUNE;
    }
    return true;
}

/* ---- connection.tune-ok ---------------------------------------------------------------------------------
 */

/* What the client asks for: 0 means "as you like". False: told it that it is too much or too little. */
static bool agree(struct amqp *c, const char *what, uint64_t asked, uint32_t low, uint32_t high,
                  uint32_t *agreed)
{
    *agreed = asked ? (uint32_t)asked : high;
    if (*agreed > high)
        amqp_fail(c, NULL, ERR_NOT_ALLOWED,
                  "negotiated %s = %u is higher than the maximum allowed value (%u)", what, *agreed, high);
    else if (*agreed < low)
        amqp_fail(c, NULL, ERR_NOT_ALLOWED, "negotiated %s = %u is lower than the minimum allowed value (%u)",
                  what, *agreed, low);
    else
        return true;
    return false;
}

bool on_connection_tune_ok(struct amqp *c, struct channel *ch, const union value *args)
{
    (void)ch;
    const struct args_CONNECTION_TUNE_OK *m = (const void *)args;
    const struct host_options *options = c->options;
    uint32_t frame_max, channel_max;
    if (!agree(c, "frame_max", m->frame_max.n, FRAME_MAX_MIN, options->frame_max, &frame_max) ||
        !agree(c, "channel_max", m->channel_max.n, 1, options->channel_max, &channel_max))
        return true;
    c->frame_max = frame_max;
    c->channel_max = (uint16_t)channel_max;
    c->heartbeat_s = (uint16_t)m->heartbeat.n;
    c->phase = PHASE_OPEN;
    return true;
}

/* ---- connection.open ------------------------------------------------------------------------------------
 */

static void refuse_entry(struct amqp *c, struct channel *ch, enum host_entry entry, struct span vhost)
{
    char text[HOST_REFUSAL_BYTES];
    struct span user = name_span(&c->user);
    if (entry == ENTRY_NO_VHOST)
        snprintf(text, sizeof text, "vhost %.*s not found", TEXT_OF(vhost));
    else if (entry == ENTRY_REFUSED)
        snprintf(text, sizeof text, "access to vhost '%.*s' refused for user '%.*s'", TEXT_OF(vhost),
                 TEXT_OF(user));
    else
        host_full(c->host, entry, user, vhost, text);
    amqp_fail(c, ch, ERR_NOT_ALLOWED, "%s", text);
}

bool on_connection_open(struct amqp *c, struct channel *ch, const union value *args)
{
    const struct args_CONNECTION_OPEN *m = (const void *)args;
    struct span user = name_span(&c->user), vhost = m->virtual_host.s;
    enum host_entry entry = host_enter(c->host, user, vhost, &c->vhost);
    if (entry != ENTRY_GRANTED) {
        refuse_entry(c, ch, entry, vhost);
        return true;
    }
    name_set(&c->vhost_name, m->virtual_host.s);
    describe(c);
    SEND(c, 0, CONNECTION_OPEN_OK);
    c->phase = PHASE_RUNNING;
    heartbeat_start(c);
    return true;
}
