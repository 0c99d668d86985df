/* Publishers that number their messages, and levels of confirms: a router without a disk, told its publishes
 * one by one; what it has written is replayed into another. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "lone_router.h"
#include "router/policy_effect.h"
#include "router/shape.h"
#include "router/table_out.h"

enum { HEADERS_MAX = 400, SECOND = 1000000000 };

struct world {
    struct lone_router lone;
    struct router *router; /* its */
    struct catalog_exchange *exchange;
    struct queue *durable, *transient;
    uint64_t seq; /* of the last publish */
};

/* ---- a router and its queues --------------------------------------------------------------------- */

static struct queue *queue_add(struct world *w, const char *name, bool durable)
{
    struct queue *queue = queue_new(w->router, LONE_VHOST, span_str(name));
    queue->durable = durable;
    queue->number = durable ? w->router->catalog.queue_next++ : 0;
    catalog_queue_add(&w->router->catalog, queue);
    if (durable && !w->router->recovering)
        persist_queue(w->router, queue);
    return queue;
}

static struct world *world_without_queues(uint64_t silence_s)
{
    struct world *w = calloc(1, sizeof *w);
    lone_router_begin(&w->lone, (struct router_options){.producer_silence_ns = silence_s * SECOND,
                                                        .memory_budget = 100 * PAGE_BYTES});
    w->router = w->lone.router;
    w->router->now_ns = SECOND;
    w->router->catalog.queue_next = 1;
    w->exchange = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str(""));
    return w;
}

static struct world *world_new(uint64_t silence_s)
{
    struct world *w = world_without_queues(silence_s);
    store_open(&w->router->store, &(struct journal_end){.lsn = SEGMENT_BYTES, .safe = SEGMENT_BYTES}, 1, 1);
    w->durable = queue_add(w, "durable", true);
    w->transient = queue_add(w, "transient", false);
    return w;
}

static void world_free(struct world *w)
{
    lone_router_end(&w->lone);
    free(w);
}

/* ---- publishes ----------------------------------------------------------------------------------- */

struct sent {
    const char *queue, *producer, *confirm;
    uint64_t seq;
    bool transient;
};

static void publish(struct world *w, struct sent s)
{
    uint8_t bytes[HEADERS_MAX], *at = put_span(bytes, span_str(s.queue));
    uint8_t *properties = at, *headers = at + 6;
    at = headers;
    if (s.producer)
        at = put_field_str(at, "x-producer-id", span_str(s.producer));
    if (s.seq)
        at = put_field_long(at, "x-producer-seq", (int64_t)s.seq);
    if (s.confirm)
        at = put_field_str(at, "x-confirm", span_str(s.confirm));
    put_be32(put_be16(properties, 1 << 13), (uint32_t)(at - headers));
    struct command_publish c = {
        .kind = COMMAND_PUBLISH,
        .flags = (uint8_t)(PUBLISH_CONFIRM | PUBLISH_MARKED | (s.transient ? 0 : PUBLISH_PERSISTENT)),
        .key_len = (uint8_t)strlen(s.queue),
        .channel = 1,
        .conn = 1,
        .seq = ++w->seq,
        .exchange = w->exchange->exchange.id,
        .bytes = bytes,
        .properties_at = (uint16_t)(properties - bytes),
        .properties_len = (uint32_t)(at - properties),
        .body_at = (uint32_t)(at - bytes),
        .headers_in = (uint32_t)(headers - properties),
    };
    router_on_publish(w->router, 0, &c);
}

static void publish_numbers(struct world *w, const char *producer, uint64_t from, uint64_t to)
{
    for (uint64_t seq = from; seq <= to; seq++)
        publish(w, (struct sent){.queue = "durable", .producer = producer, .seq = seq});
}

/* Which publish has been answered next; 0: none. */
static uint64_t confirmed(struct world *w, bool *refused)
{
    union event event;
    confirm_poll(w->router);
    link_flush(&w->router->front[0]);
    if (!ring_take(w->lone.to_front, &event, 1))
        return 0;
    cr_assert_eq(event.kind, EVENT_CONFIRM);
    *refused = event.confirm.flags & CONFIRM_REFUSED;
    return event.confirm.seq + event.confirm.count - 1;
}

static void make_safe(struct world *w)
{
    w->router->store.safe = store_lsn(&w->router->store);
}

static uint64_t ready(const struct queue *queue)
{
    return queue->index.ready;
}

/* ---- a restart ----------------------------------------------------------------------------------- */

/* Replays what stands in the log from lsn on into a new router. */
static struct world *replayed(struct world *w, uint64_t from)
{
    struct world *other = world_without_queues(1);
    lone_router_replay(&other->lone, &w->lone, from, UINT64_MAX);
    other->durable = catalog_queue_by_number(&other->router->catalog, w->durable->number);
    other->transient = queue_add(other, "transient", false);
    return other;
}

/* ---- numbers ------------------------------------------------------------------------------------- */

Test(producer, each_number_is_kept_once)
{
    struct world *w = world_new(1);
    publish_numbers(w, "a", 1, 5);
    publish_numbers(w, "a", 3, 6);
    publish_numbers(w, "b", 1, 2);
    cr_assert_eq(ready(w->durable), 8);
    world_free(w);
}

Test(producer, numbers_left_out_may_come_later_as_long_as_they_are_known)
{
    struct world *w = world_new(1);
    publish_numbers(w, "a", 2, 2);
    publish_numbers(w, "a", PRODUCER_WINDOW, PRODUCER_WINDOW);
    publish_numbers(w, "a", 1, 3);
    cr_assert_eq(ready(w->durable), 4, "1 and 3 are new");
    publish_numbers(w, "a", 2 * PRODUCER_WINDOW - 1, 2 * PRODUCER_WINDOW - 1);
    publish_numbers(w, "a", PRODUCER_WINDOW - 1, PRODUCER_WINDOW + 1);
    cr_assert_eq(ready(w->durable), 6, "of these three one is too old and one is there");
    publish_numbers(w, "a", UINT64_C(1) << 62, UINT64_C(1) << 62);
    publish_numbers(w, "a", 2 * PRODUCER_WINDOW, 2 * PRODUCER_WINDOW);
    cr_assert_eq(ready(w->durable), 7);
    world_free(w);
}

/* Against a plain list of what was taken. */
Test(producer, any_numbers_within_the_window)
{
    struct world *w = world_new(1);
    struct prng prng;
    enum { NUMBERS = 20 * PRODUCER_WINDOW };
    bool *taken = calloc(NUMBERS + 1, sizeof *taken);
    uint64_t count = 0, highest = 1;
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t low = highest < PRODUCER_WINDOW ? 1 : highest - PRODUCER_WINDOW + 1;
        uint64_t seq = prng_below(&prng, 50) ? highest + prng_below(&prng, 4)
                                             : low + prng_below(&prng, (uint32_t)(highest - low + 1));
        if (seq > NUMBERS)
            break;
        count += !taken[seq];
        taken[seq] = true;
        highest = seq > highest ? seq : highest;
        publish(w, (struct sent){.queue = "transient", .producer = "a", .seq = seq});
        cr_assert_eq(ready(w->transient), count, "number %lu", (unsigned long)seq);
    }
    free(taken);
    world_free(w);
}

Test(producer, unroutable_is_not_taken)
{
    struct world *w = world_new(1);
    publish(w, (struct sent){.queue = "nobody", .producer = "a", .seq = 1});
    publish_numbers(w, "a", 1, 1);
    cr_assert_eq(ready(w->durable), 1);
    world_free(w);
}

Test(producer, more_queues_than_a_record_can_name)
{
    struct world *w = world_new(1);
    struct catalog_exchange *fanout =
        catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.fanout"));
    bool refused;
    char name[20];
    for (unsigned i = 0; i < ROUTES_MAX; i++) {
        snprintf(name, sizeof name, "q%u", i);
        struct queue *queue = queue_add(w, name, true);
        exchange_bind(&fanout->exchange, &queue->destination, span_str(""), (struct span){NULL, 0});
    }
    w->exchange = fanout;
    publish_numbers(w, "a", 1, 1);
    cr_assert_eq(confirmed(w, &refused), 0, "it waits for the disk");
    make_safe(w);
    cr_assert_eq(confirmed(w, &refused), 1);
    cr_assert(!refused);
    exchange_bind(&fanout->exchange, &w->durable->destination, span_str(""), (struct span){NULL, 0});
    publish_numbers(w, "a", 2, 2);
    cr_assert_eq(confirmed(w, &refused), 2);
    cr_assert(refused);
    cr_assert_eq(ready(w->durable), 0);
    world_free(w);
}

/* ---- confirms ------------------------------------------------------------------------------------ */

Test(producer, the_confirm_of_a_second_waits_for_the_first_to_be_safe)
{
    struct world *w = world_new(1);
    bool refused;
    publish_numbers(w, "a", 1, 1);
    publish_numbers(w, "a", 1, 1);
    cr_assert_eq(confirmed(w, &refused), 0);
    queue_purge(w->router, w->durable);
    queue_delete(w->router, w->durable);
    publish_numbers(w, "a", 1, 1);
    cr_assert_eq(confirmed(w, &refused), 0, "though it would now go to no queue at all");
    make_safe(w);
    cr_assert_eq(confirmed(w, &refused), 3);
    cr_assert(!refused);
    world_free(w);
}

Test(producer, a_second_is_refused_if_the_first_never_got_to_disk)
{
    struct world *w = world_new(1);
    bool refused;
    publish_numbers(w, "a", 1, 1);
    w->router->store.failed = true;
    cr_assert_eq(confirmed(w, &refused), 1);
    cr_assert(refused);
    publish_numbers(w, "a", 1, 1);
    cr_assert_eq(confirmed(w, &refused), 2);
    cr_assert(refused);
    world_free(w);
}

Test(producer, levels)
{
    struct world *w = world_new(1);
    bool refused;
    publish(w, (struct sent){.queue = "durable"});
    cr_assert_eq(confirmed(w, &refused), 0);
    publish(w, (struct sent){.queue = "durable", .confirm = "disk"});
    cr_assert_eq(confirmed(w, &refused), 0);
    publish(w, (struct sent){.queue = "durable", .confirm = "ram"});
    cr_assert_eq(confirmed(w, &refused), 3);
    publish(w, (struct sent){.queue = "durable", .transient = true});
    cr_assert_eq(confirmed(w, &refused), 4);
    publish(w, (struct sent){.queue = "transient", .confirm = "disk"});
    cr_assert_eq(confirmed(w, &refused), 5);
    struct world *other = replayed(w, SEGMENT_BYTES);
    cr_assert_eq(ready(other->durable), 3, "ram: it is written all the same");
    world_free(other);
    world_free(w);
}

Test(producer, levels_of_queues)
{
    struct world *w = world_new(1);
    uint8_t table[HEADERS_MAX];
    struct settings settings;
    bool refused;
    settings_load(&settings,
                  span_of(table, (size_t)(put_field_str(table, "x-confirm", span_str("ram")) - table)));
    cr_assert(settings.any);
    shape_apply(w->router, w->durable, &settings);
    publish(w, (struct sent){.queue = "durable"});
    cr_assert_eq(confirmed(w, &refused), 1);
    publish(w, (struct sent){.queue = "durable", .confirm = "disk"});
    cr_assert_eq(confirmed(w, &refused), 0, "the header wins");
    make_safe(w);
    cr_assert_eq(confirmed(w, &refused), 2);
    struct catalog_exchange *fanout =
        catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.fanout"));
    exchange_bind(&fanout->exchange, &w->durable->destination, span_str(""), (struct span){NULL, 0});
    exchange_bind(&fanout->exchange, &w->transient->destination, span_str(""), (struct span){NULL, 0});
    w->exchange = fanout;
    publish(w, (struct sent){.queue = ""});
    cr_assert_eq(confirmed(w, &refused), 3, "transient queues don't count");
    exchange_bind(&fanout->exchange, &queue_add(w, "disk", true)->destination, span_str(""),
                  (struct span){NULL, 0});
    publish(w, (struct sent){.queue = ""});
    cr_assert_eq(confirmed(w, &refused), 0, "one wants the disk");
    world_free(w);
}

static void set_policy(struct world *w, const char *level)
{
    uint8_t table[HEADERS_MAX];
    struct policy policy = {.vhost = LONE_VHOST, .target = POLICY_EXCHANGES};
    policy.definition = span_of(table, (size_t)(put_field_str(table, "confirm", span_str(level)) - table));
    name_set(&policy.name, span_str("p"));
    name_set(&policy.pattern, span_str("^amq.fan"));
    policy_set_here(w->router, policy_adopted(&policy));
}

Test(producer, levels_of_exchanges)
{
    struct world *w = world_new(1);
    bool refused;
    struct catalog_exchange *fanout =
        catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.fanout"));
    exchange_bind(&fanout->exchange, &w->durable->destination, span_str(""), (struct span){NULL, 0});
    set_policy(w, "ram");
    publish(w, (struct sent){.queue = "durable"});
    cr_assert_eq(confirmed(w, &refused), 0, "the default exchange has no policy");
    make_safe(w);
    cr_assert_eq(confirmed(w, &refused), 1);
    w->exchange = fanout;
    publish(w, (struct sent){.queue = ""});
    cr_assert_eq(confirmed(w, &refused), 2);
    publish(w, (struct sent){.queue = "", .confirm = "disk"});
    cr_assert_eq(confirmed(w, &refused), 0);
    make_safe(w);
    cr_assert_eq(confirmed(w, &refused), 3);
    set_policy(w, "disk");
    publish(w, (struct sent){.queue = ""});
    cr_assert_eq(confirmed(w, &refused), 0);
    publish(w, (struct sent){.queue = "", .confirm = "ram"});
    cr_assert_eq(confirmed(w, &refused), 5);
    world_free(w);
}

/* ---- restarts ------------------------------------------------------------------------------------ */

Test(producer, numbers_survive_with_their_messages)
{
    struct world *w = world_new(1);
    publish_numbers(w, "a", 2, 3);
    publish_numbers(w, "b", 7, 7);
    publish(w, (struct sent){.queue = "durable", .producer = "a", .seq = 4, .transient = true});
    publish(w, (struct sent){.queue = "transient", .producer = "a", .seq = 5});
    cr_assert_eq(ready(w->durable) + ready(w->transient), 5);
    struct world *other = replayed(w, SEGMENT_BYTES);
    cr_assert_eq(ready(other->durable), 3);
    publish_numbers(other, "a", 2, 3);
    publish_numbers(other, "b", 7, 7);
    cr_assert_eq(ready(other->durable), 3);
    publish_numbers(other, "a", 1, 5);
    cr_assert_eq(ready(other->durable), 6, "1, and what was only in memory");
    world_free(other);
    world_free(w);
}

Test(producer, numbers_survive_in_a_checkpoint)
{
    struct world *w = world_new(1);
    uint32_t slot = 0;
    publish_numbers(w, "a", 1, 3);
    publish_numbers(w, "a", 5, PRODUCER_WINDOW + 2);
    publish(w, (struct sent){.queue = "transient", .producer = "a", .seq = 4});
    publish(w, (struct sent){.queue = "transient", .producer = "only in memory", .seq = 1});
    uint64_t from = store_lsn(&w->router->store);
    persist_queue(w->router, w->durable);
    while (producers_save(w->router, &slot))
        continue;
    publish_numbers(w, "a", PRODUCER_WINDOW + 3, PRODUCER_WINDOW + 3);
    struct world *other = replayed(w, from);
    cr_assert_eq(ready(other->durable), 1);
    cr_assert_eq(other->router->producers.by_id.count, 1);
    publish_numbers(other, "a", 1, PRODUCER_WINDOW + 4);
    cr_assert_eq(ready(other->durable), 3, "4 and the last");
    world_free(other);
    world_free(w);
}

/* A copy that is found later in the log than what came after it changes nothing. */
Test(producer, copies_of_old_messages)
{
    struct world *w = world_new(1);
    publish_numbers(w, "a", 1, 2);
    uint64_t position = entry_position(index_at(&w->durable->index, 1));
    uint64_t page_at = position / PAGE_BYTES * PAGE_BYTES;
    store_new_segment(&w->router->store);
    w->router->compaction =
        (struct compaction){.segment = page_at / SEGMENT_BYTES, .page = page_at / PAGE_BYTES};
    compact_poll(w->router);
    uint64_t moved = entry_position(index_at(&w->durable->index, 1));
    cr_assert_neq(moved, position);
    const struct message *copy = store_bytes(&w->router->store, store_page(&w->router->store, moved), moved);
    cr_assert_not(copy->flags & MESSAGE_PRODUCED);
    cr_assert(span_is(message_key(copy), "durable"));
    publish_numbers(w, "a", 1, 3);
    cr_assert_eq(ready(w->durable), 3);
    world_free(w);
}

/* ---- the bound ----------------------------------------------------------------------------------- */

static void publish_one_of_each(struct world *w, unsigned from, unsigned to)
{
    char name[20];
    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof name, "p%u", i);
        publish_numbers(w, name, 1, 1);
    }
}

Test(producer, too_many_are_refused_until_one_has_been_silent_for_long)
{
    struct world *w = world_new(100);
    bool refused = false;
    publish_one_of_each(w, 0, PRODUCERS_MAX);
    make_safe(w);
    while (confirmed(w, &refused))
        cr_assert(!refused);
    w->router->now_ns += 50 * (uint64_t)SECOND;
    publish_one_of_each(w, 0, 1);
    w->router->now_ns += 49 * (uint64_t)SECOND;
    publish_numbers(w, "new", 1, 1);
    make_safe(w);
    cr_assert_eq(confirmed(w, &refused), w->seq);
    cr_assert(refused, "nobody has been silent for 100 s");
    cr_assert_eq(ready(w->durable), PRODUCERS_MAX);
    w->router->now_ns += SECOND;
    publish_numbers(w, "new", 1, 1);
    cr_assert_eq(ready(w->durable), PRODUCERS_MAX + 1, "now p1 has");
    publish_one_of_each(w, 0, 1);
    cr_assert_eq(ready(w->durable), PRODUCERS_MAX + 1, "p0 was heard of");
    struct world *other = replayed(w, SEGMENT_BYTES);
    publish_one_of_each(other, 0, 2);
    publish_numbers(other, "new", 1, 1);
    cr_assert_eq(ready(other->durable), PRODUCERS_MAX + 2, "p1 is forgotten");
    world_free(other);
    world_free(w);
}
