#include "router/fetch.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/large.h"

/* Pages on their way ahead of the one that is delivered from, at most; of a small budget an eighth. It is all
 * that is read ahead at once, whoever wants it; and while publishers wait for a write, it is less: that is
 * not to stand behind much in the disk's queue. */
enum { READ_AHEAD = 8, READ_AHEAD_BESIDE_WRITES = 2 };

void fetch_reset(struct router *router, struct fetching *f)
{
    struct large *large = f->gathering;
    f->gathering = NULL;
    for (uint32_t i = 0; large && i < f->gathered; i++)
        store_unpin(&router->store, large->part[i].position, 1);
    f->gathered = 0;
}

void fetch_abandon(struct router *router, struct fetching *f)
{
    struct page_list *lists = router->store.pages;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < lists[s].count; i++) {
            struct page *page = lists[s].slots[(lists[s].head + i) & lists[s].mask];
            for (struct waiter **w = page ? &page->waiters : NULL; w && *w; w = &(*w)->next)
                if (*w == &f->waiter) {
                    *w = f->waiter.next;
                    return;
                }
        }
}

/* The pages that whoever goes through a backlog will want next: asked for when it comes to a page that was
 * absent itself, so that the disk always has some to read. */
static void read_ahead(struct router *router, struct fetching *f, uint64_t position)
{
    const struct store *store = &router->store;
    size_t most = store->safe < store->handed ? READ_AHEAD_BESIDE_WRITES : READ_AHEAD;
    if (most > store->budget / 8)
        most = store->budget / 8;
    f->reading = position / PAGE_BYTES;
    for (size_t n = 1; n <= most && store->loading <= most; n++) {
        struct page *page = store_page(&router->store, position + n * PAGE_BYTES);
        if (page && page->state == PAGE_ABSENT && page->live)
            store_load(&router->store, page, NULL);
    }
}

/* What was read back from disk is looked at before it is believed. Scratch pages were checked as a whole. */
static bool sound(const struct page *page, const void *bytes, uint64_t position)
{
    if (!page->from_disk || (position & POSITION_TRANSIENT))
        return true;
    return record_valid(bytes, position, PAGE_BYTES - position % PAGE_BYTES);
}

static enum fetch fetch(struct router *router, struct fetching *f, uint64_t position, struct page **found,
                        const void **bytes)
{
    struct page *page = store_page(&router->store, position);
    CHECK(page);
    *found = page;
    *bytes = store_bytes(&router->store, page, position);
    if (*bytes) {
        if (page->from_disk && f->reading != position / PAGE_BYTES)
            read_ahead(router, f, position);
        return sound(page, *bytes, position) ? FETCH_THERE : FETCH_DAMAGED;
    }
    if (page->state == PAGE_DAMAGED)
        return FETCH_DAMAGED;
    if (!store_load(&router->store, page, &f->waiter))
        return FETCH_BUSY;
    read_ahead(router, f, position);
    return FETCH_WAIT;
}

/* Brings the parts of a large message together, each pinned as it comes. */
static enum fetch gather(struct router *router, struct fetching *f, uint64_t position)
{
    struct large *large = large_find(&router->large, position);
    if (f->gathering != large)
        fetch_reset(router, f);
    f->gathering = large;
    for (; f->gathered < large->parts; f->gathered++) {
        const void *bytes;
        struct page *page;
        enum fetch result = fetch(router, f, large->part[f->gathered].position, &page, &bytes);
        if (result != FETCH_THERE)
            return result;
        store_pin(page);
    }
    return FETCH_THERE;
}

/* The pins pass to the front. */
struct parts *fetch_parts(struct router *router, struct fetching *f)
{
    struct large *large = f->gathering;
    struct parts *parts = malloc(sizeof *parts + large->parts * sizeof parts->part[0]);
    CHECK(parts);
    parts->n = large->parts;
    parts->gaps = 0;
    for (uint32_t i = 0; i < large->parts; i++) {
        uint64_t at = large->part[i].position;
        struct page *page = store_page(&router->store, at);
        const struct message *m = store_bytes(&router->store, page, at);
        parts->part[i].at = message_body(m).at;
        parts->part[i].len = m->body_len;
        parts->part[i].page = page->at;
    }
    f->gathering = NULL;
    f->gathered = 0;
    return parts;
}

enum fetch fetch_message(struct router *router, struct fetching *f, struct head *head)
{
    const void *bytes = NULL;
    uint64_t position = entry_position(head->entry);
    enum fetch result = head->entry->large ? gather(router, f, position) : FETCH_THERE;
    if (result == FETCH_THERE)
        result = fetch(router, f, position, &head->page, &bytes);
    head->message = bytes;
    return result;
}
