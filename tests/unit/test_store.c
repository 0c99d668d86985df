/*
 * The store between a made-up router, which appends, keeps, reads, pins and drops at random, and
 * fake_journal, which judges what it is asked to write. What every record should hold is a function of its
 * number.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "fake_journal.h"
#include "router/page_list.h"
#include "router/store.h"

enum { RECORDS_MAX = 20000, BUDGET_PAGES = 10 };

/* The last place in the log that a test may fill. */
#define LOG_END (((uint64_t)FAKE_SEGMENTS - 2) * SEGMENT_BYTES)
/* Time between two looks at what is over the budget. */
#define SHRINK_EVERY_NS 100000000ull

struct kept {
    uint64_t position;
    size_t len;
    uint32_t share;
    unsigned keeps;        /* index entries that need it */
    const uint8_t *pinned; /* NULL: no delivery points to it */
    bool waiting;
    struct waiter waiter;
};

struct world {
    struct prng prng;
    struct fake_journal journal;
    struct store store;
    uint64_t now_ns;
    struct kept *records;
    unsigned count;
    unsigned walked; /* the next that a walk through the log should meet */
    unsigned woken, damaged;
};

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    const struct journal_end end = {.lsn = FAKE_FIRST, .safe = FAKE_FIRST};
    prng_seed(&w->prng, seed);
    fake_journal_init(&w->journal, seed);
    store_init(&w->store, w->journal.commands, FAKE_ROUTER, BUDGET_PAGES * PAGE_BYTES);
    cr_assert_null(store_open(&w->store, &end, FAKE_BROKER, FAKE_START));
    w->records = calloc(RECORDS_MAX, sizeof *w->records);
    return w;
}

static void world_free(struct world *w)
{
    store_free(&w->store);
    fake_journal_free(&w->journal);
    free(w->records);
    free(w);
}

static bool is_durable(const struct kept *k)
{
    return !(k->position & POSITION_TRANSIENT);
}

static uint8_t byte_of(unsigned id, size_t i)
{
    return (uint8_t)(id * 31 + i * 7 + (i >> 8));
}

static void check_record(const struct world *w, const struct kept *k, const void *bytes)
{
    const struct record *record = bytes;
    unsigned id = (unsigned)(k - w->records);
    cr_assert_eq(record->length, record_round(k->len));
    cr_assert_eq(record->type, RECORD_OWN + id % 10);
    for (size_t i = sizeof *record; i < k->len; i++)
        if (((const uint8_t *)bytes)[i] != byte_of(id, i))
            cr_assert_fail("byte %zu of record %u", i, id);
    for (size_t i = k->len; i < record->length; i++)
        cr_assert_eq(((const uint8_t *)bytes)[i], 0, "padding is zero");
    if (is_durable(k))
        cr_assert(record_valid(record, k->position, PAGE_BYTES - k->position % PAGE_BYTES));
}

/* ---- the router's side ---------------------------------------------------------------------------- */

static struct kept *append(struct world *w, bool durable, size_t len)
{
    cr_assert_lt(w->count, RECORDS_MAX);
    struct kept *k = &w->records[w->count];
    struct record *record = store_begin(&w->store, durable, len);
    record->type = (uint8_t)(RECORD_OWN + w->count % 10);
    for (size_t i = sizeof *record; i < len; i++)
        ((uint8_t *)record)[i] = byte_of(w->count, i);
    *k = (struct kept){.position = store_end(&w->store), .len = len, .share = (uint32_t)len};
    cr_assert_eq(is_durable(k), durable);
    cr_assert_eq(k->position % 8, 0);
    cr_assert_leq(k->position % PAGE_BYTES + record_round(len), PAGE_BYTES, "no record crosses pages");
    w->count++;
    return k;
}

static void keep(struct world *w, struct kept *k)
{
    store_keep(&w->store, k->position, k->share);
    k->keeps++;
    if (is_durable(k))
        w->journal.emptied[k->position / SEGMENT_BYTES] = UINT64_MAX;
}

static void drop(struct world *w, struct kept *k)
{
    uint64_t segment = k->position / SEGMENT_BYTES;
    store_drop(&w->store, k->position, k->share);
    k->keeps--;
    if (is_durable(k) && !store_segment_alive(&w->store, segment))
        w->journal.emptied[segment] = store_lsn(&w->store);
}

static void pin(struct world *w, struct kept *k, const uint8_t *bytes)
{
    store_pin(store_page(&w->store, k->position));
    k->pinned = bytes;
}

static void unpin(struct world *w, struct kept *k)
{
    check_record(w, k, k->pinned);
    k->pinned = NULL;
    store_unpin(&w->store, k->position / PAGE_BYTES * PAGE_BYTES, 1);
}

/* As a consumer does it: from memory, else it waits. */
static const void *look(struct world *w, struct kept *k, bool wait)
{
    struct page *page = store_page(&w->store, k->position);
    cr_assert(page, "what is kept is known");
    const void *bytes = store_bytes(&w->store, page, k->position);
    if (bytes)
        check_record(w, k, bytes);
    else if (page->state == PAGE_DAMAGED)
        w->damaged++;
    else if (store_load(&w->store, page, wait ? &k->waiter : NULL) && wait)
        k->waiting = true;
    return bytes;
}

static void wake(struct world *w, struct waiter *waiter)
{
    while (waiter) {
        struct kept *k = container_of(waiter, struct kept, waiter);
        waiter = waiter->next;
        struct page *page = store_page(&w->store, k->position);
        cr_assert(k->waiting && page);
        k->waiting = false;
        const void *bytes = store_bytes(&w->store, page, k->position);
        cr_assert(bytes || page->state == PAGE_DAMAGED, "who is woken finds it");
        if (bytes)
            check_record(w, k, bytes);
        w->woken++;
    }
}

static bool journal_turn(struct world *w, unsigned take)
{
    struct journal_event event;
    fake_journal_take(&w->journal, take);
    bool told = fake_journal_do(&w->journal, &event);
    if (told)
        wake(w, store_on_journal(&w->store, &event));
    return told;
}

/* Until there is nothing left to do. */
static void settle(struct world *w)
{
    for (unsigned idle = 0, turns = 0; idle < 3; turns++) {
        cr_assert_lt(turns, 1000000, "it never comes to rest");
        unsigned work = store_flush(&w->store);
        store_shrink(&w->store, w->now_ns += SHRINK_EVERY_NS);
        work += journal_turn(w, UINT32_MAX) || fake_journal_busy(&w->journal);
        idle = work ? 0 : idle + 1;
    }
    cr_assert(store_idle(&w->store));
    cr_assert_eq(w->journal.safe, store_lsn(&w->store));
}

/* ---- what must hold -------------------------------------------------------------------------------- */

struct census {
    size_t resident, pinned, on_scratch;
};

static struct census take_census(const struct store *store)
{
    struct census c = {0};
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < store->pages[s].count; i++) {
            const struct page *page = page_list_get(&store->pages[s], store->pages[s].first + i);
            if (!page)
                continue;
            c.resident += page->bytes != NULL;
            c.pinned += page->bytes && page->pins;
            c.on_scratch += page->on_scratch;
            if (page->state != PAGE_OPEN)
                cr_assert(page->live || page->pins, "page %lu is needed by nobody", (unsigned long)page->at);
        }
    return c;
}

/* At rest: memory is within the budget but for what deliveries look at, and only what is needed is known. */
static void check_rest(const struct world *w)
{
    const struct store *store = &w->store;
    struct census c = take_census(store);
    cr_assert_eq(store->resident, c.resident);
    cr_assert_eq(store->scratch_end / PAGE_BYTES - store->scratch_frees, c.on_scratch,
                 "places in the scratch file");
    if (!w->journal.fail_spills)
        cr_assert_leq(store->resident, BUDGET_PAGES + c.pinned);
    for (unsigned i = 0; i < w->count; i++) {
        const struct kept *k = &w->records[i];
        const struct page *page = store_page(store, k->position);
        cr_assert(page || (!k->keeps && !k->pinned));
        if (is_durable(k) && k->keeps)
            cr_assert(store_segment_alive(store, k->position / SEGMENT_BYTES));
    }
}

static void on_walked(void *owner, const struct record *record, uint64_t lsn)
{
    struct world *w = owner;
    while (w->walked < w->count && (!is_durable(&w->records[w->walked]) ||
                                    w->journal.retired[w->records[w->walked].position / SEGMENT_BYTES]))
        w->walked++;
    cr_assert_lt(w->walked, w->count, "a record too many");
    const struct kept *k = &w->records[w->walked++];
    cr_assert_eq(k->position, lsn);
    check_record(w, k, record);
}

/* All that was appended stands in the log, once, in order, and chained. */
static void check_log(struct world *w)
{
    w->walked = 0;
    fake_journal_walk(&w->journal, on_walked, w);
    for (unsigned i = w->walked; i < w->count; i++)
        cr_assert(!is_durable(&w->records[i]), "record %u is missing", i);
}

/* ---- lives at random ------------------------------------------------------------------------------- */

static struct kept *any(struct world *w)
{
    return w->count ? &w->records[prng_below(&w->prng, w->count)] : NULL;
}

/* Mostly small, some a page's fill, some that leave just eight bytes of a block. */
static size_t any_len(struct world *w)
{
    switch (prng_below(&w->prng, 12)) {
    case 0:
        return sizeof(struct record) +
               prng_below(&w->prng, PAGE_BYTES - 2 * BLOCK_BYTES - sizeof(struct record) + 1);
    case 1:
        return PAGE_BYTES - 2 * BLOCK_BYTES;
    case 2:
        return BLOCK_BYTES - sizeof(struct record_commit) - 8 * prng_below(&w->prng, 3);
    default:
        return sizeof(struct record) + prng_below(&w->prng, PAGE_BYTES / 32);
    }
}

static void append_any(struct world *w)
{
    bool durable = prng_below(&w->prng, 3) && store_lsn(&w->store) < LOG_END;
    /* The scratch file of the fake has an end too. */
    if (w->count == RECORDS_MAX || (!durable && w->store.pages[0].count > FAKE_PAGES_SPILLED - 4))
        return;
    struct kept *k = append(w, durable, any_len(w));
    for (unsigned keeps = (unsigned)prng_below(&w->prng, 3); keeps || !durable; keeps--) {
        keep(w, k); /* nobody appends a transient record that no queue keeps */
        if (keeps <= 1)
            break;
    }
}

static void look_at_any(struct world *w)
{
    struct kept *k = any(w);
    if (!k || !k->keeps || k->waiting)
        return;
    const void *bytes = look(w, k, prng_below(&w->prng, 2));
    if (bytes && !k->pinned && prng_below(&w->prng, 4) == 0)
        pin(w, k, bytes);
}

static void drop_any(struct world *w)
{
    struct kept *k = any(w);
    if (k && k->keeps && !k->waiting)
        drop(w, k);
}

/* All that is older than something goes, as when a consumer catches up: this empties pages and segments. */
static void drop_old(struct world *w)
{
    unsigned until = w->count ? (unsigned)prng_below(&w->prng, w->count) : 0;
    for (unsigned i = 0; i < until; i++)
        while (w->records[i].keeps && !w->records[i].waiting)
            drop(w, &w->records[i]);
}

static void unpin_any(struct world *w)
{
    struct kept *k = any(w);
    if (k && k->pinned)
        unpin(w, k);
}

/* A checkpoint begins, as the router's does, behind the header of the segment that is open, when what is
 * before is safe. */
static void checkpoint(struct world *w)
{
    uint64_t segment = w->store.safe / SEGMENT_BYTES * SEGMENT_BYTES;
    if (w->store.safe > segment + BLOCK_BYTES)
        store_checkpoint(&w->store, segment + BLOCK_BYTES);
}

/* slow: the journal takes so little that the ring to it is full for most of the time. */
static void step(struct world *w, bool slow)
{
    unsigned what = (unsigned)prng_below(&w->prng, 100);
    if (what < 25)
        append_any(w);
    else if (what < 50)
        look_at_any(w);
    else if (what < 65)
        drop_any(w);
    else if (what < 70)
        unpin_any(w);
    else if (what < 80)
        store_flush(&w->store);
    else if (what < 85)
        store_shrink(&w->store, w->now_ns += SHRINK_EVERY_NS);
    else if (what < 99)
        journal_turn(w, slow ? prng_below(&w->prng, 8) == 0 : (unsigned)prng_below(&w->prng, 4));
    else if (prng_below(&w->prng, 2))
        checkpoint(w);
    else
        drop_old(w);
}

/* End by taking everything down, so that what nobody needs is seen to be forgotten. */
static void end(struct world *w)
{
    settle(w);
    for (unsigned i = 0; i < w->count; i++) {
        if (w->records[i].pinned)
            unpin(w, &w->records[i]);
        while (w->records[i].keeps)
            drop(w, &w->records[i]);
    }
    settle(w);
    check_rest(w);
    check_log(w);
    cr_assert_leq(w->store.resident, 2, "only open pages are left");
}

#ifndef GANNET_TINY
enum { SEEDS = 2, STEPS = 4000, FILLS_SEGMENTS = 0 };
#else
enum { SEEDS = 60, STEPS = 4000, FILLS_SEGMENTS = 1 };
#endif

static void lives(uint32_t fail_reads, uint32_t fail_spills)
{
    unsigned woken = 0, spills = 0, retires = 0, damaged = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct world *w = world_new(seed);
        w->journal.fail_reads = fail_reads;
        w->journal.fail_spills = fail_spills;
        for (unsigned part = 0; part < 4; part++) {
            for (unsigned i = 0; i < STEPS / 4; i++)
                step(w, seed % 4 == 1);
            settle(w);
            check_rest(w);
        }
        end(w);
        woken += w->woken;
        spills += w->journal.spills;
        retires += w->journal.retires;
        damaged += w->damaged;
        world_free(w);
    }
    /* The dice met what the test is for. */
    cr_assert_gt(woken, SEEDS);
    cr_assert(spills > SEEDS || fail_spills);
    cr_assert(damaged > 0 || !fail_reads);
    cr_assert(retires > SEEDS || !FILLS_SEGMENTS);
}

Test(store, keeps_and_hands_over_what_was_appended, .timeout = 100)
{
    lives(0, 0);
}

Test(store, lives_with_pages_that_can_not_be_read_back, .timeout = 100)
{
    lives(200000, 0);
}

Test(store, lives_with_a_scratch_file_that_can_not_be_written, .timeout = 100)
{
    lives(0, 50000);
}
