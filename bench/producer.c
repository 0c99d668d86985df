#include "producer.h"
#include "body.h"

#include <stdio.h>
#include <stdlib.h>

void producer_init(struct producer *p, const struct options *o, struct meter *m, uint32_t index, uint32_t run)
{
    *p = (struct producer){.o = o, .meter = m, .index = index, .run = run};
    p->conn = (struct conn){.role = CONN_PRODUCER, .number = index + 1, .fd = -1};
    p->interval_ns = o->rate > 0 ? 1e9 / o->rate : 0;
    options_expand(p->key, *o->exchange ? o->key : o->queue, index % o->queues + 1);
    if (!o->confirms)
        return;
    /* Acks may come in any order, so tags may span more than the window before the oldest is confirmed. */
    uint64_t ring = 1024;
    while (ring < 4 * o->confirms)
        ring *= 2;
    p->ring = zalloc(ring, sizeof *p->ring);
    p->ring_mask = ring - 1;
    p->tag_low = p->tag_next = 1;
}

void producer_free(struct producer *p)
{
    conn_free(&p->conn);
    buffer_free(&p->encoded);
    buffer_free(&p->again);
    seen_free(&p->confirmed);
    seen_free(&p->resent);
    free(p->ring);
}

/* ---- encoding ---- */

/* All producers of a run together get this much for their batches. */
#define BATCH_MEMORY (256ull << 20)

/* Batches on their way to a peer's acknowledgement, where the carrier copies nothing: one is written anew
 * only when it is through. */
#define BATCHES_LENT 16

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void choose_slots(struct producer *p)
{
    const struct options *o = p->o;
    unsigned batches = p->conn.carrier->ops->lent ? BATCHES_LENT : 1;
    uint64_t bytes = least(o->batch, BATCH_MEMORY / o->producers / batches);
    p->batch_slots = bytes > p->slot_size ? bytes / p->slot_size : 1;
    p->slots = p->batch_slots * batches;
    p->slot = 0;
}

/* Where the table ends that begins the properties in a content header frame. */
static size_t headers_end(const uint8_t *frame)
{
    size_t table = FRAME_HEAD + 2 + 2 + 8 + 2;
    return table + 4 + get_u32(frame + table);
}

static void encode_batch(struct producer *p)
{
    const struct options *o = p->o;
    char name[64];
    snprintf(name, sizeof name, "gannet-bench-%u-%u", p->run, p->index);
    struct publish what = {.exchange = o->exchange,
                           .key = p->key,
                           .header = strcmp(o->type, "headers") == 0 ? p->key : NULL,
                           .producer = o->numbered ? name : NULL,
                           .expiration = o->expiration,
                           .priority = o->priorities ? (int)(p->index * o->priorities / o->producers) : -1,
                           .mandatory = o->mandatory,
                           .persistent = o->persistent};
    uint8_t *body = zalloc(o->size, 1);
    body_fill(body, o->size);
    p->encoded.len = 0;
    write_publish(&p->encoded, &what, body, o->size, p->conn.frame_max);
    p->slot_size = p->encoded.len;
    p->body_at = get_u32(p->encoded.data + 3) + FRAME_OVERHEAD; /* behind the method frame */
    p->seq_at = o->numbered ? p->body_at + headers_end(p->encoded.data + p->body_at) - sizeof(uint64_t) : 0;
    p->body_at += get_u32(p->encoded.data + p->body_at + 3) + FRAME_OVERHEAD + FRAME_HEAD;
    choose_slots(p);
    for (size_t i = 1; i < p->slots; i++)
        write_publish(&p->encoded, &what, body, o->size, p->conn.frame_max);
    free(body);
}

/* ---- connections ---- */

/* Everything unconfirmed goes to the list of what must be sent again, oldest first; tags start anew. */
static void collect_unconfirmed(struct producer *p)
{
    if (!p->ring)
        return;
    struct buffer left = {0};
    for (uint64_t tag = p->tag_low; tag < p->tag_next; tag++)
        if (p->ring[tag & p->ring_mask].seq != FLIGHT_SETTLED)
            buffer_put(&left, &p->ring[tag & p->ring_mask], sizeof(struct flight));
    buffer_put(&left, p->again.data + p->again_at, p->again.len - p->again_at);
    buffer_free(&p->again);
    p->again = left;
    p->again_at = 0;
    p->tag_low = p->tag_next = 1;
    p->outstanding = 0;
}

int producer_open(struct producer *p)
{
    collect_unconfirmed(p);
    if (conn_open(&p->conn, &p->o->uri))
        return -1;
    encode_batch(p);
    if (!p->ring)
        return 0;
    size_t at = method_open(&p->conn.out, 1, CONFIRM_SELECT);
    write_u8(&p->conn.out, 0);
    method_close(&p->conn.out, at);
    return conn_await(&p->conn, CONFIRM_SELECT_OK, NULL);
}

bool producer_settled(const struct producer *p)
{
    return !p->outstanding && p->again_at == p->again.len;
}

/* ---- sending ---- */
uint64_t producer_due_ns(const struct producer *p)
{
    return p->start_ns + (uint64_t)((double)p->next_seq * p->interval_ns);
}

/* How many messages never sent before may go now. */
static uint64_t fresh_allowed(const struct producer *p, uint64_t now, enum producer_wait *wait)
{
    uint64_t limit = p->o->producer_messages, n = UINT64_MAX;
    *wait = PRODUCER_IDLE;
    if (p->stopped)
        return 0;
    if (limit) {
        n = limit - p->next_seq;
        if (!n)
            return 0;
    }
    if (p->interval_ns == 0)
        return n;
    *wait = PRODUCER_WAITS_TIME;
    if (now < producer_due_ns(p))
        return 0;
    uint64_t due = (uint64_t)((double)(now - p->start_ns) / p->interval_ns) + 1;
    return due > p->next_seq ? least(n, due - p->next_seq) : 1;
}

static uint64_t window_allowed(const struct producer *p)
{
    if (!p->ring)
        return UINT64_MAX;
    return least(p->o->confirms - p->outstanding, p->ring_mask + 1 - (p->tag_next - p->tag_low));
}

/* Slots that may be written to, in one piece. */
static uint64_t slots_allowed(struct producer *p, enum producer_wait *wait)
{
    if (p->slots == p->batch_slots)
        return p->slots;
    uint64_t lent = (conn_lent(&p->conn) + p->slot_size - 1) / p->slot_size;
    uint64_t n = lent < p->slots ? p->slots - lent : 0;
    if (!n)
        *wait = PRODUCER_WAITS_SOCKET;
    return least(least(n, p->slots - p->slot), p->batch_slots);
}

/* Messages of a lost connection go before new ones, and a batch has only one kind. */
static uint64_t allowed(struct producer *p, uint64_t now, enum producer_wait *wait)
{
    uint64_t window = window_allowed(p), n = (p->again.len - p->again_at) / sizeof(struct flight);
    if (!n)
        n = fresh_allowed(p, now, wait);
    if (n && !window)
        *wait = PRODUCER_WAITS_CONFIRM;
    return n && window ? least(least(n, window), slots_allowed(p, wait)) : 0;
}

static struct flight next_again(struct producer *p)
{
    struct flight f;
    memcpy(&f, p->again.data + p->again_at, sizeof f);
    p->again_at += sizeof f;
    seen_add(&p->resent, f.seq);
    return f;
}

static struct flight next_fresh(struct producer *p, uint64_t now)
{
    struct flight f = {p->next_seq, p->interval_ns > 0 ? producer_due_ns(p) : now};
    p->next_seq++;
    return f;
}

static void stamp_batch(struct producer *p, size_t n, uint64_t now)
{
    bool again = p->again_at < p->again.len;
    uint8_t *batch = p->encoded.data + p->slot * p->slot_size, *body = batch + p->body_at;
    p->conn.batch = batch;
    p->conn.batch_len = n * p->slot_size;
    p->conn.batch_sent = 0;
    p->slot = p->slot + n < p->slots && p->slots > p->batch_slots ? p->slot + n : 0;
    for (size_t i = 0; i < n; i++, body += p->slot_size) {
        struct flight f = again ? next_again(p) : next_fresh(p, now);
        body_stamp(body, p->o->size, body_source(p->run, p->index, f.seq), f.sent_ns);
        if (p->seq_at)
            set_u64(batch + i * p->slot_size + p->seq_at, f.seq + 1);
        if (p->ring)
            p->ring[p->tag_next++ & p->ring_mask] = f;
    }
    if (p->ring)
        p->outstanding += n;
    if (again)
        METER_ADD(p->meter->tally.resent, n);
    else
        METER_ADD(p->meter->tally.sent, n);
    METER_SET(p->meter->last_sent_ns, now);
}

int producer_poll(struct producer *p, uint64_t now, enum producer_wait *wait)
{
    *wait = PRODUCER_WAITS_SOCKET;
    if (conn_has_output(&p->conn))
        return 0;
    uint64_t n = allowed(p, now, wait);
    if (!n)
        return 0;
    stamp_batch(p, n, now);
    if (conn_flush(&p->conn))
        return -1;
    *wait = conn_has_output(&p->conn) ? PRODUCER_WAITS_SOCKET : PRODUCER_READY;
    return 0;
}

/* ---- confirms and returns ---- */
static void settle_one(struct producer *p, uint64_t tag, bool acked, uint64_t now)
{
    struct flight *f = &p->ring[tag & p->ring_mask];
    if (f->seq == FLIGHT_SETTLED)
        return;
    if (acked) {
        if (seen_add(&p->confirmed, f->seq) == SEEN_NEW)
            METER_ADD(p->meter->tally.confirmed, 1);
        meter_duration(p->meter, p->meter->confirm_latency, now, now > f->sent_ns ? now - f->sent_ns : 0);
    } else if (p->o->survive > 0) {
        buffer_put(&p->again, f, sizeof *f);
    } else {
        p->nacked++;
    }
    if (!acked)
        METER_ADD(p->meter->tally.nacked, 1);
    f->seq = FLIGHT_SETTLED;
    p->outstanding--;
}

/* basic.ack and basic.nack to a publisher: one tag, or all up to it (tag 0: all there are). */
static int on_confirm(struct producer *p, const struct frame *f, bool acked, uint64_t now)
{
    struct reader r = {f->payload + 4, f->payload + f->size, false};
    uint64_t tag = read_u64(&r);
    bool multiple = read_u8(&r) & 1;
    char name[32];
    if (multiple && !tag)
        tag = p->tag_next - 1;
    if (!p->ring || r.bad || tag >= p->tag_next)
        return conn_fail(&p->conn, "the broker confirmed delivery tag %llu, which %s never sent",
                         (unsigned long long)tag, conn_name(&p->conn, name));
    if (tag < p->tag_low)
        return 0;
    for (uint64_t t = multiple ? p->tag_low : tag; t <= tag; t++)
        settle_one(p, t, acked, now);
    while (p->tag_low < p->tag_next && p->ring[p->tag_low & p->ring_mask].seq == FLIGHT_SETTLED)
        p->tag_low++;
    METER_SET(p->meter->last_confirmed_ns, now);
    return 0;
}

static int on_method(struct producer *p, const struct frame *f, uint64_t now)
{
    switch (f->size < 4 ? 0 : get_u32(f->payload)) {
    case BASIC_ACK:
        return on_confirm(p, f, true, now);
    case BASIC_NACK:
        return on_confirm(p, f, false, now);
    case BASIC_RETURN: /* its header and body follow and are passed over */
        p->returned++;
        METER_ADD(p->meter->tally.returned, 1);
        return 0;
    case CONNECTION_BLOCKED:
        METER_ADD(p->meter->tally.blocked, 1);
        return 0;
    default:
        return conn_on_method(&p->conn, f);
    }
}

int64_t producer_input(struct producer *p, const uint8_t *bytes, size_t n, uint64_t now)
{
    size_t used = 0;
    struct frame f;
    for (int64_t step; used < n; used += (size_t)step) {
        step = frame_read(&f, bytes + used, n - used, CONN_FRAME_MAX);
        if (step == 0)
            break;
        if (step < 0)
            return conn_fail(&p->conn, "producer %u was sent bytes that are no AMQP frame", p->conn.number);
        if (f.type == FRAME_METHOD && on_method(p, &f, now))
            return -1;
    }
    return (int64_t)used;
}
