#include "conn.h"
#include "clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_TIMEOUT_MS 30000 /* of silence, while an answer is awaited */

const char *conn_name(const struct conn *c, char text[32])
{
    static const char *const roles[] = {"control", "producer", "consumer"};
    if (c->role == CONN_CONTROL)
        return "the set-up";
    snprintf(text, 32, "%s %u", roles[c->role], c->number);
    return text;
}

void conn_drop(struct conn *c)
{
    c->is_open = false;
    c->carrier->ops->drop(c);
    c->in.len = c->in_used = c->out.len = c->out_sent = c->batch_len = c->batch_sent = 0;
}

void conn_free(struct conn *c)
{
    conn_drop(c);
    buffer_free(&c->in);
    buffer_free(&c->out);
}

int conn_fail(struct conn *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->why, sizeof c->why, format, args);
    va_end(args);
    conn_drop(c);
    return -1;
}

/* ---- output ---- */
int conn_flush(struct conn *c)
{
    int64_t n;
    if (c->batch_sent < c->batch_len) {
        n = c->carrier->ops->send(c, c->batch + c->batch_sent, c->batch_len - c->batch_sent, true);
        if (n < 0)
            return -1;
        c->batch_sent += (size_t)n;
        if (c->batch_sent < c->batch_len)
            return 0;
    }
    if (!c->out.len)
        return 0;
    n = c->carrier->ops->send(c, c->out.data + c->out_sent, c->out.len - c->out_sent, false);
    if (n < 0)
        return -1;
    c->out_sent += (size_t)n;
    if (c->out_sent == c->out.len)
        c->out.len = c->out_sent = 0;
    return 0;
}

int conn_broke(struct conn *c, int error)
{
    char name[32];
    return conn_fail(c, "the connection of %s broke while sending (%s); see the broker's log",
                     conn_name(c, name), strerror(error));
}

int conn_ended(struct conn *c, int error)
{
    char name[32];
    return conn_fail(c, "the broker closed the connection of %s (%s) without a reason; see the broker's log",
                     conn_name(c, name), error ? strerror(error) : "end of stream");
}

void conn_adopt(struct conn *c)
{
    buffer_drop(&c->in, c->in_used);
    c->in_used = 0;
    c->carrier->ops->adopt(c);
}

/* ---- methods awaited while nothing else goes on ---- */
static int flush_wholly(struct conn *c)
{
    char name[32];
    while (c->is_open && conn_has_output(c)) {
        if (conn_flush(c))
            return -1;
        if (conn_has_output(c) && !c->carrier->ops->wait(c, true, ANSWER_TIMEOUT_MS))
            return conn_fail(c, "the broker reads nothing from %s for %d s; is it alive?", conn_name(c, name),
                             ANSWER_TIMEOUT_MS / 1000);
    }
    return 0;
}

static int receive_more(struct conn *c, int timeout_ms)
{
    char name[32];
    if (!c->carrier->ops->wait(c, false, timeout_ms))
        return conn_fail(c, "the broker gave %s no answer for %d s; is it alive?", conn_name(c, name),
                         timeout_ms / 1000);
    if (c->carrier->ops->receive(c))
        return conn_fail(
            c,
            "the peer closed the connection of %s while an answer was awaited; is that an AMQP port? See "
            "the broker's log",
            conn_name(c, name));
    return 0;
}

static int next_frame(struct conn *c, struct frame *f, int timeout_ms)
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
        if (receive_more(c, timeout_ms))
            return -1;
    }
}

int conn_await(struct conn *c, enum wire_method method, struct reader *arguments)
{
    struct frame f;
    if (flush_wholly(c))
        return -1;
    do {
        if (next_frame(c, &f, ANSWER_TIMEOUT_MS))
            return -1;
        if (f.type == FRAME_METHOD && get_u32(f.payload) != (uint32_t)method && conn_on_method(c, &f))
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

int conn_on_method(struct conn *c, const struct frame *f)
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
static const char *advice(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "nothing listens there: start the broker or correct --uri";
    case EMFILE:
        return "raise the limit of open files (ulimit -n) or use fewer connections";
    case ETIMEDOUT:
        return "nobody answers there: check the address and the firewall";
    default:
        return "check --uri";
    }
}

int conn_refused(struct conn *c, const struct uri *u, int error)
{
    return conn_fail(c, "cannot connect to %s:%s: %s; %s", u->host, u->port, strerror(error), advice(error));
}

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
    return conn_await(c, CHANNEL_OPEN_OK, NULL);
}

int conn_open(struct conn *c, const struct uri *u)
{
    struct reader r;
    conn_drop(c);
    if (c->carrier->ops->connect(c->carrier, c, u))
        return -1;
    c->is_open = true;
    buffer_put(&c->out, "AMQP\0\0\x09\x01", 8); /* protocol header, 4.2.2 */
    if (conn_await(c, CONNECTION_START, NULL))
        return -1;
    write_start_ok(c, u);
    if (conn_await(c, CONNECTION_TUNE, &r))
        return -1;
    answer_tune(c, r);
    write_connection_open(c, u);
    if (conn_await(c, CONNECTION_OPEN_OK, NULL))
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
    if (flush_wholly(c))
        return -1;
    /* Not conn_await: deliveries that are under way may have been understood half. */
    while (now_ns() < deadline && next_frame(c, &f, ANSWER_TIMEOUT_MS) == 0)
        if (f.type == FRAME_METHOD && f.size >= 4 && get_u32(f.payload) == (uint32_t)answer)
            return 0;
    return -1;
}

/* First the channel: its answer comes after all that was sent on it, whereas a broker may drop what a channel
 * has not yet worked off when its connection closes. */
void conn_close(struct conn *c)
{
    if (!c->is_open)
        return;
    if (c->carrier->ops->disown)
        c->carrier->ops->disown(c);
    if (ask_to_close(c, 1, CHANNEL_CLOSE, CHANNEL_CLOSE_OK) == 0 &&
        ask_to_close(c, 0, CONNECTION_CLOSE, CONNECTION_CLOSE_OK) == 0)
        c->carrier->ops->close(c);
    conn_drop(c);
}
