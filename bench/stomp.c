/* STOMP 1.2 for the load generator. */
#include "conn.h"
#include "options.h"
#include "stomp_wire.h"

#include <stdio.h>
#include <string.h>

/* Receipts that are no publish's. */
#define RECEIPT_SUBSCRIBED "subscribed"
#define RECEIPT_DONE       "done"

#define FILTERS_AT_ONCE 100u

/* conn.state */
struct stomp {
    char ack[256]; /* header ack of the last delivery read, as it came */
    size_t ack_len;
};

static struct stomp *stomp_of(const struct conn *c)
{
    return c->state;
}

static void header_text(struct buffer *b, const char *name, const char *value)
{
    stomp_header_raw(b, name, value, strlen(value));
}

/* ---- log-in ---- */
static void stomp_greet(struct conn *c, const struct uri *u)
{
    stomp_open(&c->out, "CONNECT");
    header_text(&c->out, "accept-version", "1.2");
    header_text(&c->out, "host", u->vhost);
    header_text(&c->out, "heart-beat", "0,0");
    if (*u->user) {
        header_text(&c->out, "login", u->user);
        header_text(&c->out, "passcode", u->password);
    }
    stomp_close(&c->out, NULL, 0);
}

static int stomp_login(struct conn *c, const struct uri *u)
{
    struct incoming in;
    stomp_greet(c, u);
    return conn_expect(c, INCOMING_WELCOME, &in);
}

static void stomp_goodbye(struct conn *c)
{
    stomp_open(&c->out, "DISCONNECT");
    stomp_close(&c->out, NULL, 0);
}

/* The receipt comes when all before it has been dealt with. */
static int stomp_leave(struct conn *c)
{
    struct incoming in;
    stomp_open(&c->out, "DISCONNECT");
    header_text(&c->out, "receipt", RECEIPT_DONE);
    stomp_close(&c->out, NULL, 0);
    return conn_expect(c, INCOMING_DONE, &in);
}

static int stomp_make(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    struct conn c;
    conn_init(&c, o, CONN_CONTROL, 0, carrier);
    int failed = conn_open(&c);
    if (failed)
        snprintf(why, why_size, "%s", c.why);
    conn_close(&c);
    conn_free(&c);
    return failed;
}

/* No frame deletes a queue. */
static int stomp_remove(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    (void)o, (void)carrier, (void)why, (void)why_size;
    return 0;
}

/* ---- publishing ---- */
static int stomp_produce(struct conn *c)
{
    (void)c;
    return 0;
}

static void stomp_encode(const struct posting *p, const uint8_t *body, size_t size, struct buffer *to,
                         struct layout *at)
{
    static const uint8_t zeros[STOMP_STAMP_WIDTH + 1] = "000000000000";
    size_t begin = to->len;
    *at = (struct layout){0};
    stomp_open(to, "SEND");
    stomp_header(to, "destination", p->key);
    if (p->o->persistent)
        header_text(to, "persistent", "true");
    if (p->o->confirms) {
        stomp_header_raw(to, "receipt", zeros, STOMP_STAMP_WIDTH);
        at->tag_at = to->len - 1 - STOMP_STAMP_WIDTH - begin;
    }
    stomp_close(to, body, size);
    at->body_at = to->len - 1 - size - begin;
}

/* ---- subscribing ---- */
static int stomp_consume(struct conn *c, const char *destination)
{
    const struct options *o = c->o;
    struct incoming in;
    char number[24];
    stomp_open(&c->out, "SUBSCRIBE");
    header_text(&c->out, "id", "0");
    stomp_header(&c->out, "destination", destination);
    header_text(&c->out, "ack", o->auto_ack ? "auto" : o->ack_every > 1 ? "client" : "client-individual");
    header_text(&c->out, "receipt", RECEIPT_SUBSCRIBED);
    if (o->prefetch) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)o->prefetch);
        header_text(&c->out, "prefetch-count", number);
    }
    for (size_t i = 0; i < o->consumer_args.n; i++)
        stomp_header(&c->out, o->consumer_args.row[i].name, o->consumer_args.row[i].value);
    stomp_close(&c->out, NULL, 0);
    return conn_expect(c, INCOMING_SUBSCRIBED, &in);
}

static void write_filter(struct conn *c, uint64_t number, bool receipt)
{
    char id[32], destination[256];
    snprintf(id, sizeof id, "f%llu", (unsigned long long)number);
    options_expand(destination, c->o->extra_key, number);
    stomp_open(&c->out, "SUBSCRIBE");
    header_text(&c->out, "id", id);
    stomp_header(&c->out, "destination", destination);
    if (receipt)
        header_text(&c->out, "receipt", RECEIPT_SUBSCRIBED);
    stomp_close(&c->out, NULL, 0);
}

static int stomp_filters(struct conn *c, uint64_t first, uint64_t n)
{
    struct incoming in;
    for (uint64_t i = 0; i < n; i++) {
        bool last = i + 1 == n || (i + 1) % FILTERS_AT_ONCE == 0;
        write_filter(c, first + i, last);
        if (last && conn_expect(c, INCOMING_SUBSCRIBED, &in))
            return -1;
    }
    return 0;
}

/* Mode client: an ACK is for all before it as well. The options saw to it that multiple and the mode agree.
 */
static void stomp_ack(struct conn *c, bool multiple)
{
    (void)multiple;
    stomp_open(&c->out, "ACK");
    stomp_header_raw(&c->out, "id", stomp_of(c)->ack, stomp_of(c)->ack_len);
    stomp_close(&c->out, NULL, 0);
}

static void stomp_errand(struct conn *c, bool subscribe)
{
    stomp_open(&c->out, subscribe ? "SUBSCRIBE" : "SEND");
    header_text(&c->out, "destination", "/topic/gannet-bench-churn");
    if (subscribe)
        header_text(&c->out, "id", "0");
    header_text(&c->out, "receipt", RECEIPT_DONE);
    stomp_close(&c->out, NULL, 0);
}

/* ---- reading ---- */
static int nonsense(struct conn *c)
{
    char name[32];
    return conn_fail(c, "%s was sent bytes that are no frame of STOMP; is the port right?",
                     conn_name(c, name));
}

static int on_message(struct conn *c, const struct stomp_frame *f, struct incoming *in)
{
    struct stomp *s = stomp_of(c);
    char name[32];
    if (!c->o->auto_ack) {
        if (!f->ack.at || f->ack.len > sizeof s->ack)
            return conn_fail(c, "%s was sent a message without a usable ack header", conn_name(c, name));
        memcpy(s->ack, f->ack.at, f->ack.len);
        s->ack_len = f->ack.len;
    }
    in->kind = INCOMING_DELIVERY;
    in->redelivered = f->redelivered;
    in->body = f->body;
    in->size = f->body_len;
    return 0;
}

static bool is_receipt(const struct stomp_frame *f, const char *name)
{
    return f->receipt_id.len == strlen(name) && memcmp(f->receipt_id.at, name, f->receipt_id.len) == 0;
}

static int on_receipt(struct conn *c, const struct stomp_frame *f, struct incoming *in)
{
    if (!f->receipt_id.at)
        return nonsense(c);
    if (is_receipt(f, RECEIPT_SUBSCRIBED)) {
        in->kind = INCOMING_SUBSCRIBED;
    } else if (is_receipt(f, RECEIPT_DONE)) {
        in->kind = INCOMING_DONE;
    } else {
        in->kind = INCOMING_CONFIRM;
        in->tag = stomp_number(f->receipt_id);
        in->multiple = false;
        in->acked = true;
    }
    return 0;
}

static int on_error(struct conn *c, const struct stomp_frame *f)
{
    char name[32];
    int body = f->body_len < 300 ? (int)f->body_len : 300;
    return conn_fail(c, "the broker sent %s an error: %.*s: %.*s", conn_name(c, name),
                     f->message.len < 100 ? (int)f->message.len : 100,
                     f->message.at ? (const char *)f->message.at : "", body, (const char *)f->body);
}

static int on_frame(struct conn *c, const struct stomp_frame *f, struct incoming *in)
{
    char name[32];
    switch (f->command) {
    case STOMP_MESSAGE:
        return on_message(c, f, in);
    case STOMP_RECEIPT:
        return on_receipt(c, f, in);
    case STOMP_CONNECTED:
        in->kind = INCOMING_WELCOME;
        if (f->version.len != 3 || memcmp(f->version.at, "1.2", 3) != 0)
            return conn_fail(c, "the broker does not speak STOMP 1.2 with %s", conn_name(c, name));
        return 0;
    case STOMP_ERROR:
        return on_error(c, f);
    default:
        return 0;
    }
}

static int64_t stomp_read(struct conn *c, const uint8_t *bytes, size_t n, struct incoming *in)
{
    struct stomp_frame f;
    in->kind = INCOMING_NOTHING;
    int64_t used = stomp_frame_read(&f, bytes, n);
    if (used < 0)
        return nonsense(c);
    c->wanted = used ? 0 : f.total;
    return used && on_frame(c, &f, in) ? -1 : used;
}

const struct protocol protocol_stomp = {
    .name = "stomp",
    .title = "STOMP",
    .scheme = "stomp",
    .port = "61613",
    .tls_port = "61614",
    .state_size = sizeof(struct stomp),
    .login = stomp_login,
    .leave = stomp_leave,
    .make = stomp_make,
    .remove = stomp_remove,
    .produce = stomp_produce,
    .encode = stomp_encode,
    .stamp_tag = stomp_stamp,
    .consume = stomp_consume,
    .ack = stomp_ack,
    .read = stomp_read,
    .filters = stomp_filters,
    .greet = stomp_greet,
    .errand = stomp_errand,
    .goodbye = stomp_goodbye,
};
