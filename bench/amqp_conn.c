#include "amqp.h"
#include "clock.h"

#include <stdio.h>

#define ANSWER_TIMEOUT_MS 30000 /* until a close is answered */

/* ---- methods awaited while nothing else goes on ---- */
static int next_frame(struct conn *c, struct frame *f)
{
    char name[32];
    buffer_drop(&c->in, c->in_used);
    c->in_used = 0;
    for (;;) {
        int64_t n = frame_read(f, c->in.data, c->in.len, CONN_FRAME_MAX);
        if (n > 0) {
            c->in_used = (size_t)n;
            return 0;
        }
        if (n < 0)
            return conn_fail(c, "the peer of %s does not speak AMQP 0-9-1; is the port right?",
                             conn_name(c, name));
        if (conn_more(c))
            return -1;
    }
}

int amqp_await(struct conn *c, enum wire_method method, struct reader *arguments)
{
    struct frame f;
    if (conn_flush_wholly(c))
        return -1;
    do {
        if (next_frame(c, &f))
            return -1;
        if (f.type == FRAME_METHOD && get_u32(f.payload) != (uint32_t)method && amqp_on_method(c, &f))
            return -1;
    } while (f.type != FRAME_METHOD || f.size < 4 || get_u32(f.payload) != (uint32_t)method);
    if (arguments)
        *arguments = (struct reader){f.payload + 4, f.payload + f.size, false};
    return 0;
}

/* What to do about the reply codes (spec 1.2) that a wrong command line leads to. */
static const char *advice_on_code(uint16_t code)
{
    switch (code) {
    case 403:
        return "; check user, password and permissions";
    case 404:
        return "; declare it first, or leave --predeclared away";
    case 406:
        return "; delete it, ask for the same, or use --predeclared";
    case 530:
        return "; check the vhost and the user's right to it";
    default:
        return "";
    }
}

static int closed_by_broker(struct conn *c, const char *what, struct reader r)
{
    char name[32], text[256];
    uint16_t code = read_u16(&r);
    read_shortstr(&r, text);
    uint16_t class_id = read_u16(&r), method_id = read_u16(&r);
    return conn_fail(c, "the broker closed the %s of %s: %u %s (class %u method %u)%s", what,
                     conn_name(c, name), code, text, class_id, method_id, advice_on_code(code));
}

static int cancelled(struct conn *c)
{
    char name[32];
    return conn_fail(c, "the broker cancelled %s; its queue was probably deleted", conn_name(c, name));
}

int amqp_on_method(struct conn *c, const struct frame *f)
{
    struct reader r = {f->payload, f->payload + f->size, false};
    switch (read_u32(&r)) {
    case CONNECTION_CLOSE:
        return closed_by_broker(c, "connection", r);
    case CHANNEL_CLOSE:
        return closed_by_broker(c, "channel", r);
    case BASIC_CANCEL:
        return cancelled(c);
    default:
        return 0;
    }
}

/* ---- opening ---- */
static void write_start_ok(struct conn *c, const struct uri *u)
{
    static const struct field properties[] = {{"product", "gannet-bench", 'S'}, {"capabilities", "", 'F'}};
    uint8_t login[sizeof u->user + sizeof u->password];
    size_t user_len = strlen(u->user), password_len = strlen(u->password);
    login[0] = login[user_len + 1] = 0;
    memcpy(login + 1, u->user, user_len);
    memcpy(login + user_len + 2, u->password, password_len);
    size_t at = method_open(&c->out, 0, CONNECTION_START_OK);
    write_table(&c->out, properties, 2);
    write_shortstr(&c->out, "PLAIN");
    write_longstr(&c->out, login, user_len + password_len + 2);
    write_shortstr(&c->out, "en_US");
    method_close(&c->out, at);
}

/* Frames as large as the broker and we both take (0 is "no limit", 4.2.3), no heartbeats: a load generator
 * notices. */
static void answer_tune(struct conn *c, struct reader r)
{
    uint16_t channel_max = read_u16(&r);
    uint32_t frame_max = read_u32(&r);
    c->frame_max = frame_max && frame_max < CONN_FRAME_MAX ? frame_max : CONN_FRAME_MAX;
    size_t at = method_open(&c->out, 0, CONNECTION_TUNE_OK);
    write_u16(&c->out, channel_max);
    write_u32(&c->out, c->frame_max);
    write_u16(&c->out, 0);
    method_close(&c->out, at);
}

static void write_connection_open(struct conn *c, const struct uri *u)
{
    size_t at = method_open(&c->out, 0, CONNECTION_OPEN);
    write_shortstr(&c->out, u->vhost);
    write_shortstr(&c->out, "");
    write_u8(&c->out, 0);
    method_close(&c->out, at);
}

static int open_channel(struct conn *c)
{
    size_t at = method_open(&c->out, 1, CHANNEL_OPEN);
    write_shortstr(&c->out, "");
    method_close(&c->out, at);
    return amqp_await(c, CHANNEL_OPEN_OK, NULL);
}

int amqp_login(struct conn *c, const struct uri *u)
{
    struct reader r;
    *amqp_of(c) = (struct amqp){0};
    buffer_put(&c->out, "AMQP\0\0\x09\x01", 8); /* protocol header, 4.2.2 */
    if (amqp_await(c, CONNECTION_START, NULL))
        return -1;
    write_start_ok(c, u);
    if (amqp_await(c, CONNECTION_TUNE, &r))
        return -1;
    answer_tune(c, r);
    write_connection_open(c, u);
    if (amqp_await(c, CONNECTION_OPEN_OK, NULL))
        return -1;
    return open_channel(c);
}

/* ---- closing ---- */
static int ask_to_close(struct conn *c, uint16_t channel, enum wire_method method, enum wire_method answer)
{
    struct frame f;
    uint64_t deadline = now_ns() + ANSWER_TIMEOUT_MS * NS_PER_MS;
    size_t at = method_open(&c->out, channel, method);
    write_u16(&c->out, 200);
    write_shortstr(&c->out, "done");
    write_u16(&c->out, 0);
    write_u16(&c->out, 0);
    method_close(&c->out, at);
    if (conn_flush_wholly(c))
        return -1;
    /* Not amqp_await: deliveries that are under way may have been understood half. */
    while (now_ns() < deadline && next_frame(c, &f) == 0)
        if (f.type == FRAME_METHOD && f.size >= 4 && get_u32(f.payload) == (uint32_t)answer)
            return 0;
    return -1;
}

/* First the channel: its answer comes after all that was sent on it, whereas a broker may drop what a channel
 * has not yet worked off when its connection closes. */
int amqp_leave(struct conn *c)
{
    if (ask_to_close(c, 1, CHANNEL_CLOSE, CHANNEL_CLOSE_OK))
        return -1;
    return ask_to_close(c, 0, CONNECTION_CLOSE, CONNECTION_CLOSE_OK);
}
