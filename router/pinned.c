/*
 * Pins are found by a walk through all indexes: an entry says where its message stands, and nothing says
 * which entries a segment has. So it takes a turn for each PIN_ENTRIES messages of the router, which nobody
 * else notices.
 */
#include "router/pinned.h"

#include <inttypes.h>
#include <stdio.h>

#include "router/agent.h"
#include "router/hidden.h"
#include "router/large.h"
#include "router/rows.h"
#include "router/shape.h"

/* Entries that one of LIST_SLICE_STEPS stands for: two lines of the cache, which come one after the other. */
enum { PIN_ENTRIES = 8 };

/* A segment's file is named so. */
static void put_segment(struct rows *rows, uint64_t number)
{
    char text[20];
    snprintf(text, sizeof text, "%016" PRIx64, number);
    rows_text(rows, span_str(text));
}

/* ---- segments -------------------------------------------------------------------------------------- */

/* What is up with a segment, and how much the log must grow until that changes. */
struct outlook {
    const char *state;
    uint64_t wait_bytes;
};

static struct outlook outlook_of(const struct router *router, uint64_t number, const struct segment *segment)
{
    const struct store *store = &router->store;
    uint64_t end = store->end[1], copied = compact_begins(number);
    if (number == end / SEGMENT_BYTES)
        return (struct outlook){"open", 0};
    if ((number + 1) * SEGMENT_BYTES > store->replay_from)
        return (struct outlook){"replay", checkpoint_waits(router)};
    if (!segment->live)
        return (struct outlook){"empty", 0};
    if (number == router->compaction.segment)
        return (struct outlook){"copying", 0};
    if (segment->live_bytes >= SEGMENT_SPARSE_BYTES)
        return (struct outlook){"full", 0};
    if (number == router->compaction.tried)
        return (struct outlook){"failed", SEGMENT_BYTES - end % SEGMENT_BYTES};
    return (struct outlook){"sparse", copied > end ? copied - end : 0};
}

static void put_row(struct rows *rows, const struct router *router, uint64_t number,
                    const struct segment *segment)
{
    struct outlook outlook = outlook_of(router, number, segment);
    rows_number(rows, router->options.index);
    put_segment(rows, number);
    rows_number(rows, segment->live);
    rows_number(rows, segment->live_bytes);
    rows_number(rows, SEGMENT_BYTES);
    rows_text(rows, span_str(outlook.state));
    rows_number(rows, outlook.wait_bytes);
    rows_end(rows);
}

/* place.at: the segment's number. */
void pinned_segments(struct router *router, struct op *op)
{
    const struct store *store = &router->store;
    struct rows rows = {0};
    uint64_t end = store->segment_first + store->segment_count, n = op->place.at;
    n = n < store->segment_first ? store->segment_first : n;
    for (unsigned steps = LIST_SLICE_STEPS; steps && n < end; steps--, n++) {
        const struct segment *segment =
            &store->segments[(store->segment_head + (n - store->segment_first)) & store->segment_mask];
        if (!segment->retired)
            put_row(&rows, router, n, segment);
    }
    op->place.at = n;
    op->place.end = n >= end;
    op->list = rows.text;
    router_answer_now(router, op);
}

/* ---- pins ------------------------------------------------------------------------------------------ */

/* What one queue has in one segment. */
struct pin {
    const struct queue *queue;
    uint64_t segment, messages, bytes, unacked, first, last, unacked_first, unacked_last;
};

struct walk {
    struct router *router;
    const struct op *op;
    struct rows rows;
    struct pin pin; /* entries that follow each other mostly stand in the same segment */
    uint64_t entries;
};

static void put_name(struct walk *w, const struct queue *q)
{
    static const char *const types[] = {
        [TYPE_CLASSIC] = "classic", [TYPE_QUORUM] = "quorum", [TYPE_STREAM] = "stream"};
    static const char *const hidden[] = {
        [HIDDEN_DELAY] = "delayed", [HIDDEN_HISTORY] = "history", [HIDDEN_RETAIN] = "retained"};
    struct rows *rows = &w->rows;
    if (!is_hidden(q->vhost)) {
        rows_text(rows, span_str(router_vhost_name(w->router, q->vhost)));
        rows_text(rows, name_span(&q->name));
        rows_text(rows, span_str(types[q->shape ? settings_type(&q->shape->settings) : TYPE_CLASSIC]));
        return;
    }
    enum hidden kind;
    const struct catalog_exchange *e = hidden_whose(w->router, q, &kind);
    rows_text(rows, span_str(e ? router_vhost_name(w->router, e->vhost) : ""));
    rows_text(rows, e ? name_span(&e->name) : span_of(NULL, 0));
    rows_text(rows, span_str(hidden[kind]));
}

static void put_pin(struct walk *w)
{
    const struct pin *pin = &w->pin;
    struct rows *rows = &w->rows;
    char handle[24];
    if (!pin->messages)
        return;
    snprintf(handle, sizeof handle, "%" PRIu64, pin->queue->handle);
    rows_number(rows, w->router->options.index);
    put_segment(rows, pin->segment);
    put_name(w, pin->queue);
    rows_text(rows, span_str(handle));
    const uint64_t numbers[] = {pin->messages,      pin->bytes,        pin->unacked,         pin->first,
                                pin->unacked_first, pin->unacked_last, pin->queue->consumers};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rows_number(rows, numbers[i]);
    rows_end(rows);
    w->pin.messages = 0;
}

/* The entry needs so many bytes of the segment that position is in. */
static void add(struct walk *w, const struct queue *q, uint64_t seq, const struct entry *entry,
                uint64_t position, uint64_t bytes)
{
    struct pin *pin = &w->pin;
    uint64_t segment = position / SEGMENT_BYTES;
    if (segment < w->op->which[0] || segment > w->op->which[1])
        return;
    if (pin->messages && (pin->queue != q || pin->segment != segment))
        put_pin(w);
    if (!pin->messages)
        *pin = (struct pin){.queue = q, .segment = segment, .first = seq};
    pin->bytes += bytes;
    if (pin->last == seq)
        return;
    pin->messages++;
    pin->last = seq;
    if (entry->state != ENTRY_OUT)
        return;
    pin->unacked_first = pin->unacked++ ? pin->unacked_first : seq;
    pin->unacked_last = seq;
}

/* The message may have parts in several segments, and counts once in each: they were written one behind the
 * other, and the record behind the last. */
static void add_parts(struct walk *w, const struct queue *q, uint64_t seq, const struct entry *entry)
{
    const struct large *large = large_find(&w->router->large, entry_position(entry));
    uint32_t parts = large ? large->parts : 0;
    for (uint32_t i = 0; i < parts; i++)
        add(w, q, seq, entry, large->part[i].position, large->part[i].length);
    w->entries -= w->entries > parts ? parts : w->entries;
}

/* Goes through the queue's entries from *seq on. False: there are more. */
static bool walk_queue(struct walk *w, const struct queue *q, uint64_t *seq)
{
    const struct entry *entry = NULL;
    for (; w->entries && (entry = index_alive_from(&q->index, seq)); ++*seq) {
        w->entries--;
        if (entry_position(entry) & POSITION_TRANSIENT)
            continue;
        if (entry->large)
            add_parts(w, q, *seq, entry);
        add(w, q, *seq, entry, entry_position(entry), entry->share);
        if (w->rows.len > LIST_SLICE_BYTES)
            w->entries = 0;
    }
    return !entry;
}

/* place.at: the queue's slot; place.within: the number in it. */
void pinned_pins(struct router *router, struct op *op)
{
    struct list_place *place = &op->place;
    struct walk w = {.router = router, .op = op, .entries = LIST_SLICE_STEPS * PIN_ENTRIES};
    unsigned steps = LIST_SLICE_STEPS;
    for (; steps && place->at < router->queues.count; steps--, place->at++, place->within = 0) {
        const struct queue *q = router->queues.slot[place->at].thing;
        if (q && !walk_queue(&w, q, &place->within))
            break;
    }
    put_pin(&w);
    place->end = place->at >= router->queues.count;
    op->list = w.rows.text;
    router_answer_now(router, op);
}
