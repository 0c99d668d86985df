#include "lone_router.h"

#include "base/check.h"

void lone_router_begin(struct lone_router *lone, struct router_options options)
{
    static const char *const vhosts[] = {"/"};
    static const struct access_first first = {vhosts, 1, "u", ""};
    lone->from_front = ring_new();
    lone->to_front = ring_new();
    lone->to_journal = ring_new();
    lone->from_journal = ring_new();
    options.routers = options.fronts = 1;
    options.first = &first;
    options.tallies = lone->tallies = tallies_new();
    options.from_front[0] = lone->from_front;
    options.to_front[0] = lone->to_front;
    options.to_journal = lone->to_journal;
    options.from_journal = lone->from_journal;
    lone->router = router_new(&options);
}

void lone_router_end(struct lone_router *lone)
{
    router_free(lone->router);
    tallies_free(lone->tallies);
    ring_free(lone->from_front);
    ring_free(lone->to_front);
    ring_free(lone->to_journal);
    ring_free(lone->from_journal);
}

static void replay_page(struct router *to, struct store *store, uint64_t at, uint64_t from, uint64_t until)
{
    struct record_scan scan;
    const struct record *record;
    uint64_t lsn;
    if (!store_page(store, at))
        return;
    record_scan_begin(&scan, store_page(store, at)->bytes, at, 1);
    while ((record = record_next(&scan, &lsn)))
        if (lsn >= from && lsn < until)
            persist_replay(to, record, lsn);
}

void lone_router_replay(struct lone_router *other, struct lone_router *one, uint64_t from, uint64_t until)
{
    struct router *to = other->router;
    struct store *store = &one->router->store;
    persist_settled_flush(one->router);
    to->recovering = true;
    for (uint64_t at = from / PAGE_BYTES * PAGE_BYTES; at < store->end[1]; at += PAGE_BYTES)
        replay_page(to, store, at, from, until);
    persist_replayed(to);
    to->recovering = false;
    uint64_t end = (store->end[1] / PAGE_BYTES + 1) * PAGE_BYTES;
    store_open(&to->store, &(struct journal_end){.lsn = end, .safe = end}, 1, 2);
}
