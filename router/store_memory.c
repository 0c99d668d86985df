/*
 * Which pages are in memory. A page leaves it when nothing needs it, or, over the budget, when it has not
 * been used for longest and can be had back: a durable page that is safe is just dropped, a transient one is
 * first written to the scratch file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "router/page_list.h"
#include "router/store_inside.h"

#define SPILL_RETRY_NS 1000000000ull

enum { HIGH_PERCENT = 125, LOW_PERCENT = 110 };

uint8_t *store_memory(struct store *store)
{
    store->resident++;
    if (store->spares)
        return store->spare[--store->spares];
    uint8_t *bytes = aligned_alloc(BLOCK_BYTES, PAGE_BYTES);
    CHECK(bytes);
    return bytes;
}

static void give_back(struct store *store, uint8_t *bytes)
{
    store->resident--;
    if (store->spares < STORE_SPARES)
        store->spare[store->spares++] = bytes;
    else
        free(bytes);
}

struct page *store_new_page(struct store *store, uint64_t at)
{
    struct page *page = calloc(1, sizeof *page);
    CHECK(page);
    page->at = at;
    page_list_set(&store->pages[stream_of(at)], page_number(at), page);
    return page;
}

struct page *store_page(const struct store *store, uint64_t position)
{
    return page_list_get(&store->pages[stream_of(position)], page_number(position));
}

static void unlink_use(struct store *store, struct page *page)
{
    *(page->newer ? &page->newer->older : &store->newest) = page->older;
    *(page->older ? &page->older->newer : &store->oldest) = page->newer;
    page->newer = page->older = NULL;
}

void store_use(struct store *store, struct page *page)
{
    page->older = store->newest;
    page->newer = NULL;
    *(store->newest ? &store->newest->newer : &store->oldest) = page;
    store->newest = page;
}

const void *store_bytes(struct store *store, struct page *page, uint64_t position)
{
    if (!page->bytes || page->state == PAGE_LOAD)
        return NULL;
    if (store->newest != page) {
        unlink_use(store, page);
        store_use(store, page);
    }
    return page->bytes + position % PAGE_BYTES;
}

/* The page's memory goes; it can be had back if anything still needs it. */
static void drop_bytes(struct store *store, struct page *page)
{
    unlink_use(store, page);
    give_back(store, page->bytes);
    page->bytes = NULL;
    page->state = PAGE_ABSENT;
}

static void scratch_give_back(struct store *store, uint64_t at)
{
    if (store->scratch_frees == store->scratch_frees_room) {
        store->scratch_frees_room = store->scratch_frees_room ? 2 * store->scratch_frees_room : 64;
        store->scratch_free =
            realloc(store->scratch_free, store->scratch_frees_room * sizeof *store->scratch_free);
        CHECK(store->scratch_free);
    }
    store->scratch_free[store->scratch_frees++] = at;
}

static bool is_safe(const struct store *store, const struct page *page)
{
    return !stream_of(page->at) || page->at + PAGE_BYTES <= store->safe;
}

void store_settle_page(struct store *store, struct page *page)
{
    bool busy = page->state == PAGE_OPEN || page->state == PAGE_SPILL || page->state == PAGE_LOAD;
    if (page->live || page->pins || busy || (page->bytes && !is_safe(store, page)))
        return;
    CHECK(!page->waiters);
    if (page->bytes)
        drop_bytes(store, page);
    if (page->on_scratch)
        scratch_give_back(store, page->scratch);
    page_list_remove(&store->pages[stream_of(page->at)], page_number(page->at));
    free(page);
}

void store_unpin(struct store *store, uint64_t page_id, uint32_t count)
{
    struct page *page = store_page(store, page_id);
    CHECK(page && page->pins >= count);
    page->pins -= count;
    if (page->pins == 0)
        store_settle_page(store, page);
}

static bool ask(struct store *store, enum journal_command_kind kind, struct page *page)
{
    struct journal_command command = {
        .kind = (uint8_t)kind,
        .len = PAGE_BYTES,
        .lsn = kind == JOURNAL_READ ? page->at : page->scratch,
        .bytes = page->bytes,
        .tag = page->at,
    };
    return ring_put(store->to_journal, &command, 1) == 1;
}

static bool start_load(struct store *store, struct page *page)
{
    page->bytes = store_memory(store);
    if (!ask(store, page->on_scratch ? JOURNAL_FETCH : JOURNAL_READ, page)) {
        give_back(store, page->bytes);
        page->bytes = NULL;
        return false;
    }
    page->state = PAGE_LOAD;
    page->from_disk = true;
    store->loading++;
    store_use(store, page);
    return true;
}

bool store_load(struct store *store, struct page *page, struct waiter *waiter)
{
    if (page->state == PAGE_ABSENT && !start_load(store, page))
        return false;
    if (waiter && page->state == PAGE_LOAD) {
        waiter->next = page->waiters;
        page->waiters = waiter;
    }
    return true;
}

static uint64_t scratch_take(struct store *store)
{
    if (store->scratch_frees)
        return store->scratch_free[--store->scratch_frees];
    store->scratch_end += PAGE_BYTES;
    return store->scratch_end - PAGE_BYTES;
}

static void spill(struct store *store, struct page *page)
{
    page->scratch = scratch_take(store);
    page->on_scratch = true;
    page->sum = crc32c(0, page->bytes, PAGE_BYTES);
    if (!ask(store, JOURNAL_SPILL, page)) {
        scratch_give_back(store, page->scratch);
        page->on_scratch = false;
        return;
    }
    page->state = PAGE_SPILL;
    store->spilling++;
}

/* Room in the scratch file comes back without anyone telling: it is tried again from time to time. */
static bool may_spill(struct store *store, uint64_t now_ns)
{
    if (store->spill_error) {
        if (!store->spill_at_ns)
            log_line(
                LOG_ERROR, "router",
                "router %u cannot write to its scratch file (%s): transient messages stay in memory; it is "
                "tried again every second",
                store->router, strerror((int)store->spill_error));
        store->spill_at_ns = now_ns + SPILL_RETRY_NS;
        store->spill_error = 0;
    }
    return now_ns >= store->spill_at_ns && store->spilling < WRITES_IN_FLIGHT;
}

/* Pages that may stay: the index has the rest of the budget, but what delivers and reads needs some. */
static size_t allowed(const struct store *store)
{
    size_t index = store->index_bytes / PAGE_BYTES, half = store->budget / 2;
    return index < half ? store->budget - index : store->budget - half;
}

uint64_t store_deadline(const struct store *store)
{
    return store->spill_at_ns && store->resident > allowed(store) ? store->spill_at_ns : UINT64_MAX;
}

void store_watermarks(struct store *store, unsigned high, unsigned low)
{
    store->high = high ? high : HIGH_PERCENT;
    store->low = low ? low : LOW_PERCENT;
}

static uint64_t percent(const struct store *store, unsigned of)
{
    return (uint64_t)store->budget * PAGE_BYTES * of / 100;
}

uint64_t store_limit(const struct store *store)
{
    return percent(store, store->high);
}

void store_shrink(struct store *store, uint64_t now_ns)
{
    struct page *page = store->oldest;
    size_t most = allowed(store);
    for (unsigned n = 0; page && n < 64 && store->resident > most + store->spilling; n++) {
        struct page *newer = page->newer;
        bool idle = page->state == PAGE_CLOSED && page->pins == 0;
        if (idle && (page->on_scratch || (stream_of(page->at) && is_safe(store, page))))
            drop_bytes(store, page);
        else if (idle && !stream_of(page->at) && may_spill(store, now_ns))
            spill(store, page);
        page = newer;
    }
    uint64_t used = store->resident * PAGE_BYTES + store->index_bytes;
    store->pressed = used > percent(store, store->pressed ? store->low : store->high);
}

bool store_pressed(const struct store *store)
{
    return store->pressed;
}

static void spilled(struct store *store, struct page *page, uint32_t error)
{
    store->spilling--;
    page->state = PAGE_CLOSED;
    if (error) {
        store->spill_error = error;
        scratch_give_back(store, page->scratch);
        page->on_scratch = false;
    } else {
        store->spill_at_ns = 0;
        if (page->pins == 0 && store->resident > allowed(store))
            drop_bytes(store, page);
    }
    store_settle_page(store, page);
}

static struct waiter *loaded(struct store *store, struct page *page, uint32_t error)
{
    struct waiter *waiters = page->waiters;
    store->loading--;
    if (!error && page->on_scratch && crc32c(0, page->bytes, PAGE_BYTES) != page->sum)
        error = EIO;
    page->waiters = NULL;
    page->state = PAGE_CLOSED;
    if (error) {
        drop_bytes(store, page);
        page->state = PAGE_DAMAGED;
    }
    if (page->live == 0)
        store_settle_page(store, page);
    return waiters;
}

struct waiter *store_on_done(struct store *store, const struct journal_event *event)
{
    struct page *page = store_page(store, event->tag);
    CHECK(page && (page->state == PAGE_LOAD || page->state == PAGE_SPILL));
    if (page->state == PAGE_LOAD)
        return loaded(store, page, event->error);
    spilled(store, page, event->error);
    return NULL;
}

static void free_pages(struct page_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct page *page = list->slots[(list->head + i) & list->mask];
        if (page)
            free(page->bytes);
        free(page);
    }
    free(list->slots);
}

void store_free(struct store *store)
{
    free_pages(&store->pages[0]);
    free_pages(&store->pages[1]);
    while (store->spares)
        free(store->spare[--store->spares]);
    free(store->spare);
    free(store->segments);
    free(store->scratch_free);
}
