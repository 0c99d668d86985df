/* The accounts of the journal's segments: what in them is alive, and when they may go. */
#include <stdlib.h>

#include "base/check.h"
#include "router/page_list.h"
#include "router/store_inside.h"

static struct segment *segment_get(const struct store *store, uint64_t number)
{
    if (number - store->segment_first >= store->segment_count)
        return NULL;
    return &store->segments[(store->segment_head + (number - store->segment_first)) & store->segment_mask];
}

static void grow(struct store *store, size_t want)
{
    size_t room = store->segments ? store->segment_mask + 1 : 16;
    while (room < want)
        room *= 2;
    if (store->segments && room == store->segment_mask + 1)
        return;
    struct segment *segments = calloc(room, sizeof *segments);
    CHECK(segments);
    for (size_t i = 0; i < store->segment_count; i++)
        segments[i] = store->segments[(store->segment_head + i) & store->segment_mask];
    free(store->segments);
    store->segments = segments;
    store->segment_mask = room - 1;
    store->segment_head = 0;
}

/* Numbers between those that are known count as retired until they are asked for. */
struct segment *store_segment(struct store *store, uint64_t number)
{
    if (store->segment_count == 0)
        store->segment_first = number;
    while (number < store->segment_first) {
        grow(store, store->segment_count + 1);
        store->segment_head = (store->segment_head - 1) & store->segment_mask;
        store->segments[store->segment_head] = (struct segment){.retired = true};
        store->segment_first--;
        store->segment_count++;
    }
    while (number - store->segment_first >= store->segment_count) {
        grow(store, store->segment_count + 1);
        size_t i = (store->segment_head + store->segment_count++) & store->segment_mask;
        store->segments[i] = (struct segment){.retired = true};
    }
    struct segment *segment = segment_get(store, number);
    store->segments_held += segment->retired;
    segment->retired = false;
    return segment;
}

void store_found_segments(struct store *store, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < store->segment_count; i++)
        store->segments[(store->segment_head + i) & store->segment_mask].retired = true;
    store->segments_held = 0;
    for (size_t i = 0; i < count; i++)
        store_segment(store, numbers[i]);
    store->some_emptied = true;
}

/* Retired segments at the old end are forgotten. */
static void trim(struct store *store)
{
    while (store->segment_count && store->segments[store->segment_head].retired) {
        store->segment_head = (store->segment_head + 1) & store->segment_mask;
        store->segment_first++;
        store->segment_count--;
    }
}

static void retire(struct store *store, uint64_t number, struct segment *segment)
{
    struct journal_command command = {.kind = JOURNAL_RETIRE, .lsn = number * SEGMENT_BYTES};
    if (ring_put(store->to_journal, &command, 1) == 1)
        segment->retired = true, store->segments_held--;
    else
        store->some_emptied = true; /* the journal is busy: again when it says SAFE */
}

/* That nothing in it is alive must be safe before it goes: the first record behind `emptied` says so
 * (settlements are written before anything else is). */
void store_retire(struct store *store)
{
    uint64_t end = store->segment_first + store->segment_count;
    store->some_emptied = false;
    for (uint64_t n = store->segment_first; n < end && (n + 1) * SEGMENT_BYTES <= store->replay_from; n++) {
        struct segment *segment = segment_get(store, n);
        if (segment->retired || segment->live || store->failed)
            continue;
        if (segment->emptied < store->safe)
            retire(store, n, segment);
        else
            store->some_emptied = true;
    }
    trim(store);
}

uint64_t store_sparse_segment(const struct store *store, uint64_t age)
{
    uint64_t now = store->end[1] / SEGMENT_BYTES;
    for (uint64_t n = store->segment_first; n + age < now && (n + 1) * SEGMENT_BYTES <= store->replay_from;
         n++) {
        const struct segment *segment = segment_get(store, n);
        if (segment && !segment->retired && segment->live && segment->live_bytes < SEGMENT_SPARSE_BYTES)
            return n;
    }
    return 0;
}

bool store_segment_alive(const struct store *store, uint64_t number)
{
    const struct segment *segment = segment_get(store, number);
    return segment && segment->live;
}

void store_checkpoint(struct store *store, uint64_t lsn)
{
    store->checkpoint = lsn;
}

size_t store_dead_segments(const struct store *store)
{
    size_t dead = 0;
    uint64_t end = store->end[1] / SEGMENT_BYTES;
    for (uint64_t n = store->segment_first; n < end && !store->header_lsn; n++) {
        const struct segment *segment = segment_get(store, n);
        dead += segment && !segment->retired && !segment->live;
    }
    return dead;
}

bool store_fits(const struct store *store, uint64_t bytes, uint64_t segments)
{
    uint64_t last = (store->end[1] + bytes) / SEGMENT_BYTES + segments;
    return (last + 1) * SEGMENT_BYTES <= store->ready;
}

uint64_t store_log_bytes(const struct store *store)
{
    return store->segments_held * SEGMENT_BYTES;
}

static struct page *page_for(struct store *store, uint64_t position)
{
    struct page *page = page_list_get(&store->pages[stream_of(position)], page_number(position));
    if (!page) {
        page = store_new_page(store, position & ~(uint64_t)(PAGE_BYTES - 1));
        page->state = PAGE_ABSENT;
    }
    return page;
}

void store_keep(struct store *store, uint64_t position, uint32_t share)
{
    page_for(store, position)->live++;
    if (!stream_of(position))
        return;
    struct segment *segment = store_segment(store, position / SEGMENT_BYTES);
    segment->live++;
    segment->live_bytes += share;
}

void store_drop(struct store *store, uint64_t position, uint32_t share)
{
    struct page *page = page_list_get(&store->pages[stream_of(position)], page_number(position));
    CHECK(page && page->live);
    page->live--;
    if (stream_of(position)) {
        struct segment *segment = segment_get(store, position / SEGMENT_BYTES);
        CHECK(segment && segment->live);
        segment->live--;
        segment->live_bytes -= share;
        if (segment->live == 0) {
            segment->emptied = store->end[1];
            store->some_emptied = true;
        }
    }
    if (page->live == 0)
        store_settle_page(store, page);
}
