#include "consumer.h"

#include <err.h>
#include <stdlib.h>

void consumer_init(struct consumer *k, const struct options *o, struct meter *m, uint32_t index, uint32_t run)
{
    *k = (struct consumer){.o = o, .meter = m, .run = run};
    k->conn = (struct conn){.role = CONN_CONSUMER, .number = index + 1, .fd = -1};
    k->conn.polled = o->consumer_rate > 0;
    options_expand(k->queue, o->queue, index % o->queues + 1);
}

void consumer_free(struct consumer *k)
{
    conn_free(&k->conn);
    buffer_free(&k->body);
    free(k->expected);
}

static void write_qos(struct consumer *k)
{
    size_t at = method_open(&k->conn.out, 1, BASIC_QOS);
    write_u32(&k->conn.out, 0); /* prefetch-size */
    write_u16(&k->conn.out, (uint16_t)k->o->prefetch);
    write_u8(&k->conn.out, 0); /* global */
    method_close(&k->conn.out, at);
}

static void write_consume(struct consumer *k)
{
    size_t at = method_open(&k->conn.out, 1, BASIC_CONSUME);
    write_u16(&k->conn.out, 0); /* reserved-1 */
    write_shortstr(&k->conn.out, k->queue);
    write_shortstr(&k->conn.out, "c");
    write_u8(&k->conn.out, k->o->auto_ack ? 1 << 1 : 0); /* bits: no-local, no-ack, exclusive, no-wait */
    write_table(&k->conn.out, k->o->consumer_args.row, k->o->consumer_args.n);
    method_close(&k->conn.out, at);
}

int consumer_open(struct consumer *k)
{
    k->expects = EXPECT_METHOD;
    k->unacked = 0;
    /* What was unacked is delivered again, flagged: the order begins anew with each connection. */
    if (k->expected_n)
        memset(k->expected, 0, k->expected_n * sizeof *k->expected);
    if (conn_open(&k->conn, &k->o->uri))
        return -1;
    if (k->o->prefetch) {
        write_qos(k);
        if (conn_await(&k->conn, BASIC_QOS_OK, NULL))
            return -1;
    }
    write_consume(k);
    return conn_await(&k->conn, BASIC_CONSUME_OK, NULL);
}

/* ---- checking ---- */
static uint64_t *expected_of(struct consumer *k, uint32_t source)
{
    if (source < k->expected_n)
        return &k->expected[source];
    uint32_t n = source + 8;
    k->expected = reallocarray(k->expected, n, sizeof *k->expected);
    if (!k->expected)
        errx(2, "out of memory: order of %u sources; use fewer producers", n);
    memset(k->expected + k->expected_n, 0, (n - k->expected_n) * sizeof *k->expected);
    k->expected_n = n;
    return &k->expected[source];
}

static bool was_resent(const struct consumer *k, const struct body_head *h)
{
    return k->o->survive > 0 && h->run == k->run && h->producer < k->o->producers &&
           seen_has(&k->producers[h->producer].resent, h->seq);
}

/* Late is a fault unless the broker said so, or we sent it late ourselves. */
static void note_late(struct consumer *k, const struct body_head *h)
{
    if (!k->redelivered && !was_resent(k, h))
        METER_ADD(k->meter->tally.misordered, 1);
}

static void note_again(struct consumer *k, const struct body_head *h)
{
    if (k->redelivered)
        METER_ADD(k->meter->tally.again_flagged, 1);
    else if (was_resent(k, h))
        METER_ADD(k->meter->tally.again_resent, 1);
    else
        METER_ADD(k->meter->tally.duplicated, 1);
}

/* A message from another run is checked as well when we only drain; otherwise it is just in the way. */
static void account(struct consumer *k, const struct body_head *h)
{
    if (h->run != k->run && k->o->producers) {
        METER_ADD(k->meter->tally.foreign, 1);
        return;
    }
    uint32_t at = ledger_find(k->ledger, h->producer, h->run);
    enum seen_result result = seen_add(&k->ledger->sources[at].seen, h->seq);
    if (result == SEEN_AGAIN) {
        note_again(k, h);
        return;
    }
    if (result == SEEN_TOO_FAR) {
        METER_ADD(k->meter->tally.unreadable, 1);
        return;
    }
    METER_ADD(k->meter->tally.fresh, 1);
    uint64_t *expected = expected_of(k, at);
    if (h->seq < *expected)
        note_late(k, h);
    else
        *expected = h->seq + 1;
}

/* Below 16 bytes nothing in the body tells its size, so it is compared with what this run sends. */
static bool wrong_size(const struct consumer *k, size_t size)
{
    return k->o->producers && size != k->o->size && (size < BODY_HEAD_SIZE || k->o->size < BODY_HEAD_SIZE);
}

static void check(struct consumer *k, const uint8_t *body, size_t size, uint64_t now)
{
    struct body_head head;
    enum body_state state = wrong_size(k, size) ? BODY_UNREADABLE : body_read(body, size, now, &head);
    if (state == BODY_UNREADABLE) {
        METER_ADD(k->meter->tally.unreadable, 1);
        return;
    }
    if (state == BODY_DAMAGED)
        METER_ADD(k->meter->tally.damaged, 1);
    if (body_level(size) == BODY_COUNT_ONLY) {
        METER_ADD(k->meter->tally.fresh, 1);
        return;
    }
    account(k, &head);
    if (body_level(size) == BODY_FULL)
        meter_duration(k->meter, k->meter->latency, now, head.age_ns);
}

/* ---- acks ---- */
static void write_ack(struct consumer *k, bool multiple)
{
    static const uint8_t frame[21] = {FRAME_METHOD, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, [20] = FRAME_END};
    buffer_reserve(&k->conn.out, sizeof frame);
    uint8_t *to = k->conn.out.data + k->conn.out.len;
    memcpy(to, frame, sizeof frame);
    set_u64(to + 11, k->last_tag);
    to[19] = multiple;
    k->conn.out.len += sizeof frame;
    k->unacked = 0;
}

void consumer_ack_rest(struct consumer *k)
{
    if (k->unacked && k->conn.is_open)
        write_ack(k, true);
}

static void take(struct consumer *k, const uint8_t *body, size_t size, uint64_t now)
{
    check(k, body, size, now);
    if (k->redelivered)
        METER_ADD(k->meter->tally.redelivered, 1);
    k->last_tag = k->tag;
    k->taken++;
    if (!k->o->auto_ack && ++k->unacked >= k->o->ack_every)
        write_ack(k, k->o->ack_every > 1);
    if (k->taken == k->o->consumer_messages) {
        consumer_ack_rest(k);
        k->finished = k->conn.polled = true; /* nobody asks for its input any more */
    }
}

/* ---- frames ---- */

/* Delivery tag and flag of basic.deliver (spec 1.8.3.13); false when the frame is something else. */
static inline bool read_deliver(struct consumer *k, const struct frame *f)
{
    if (f->type != FRAME_METHOD || f->size < 15 || get_u32(f->payload) != BASIC_DELIVER)
        return false;
    size_t at = 5u + f->payload[4];
    if (at + 9 > f->size)
        return false;
    k->tag = get_u64(f->payload + at);
    k->redelivered = f->payload[at + 8] & 1;
    return true;
}

/* The usual case, and the fast one: a message in three frames, all here. Returns 0 when it is not that. */
static size_t whole_message(struct consumer *k, const uint8_t *p, size_t n, uint64_t now)
{
    struct frame method, header, body;
    int64_t a = frame_read(&method, p, n, CONN_FRAME_MAX);
    if (a <= 0 || !read_deliver(k, &method))
        return 0;
    int64_t b = frame_read(&header, p + a, n - (size_t)a, CONN_FRAME_MAX);
    if (b <= 0 || header.type != FRAME_HEADER || header.size < 14)
        return 0;
    int64_t c = frame_read(&body, p + a + b, n - (size_t)(a + b), CONN_FRAME_MAX);
    if (c <= 0 || body.type != FRAME_BODY || body.size != get_u64(header.payload + 4))
        return 0;
    take(k, body.payload, body.size, now);
    return (size_t)(a + b + c);
}

static int on_header(struct consumer *k, const struct frame *f, uint64_t now)
{
    if (f->size < 14 || get_u64(f->payload + 4) > 1ull << 31)
        return conn_fail(&k->conn, "consumer %u was sent a malformed content header", k->conn.number);
    k->body_size = get_u64(f->payload + 4);
    k->body.len = 0;
    k->expects = EXPECT_BODY;
    if (!k->body_size) {
        k->expects = EXPECT_METHOD;
        take(k, NULL, 0, now);
    }
    return 0;
}

static int on_body(struct consumer *k, const struct frame *f, uint64_t now)
{
    buffer_put(&k->body, f->payload, f->size);
    if (k->body.len > k->body_size)
        return conn_fail(&k->conn, "consumer %u was sent more body than its header announced",
                         k->conn.number);
    if (k->body.len == k->body_size) {
        k->expects = EXPECT_METHOD;
        take(k, k->body.data, k->body.len, now);
    }
    return 0;
}

/* A message in pieces, or anything else. Frames of channel 0 may stand between the pieces. */
static int on_frame(struct consumer *k, const struct frame *f, uint64_t now)
{
    if (f->channel == 0)
        return f->type == FRAME_METHOD ? conn_on_method(&k->conn, f) : 0;
    if (k->expects == EXPECT_HEADER && f->type == FRAME_HEADER)
        return on_header(k, f, now);
    if (k->expects == EXPECT_BODY && f->type == FRAME_BODY)
        return on_body(k, f, now);
    if (k->expects != EXPECT_METHOD || f->type != FRAME_METHOD)
        return conn_fail(&k->conn, "consumer %u was sent frame type %u in the wrong place", k->conn.number,
                         f->type);
    if (!read_deliver(k, f))
        return conn_on_method(&k->conn, f);
    k->expects = EXPECT_HEADER;
    return 0;
}

static int64_t step(struct consumer *k, const uint8_t *p, size_t n, uint64_t now)
{
    struct frame f;
    size_t whole = k->expects == EXPECT_METHOD ? whole_message(k, p, n, now) : 0;
    if (whole)
        return (int64_t)whole;
    int64_t used = frame_read(&f, p, n, CONN_FRAME_MAX);
    if (used < 0)
        return conn_fail(&k->conn, "consumer %u was sent bytes that are no AMQP frame", k->conn.number);
    return used && on_frame(k, &f, now) ? -1 : used;
}

/* ---- -R ---- */
uint64_t consumer_due_ns(const struct consumer *k)
{
    return k->rate_from_ns + (uint64_t)((double)k->taken * 1e9 / k->o->consumer_rate);
}

/* How many messages may be taken now; the clock starts with the first byte. */
static uint64_t budget(struct consumer *k, uint64_t now)
{
    if (k->finished)
        return 0;
    if (k->o->consumer_rate <= 0)
        return UINT64_MAX;
    if (!k->rate_from_ns)
        k->rate_from_ns = now;
    uint64_t due = (uint64_t)((double)(now - k->rate_from_ns) * k->o->consumer_rate / 1e9) + 1;
    return due > k->taken ? due - k->taken : 0;
}

int64_t consumer_input(struct consumer *k, const uint8_t *bytes, size_t n, uint64_t now)
{
    size_t used = 0;
    uint64_t before = k->taken, may_take = budget(k, now);
    while (used < n && k->taken - before < may_take && !k->finished) {
        int64_t s = step(k, bytes + used, n - used, now);
        if (s < 0)
            return -1;
        if (s == 0)
            break;
        used += (size_t)s;
    }
    if (k->taken != before) {
        METER_ADD(k->meter->tally.received, k->taken - before);
        METER_SET(k->meter->last_received_ns, now);
    }
    return (int64_t)used;
}
