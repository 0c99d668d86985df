#include "consumer.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>

void consumer_init(struct consumer *k, const struct options *o, struct meter *m, struct carrier *carrier,
                   uint32_t index, uint32_t run)
{
    *k = (struct consumer){.o = o, .meter = m, .run = run};
    conn_init(&k->conn, o, CONN_CONSUMER, index + 1, carrier);
    k->conn.polled = o->consumer_rate > 0;
    options_place(o, k->queue, o->queue, index % o->queues);
}

void consumer_free(struct consumer *k)
{
    conn_free(&k->conn);
    free(k->expected);
}

int consumer_open(struct consumer *k)
{
    k->unacked = 0;
    /* What was unacked is delivered again, flagged: the order begins anew with each connection. */
    if (k->expected_n)
        memset(k->expected, 0, k->expected_n * sizeof *k->expected);
    return conn_open(&k->conn) ? -1 : k->conn.protocol->consume(&k->conn, k->queue);
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
static void ack(struct consumer *k, bool multiple)
{
    k->conn.protocol->ack(&k->conn, multiple);
    k->unacked = 0;
}

void consumer_ack_rest(struct consumer *k)
{
    if (k->unacked && k->conn.is_open)
        ack(k, true);
}

static void take(struct consumer *k, const struct incoming *in, uint64_t now)
{
    k->redelivered = in->redelivered;
    check(k, in->body, in->size, now);
    if (k->redelivered)
        METER_ADD(k->meter->tally.redelivered, 1);
    k->taken++;
    if (!k->o->auto_ack && ++k->unacked >= k->o->ack_every)
        ack(k, k->o->ack_every > 1);
    if (k->taken == k->o->consumer_messages) {
        consumer_ack_rest(k);
        k->finished = k->conn.polled = true; /* nobody asks for its input any more */
    }
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
    struct incoming in;
    while (used < n && k->taken - before < may_take && !k->finished) {
        int64_t s = k->conn.protocol->read(&k->conn, bytes + used, n - used, &in);
        if (s < 0)
            return -1;
        if (s == 0)
            break;
        if (in.kind == INCOMING_DELIVERY)
            take(k, &in, now);
        used += (size_t)s;
    }
    if (k->taken != before) {
        METER_ADD(k->meter->tally.received, k->taken - before);
        METER_SET(k->meter->last_received_ns, now);
    }
    return (int64_t)used;
}
