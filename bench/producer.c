#include "producer.h"
#include "body.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

void producer_init(struct producer *p, const struct options *o, struct meter *m, struct carrier *carrier,
                   uint32_t index, uint32_t run)
{
    *p = (struct producer){.o = o, .meter = m, .index = index, .run = run};
    conn_init(&p->conn, o, CONN_PRODUCER, index + 1, carrier);
    p->places = o->spread ? o->queues : 1;
    p->interval_ns = o->rate > 0 ? 1e9 / o->rate : 0;
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
    if (p->places > 1) /* each slot has its place: all of them in turn */
        p->slots = (p->slots + p->places - 1) / p->places * p->places;
    p->slot = 0;
}

static void encode_slot(struct producer *p, size_t slot, const uint8_t *body)
{
    const struct options *o = p->o;
    char key[256];
    uint64_t place = o->spread ? slot % p->places : p->index % o->queues;
    options_place(o, key, *o->exchange ? o->key : o->queue, place);
    const struct posting what = {
        .o = o, .index = p->index, .run = p->run, .key = key, .frame_max = p->conn.frame_max};
    p->conn.protocol->encode(&what, body, o->size, &p->encoded, &p->at);
}

static void encode_batch(struct producer *p)
{
    uint8_t *body = zalloc(p->o->size, 1);
    body_fill(body, p->o->size);
    p->encoded.len = 0;
    encode_slot(p, 0, body);
    p->slot_size = p->encoded.len;
    choose_slots(p);
    for (size_t i = 1; i < p->slots; i++)
        encode_slot(p, i, body);
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
        if (p->ring[tag & p->ring_mask].seq != FLIGHT_SETTLED) {
            struct flight f = p->ring[tag & p->ring_mask];
            f.seq &= ~FLIGHT_HALFWAY;
            buffer_put(&left, &f, sizeof f);
        }
    buffer_put(&left, p->again.data + p->again_at, p->again.len - p->again_at);
    buffer_free(&p->again);
    p->again = left;
    p->again_at = 0;
    p->tag_low = p->tag_next = 1;
    p->outstanding = 0;
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
    uint64_t window = least(p->o->confirms, p->conn.window), tags = p->ring_mask + 1;
    if (p->conn.protocol->tags_max)
        tags = least(tags, p->conn.protocol->tags_max);
    return least(window > p->outstanding ? window - p->outstanding : 0, tags - (p->tag_next - p->tag_low));
}

/* Slots that may be written to, in one piece. */
static uint64_t slots_allowed(struct producer *p, enum producer_wait *wait)
{
    if (!p->conn.carrier->ops->lent)
        return least(p->batch_slots, p->slots - p->slot);
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

/* A producer that goes round several places counts for as many: each place gets numbers without gaps. */
static uint64_t source_of(const struct producer *p, uint64_t seq)
{
    if (p->places == 1)
        return body_source(p->run, p->index, seq);
    return body_source(p->run, (uint32_t)(p->index * p->places + seq % p->places), seq / p->places);
}

static void store_number(uint8_t *to, uint64_t v)
{
    v = htobe64(v);
    memcpy(to, &v, sizeof v);
}

static void stamp_batch(struct producer *p, size_t n, uint64_t now)
{
    bool again = p->again_at < p->again.len;
    bool in_turn = p->slots > p->batch_slots || p->places > 1;
    uint8_t *slot = p->encoded.data + p->slot * p->slot_size;
    p->conn.batch = slot;
    p->conn.batch_len = n * p->slot_size;
    p->conn.batch_sent = 0;
    p->slot = p->slot + n < p->slots && in_turn ? p->slot + n : 0;
    for (size_t i = 0; i < n; i++, slot += p->slot_size) {
        struct flight f = again ? next_again(p) : next_fresh(p, now);
        body_stamp(slot + p->at.body_at, p->o->size, source_of(p, f.seq), f.sent_ns);
        if (p->at.seq_at)
            store_number(slot + p->at.seq_at, f.seq + 1);
        if (!p->ring)
            continue;
        if (p->at.tag_at)
            p->conn.protocol->stamp_tag(slot + p->at.tag_at, p->tag_next);
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

/* What was under way goes on where the lost connection left it, each with its tag, in order. */
static void resume(struct producer *p)
{
    const struct protocol *protocol = p->conn.protocol;
    p->resuming = true;
    for (uint64_t tag = p->tag_low; tag < p->tag_next; tag++) {
        const struct flight *f = &p->ring[tag & p->ring_mask];
        uint8_t *slot = p->encoded.data;
        if (f->seq == FLIGHT_SETTLED)
            continue;
        if (f->seq & FLIGHT_HALFWAY) {
            protocol->go_on(&p->conn, tag);
            continue;
        }
        body_stamp(slot + p->at.body_at, p->o->size, source_of(p, f->seq), f->sent_ns);
        protocol->stamp_tag(slot + p->at.tag_at, tag);
        size_t at = p->conn.out.len;
        buffer_put(&p->conn.out, slot, p->slot_size);
        protocol->mark_again(p->conn.out.data + at);
        METER_ADD(p->meter->tally.resent, 1);
    }
}

/* What was under way is sent again as new: with QoS 2 it may come twice, which is then the broker's fault. */
static void forget_session(struct producer *p)
{
    if (p->outstanding && p->o->qos == 2)
        METER_ADD(p->meter->tally.forgotten, 1);
    collect_unconfirmed(p);
}

int producer_open(struct producer *p)
{
    const struct protocol *protocol = p->conn.protocol;
    if (conn_open(&p->conn) || protocol->produce(&p->conn))
        return -1;
    encode_batch(p);
    if (p->outstanding && protocol->resumes && protocol->resumes(&p->conn))
        resume(p);
    else
        forget_session(p);
    return 0;
}

int producer_poll(struct producer *p, uint64_t now, enum producer_wait *wait)
{
    *wait = PRODUCER_WAITS_SOCKET;
    if (conn_has_batch(&p->conn) || p->conn.out_sent)
        return 0;
    if (p->resuming && (conn_flush(&p->conn) || p->conn.out.len))
        return p->conn.is_open ? 0 : -1;
    p->resuming = false;
    uint64_t n = allowed(p, now, wait);
    if (n)
        stamp_batch(p, n, now);
    else if (!p->conn.out.len)
        return 0;
    if (conn_flush(&p->conn))
        return -1;
    if (conn_has_output(&p->conn))
        *wait = PRODUCER_WAITS_SOCKET;
    else if (n)
        *wait = PRODUCER_READY;
    return 0;
}

/* ---- confirms and returns ---- */
static void settle_one(struct producer *p, uint64_t tag, bool acked, uint64_t now)
{
    struct flight *f = &p->ring[tag & p->ring_mask];
    if (f->seq == FLIGHT_SETTLED)
        return;
    if (acked) {
        if (seen_add(&p->confirmed, f->seq & ~FLIGHT_HALFWAY) == SEEN_NEW)
            METER_ADD(p->meter->tally.confirmed, 1);
        meter_duration(p->meter, p->meter->confirm_latency, now, now > f->sent_ns ? now - f->sent_ns : 0);
    } else if (p->o->survive > 0) {
        f->seq &= ~FLIGHT_HALFWAY;
        buffer_put(&p->again, f, sizeof *f);
    } else {
        p->nacked++;
    }
    if (!acked)
        METER_ADD(p->meter->tally.nacked, 1);
    f->seq = FLIGHT_SETTLED;
    p->outstanding--;
}

/* The whole of a tag that comes back modulo tags_max: the one from tag_low on. */
static uint64_t whole_tag(const struct producer *p, uint64_t tag)
{
    uint64_t max = p->conn.protocol->tags_max;
    return max ? p->tag_low + (tag % max + max - p->tag_low % max) % max : tag;
}

/* One tag, or all up to it. */
static int on_confirm(struct producer *p, const struct incoming *in, uint64_t now)
{
    char name[32];
    uint64_t tag = in->multiple && !in->tag ? p->tag_next - 1 : whole_tag(p, in->tag);
    if (!p->ring || tag >= p->tag_next)
        return conn_fail(&p->conn, "the broker confirmed number %llu, which %s never sent",
                         (unsigned long long)in->tag, conn_name(&p->conn, name));
    if (tag < p->tag_low)
        return 0;
    for (uint64_t t = in->multiple ? p->tag_low : tag; t <= tag; t++)
        settle_one(p, t, in->acked, now);
    while (p->tag_low < p->tag_next && p->ring[p->tag_low & p->ring_mask].seq == FLIGHT_SETTLED)
        p->tag_low++;
    METER_SET(p->meter->last_confirmed_ns, now);
    return 0;
}

static void on_halfway(struct producer *p, uint64_t tag)
{
    uint64_t whole = whole_tag(p, tag);
    if (!p->ring || whole >= p->tag_next)
        return; /* its confirm will be found to be wrong */
    if (p->ring[whole & p->ring_mask].seq != FLIGHT_SETTLED)
        p->ring[whole & p->ring_mask].seq |= FLIGHT_HALFWAY;
}

static int on_incoming(struct producer *p, const struct incoming *in, uint64_t now)
{
    switch (in->kind) {
    case INCOMING_HALFWAY:
        on_halfway(p, in->tag);
        return 0;
    case INCOMING_CONFIRM:
        return on_confirm(p, in, now);
    case INCOMING_RETURN:
        p->returned++;
        METER_ADD(p->meter->tally.returned, 1);
        return 0;
    case INCOMING_BLOCKED:
        METER_ADD(p->meter->tally.blocked, 1);
        return 0;
    default:
        return 0;
    }
}

int64_t producer_input(struct producer *p, const uint8_t *bytes, size_t n, uint64_t now)
{
    size_t used = 0;
    struct incoming in;
    for (int64_t step; used < n; used += (size_t)step) {
        step = p->conn.protocol->read(&p->conn, bytes + used, n - used, &in);
        if (step == 0)
            break;
        if (step < 0 || on_incoming(p, &in, now))
            return -1;
    }
    return (int64_t)used;
}
