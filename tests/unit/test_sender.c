/* Packet identifiers of MQTT's QoS 2: a router without a disk is told publishes and releases one by one; what
 * it has written is replayed into another. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lone_router.h"
#include "router/consumer.h"
#include "router/message.h"
#include "router/session.h"

enum { ROOM = 400 };

struct world {
    struct lone_router lone;
    struct router *router; /* its */
    struct catalog_exchange *exchange;
    struct queue *queue;
    uint64_t seq; /* of the last publish */
};

/* ---- a router and its queue ---------------------------------------------------------------------------- */

static struct world *world_without_queue(void)
{
    struct world *w = calloc(1, sizeof *w);
    lone_router_begin(&w->lone, (struct router_options){.memory_budget = 100 * PAGE_BYTES});
    w->router = w->lone.router;
    w->router->catalog.queue_next = 1;
    w->exchange = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str(""));
    return w;
}

static struct queue *queue_add(struct world *w, const char *name)
{
    struct queue *queue = queue_new(w->router, LONE_VHOST, span_str(name));
    queue->durable = true;
    queue->number = w->router->catalog.queue_next++;
    catalog_queue_add(&w->router->catalog, queue);
    persist_queue(w->router, queue);
    return queue;
}

static struct world *world_new(void)
{
    struct world *w = world_without_queue();
    store_open(&w->router->store, &(struct journal_end){.lsn = SEGMENT_BYTES, .safe = SEGMENT_BYTES}, 1, 1);
    w->queue = queue_add(w, "q");
    return w;
}

static void world_free(struct world *w)
{
    lone_router_end(&w->lone);
    free(w);
}

/* What stands in the log from lsn on and below `end`, in a new router. */
static struct world *replayed_until(struct world *w, uint64_t from, uint64_t until)
{
    struct world *other = world_without_queue();
    lone_router_replay(&other->lone, &w->lone, from, until);
    other->queue = catalog_queue_by_number(&other->router->catalog, w->queue->number);
    return other;
}

static struct world *replayed(struct world *w, uint64_t from)
{
    return replayed_until(w, from, UINT64_MAX);
}

/* ---- publishes, releases ---------------------------------------------------------------------------------
 */

static size_t put_sender(uint8_t *to, uint32_t session)
{
    return (size_t)(put_be32(put_span(to, span_str("client")), session) - to);
}

static void publish(struct world *w, uint32_t session, uint16_t id)
{
    uint8_t bytes[ROOM] = "q", *at = bytes + 2;
    bytes[1] = (uint8_t)put_sender(at, session);
    at += bytes[1];
    uint8_t *properties = at;
    at = put_be16(at, 0);
    struct command_publish c = {
        .kind = COMMAND_PUBLISH,
        .flags = PUBLISH_CONFIRM | PUBLISH_PERSISTENT,
        .protocol = origin_of(2, false, false),
        .key_len = 1,
        .channel = 1,
        .conn = 1,
        .seq = ++w->seq,
        .exchange = w->exchange->exchange.id,
        .bytes = bytes,
        .producer_at = 1,
        .number_at = id,
        .properties_at = (uint16_t)(properties - bytes),
        .properties_len = 2,
        .body_at = (uint32_t)(at - bytes),
    };
    router_on_publish(w->router, 0, &c);
}

/* Returns whether it was refused. */
static bool release(struct world *w, uint32_t session, uint16_t id, uint32_t flags)
{
    struct op *op = calloc(1, sizeof *op);
    uint8_t name[ROOM], *ids = malloc(2);
    op->kind = OP_RELEASE;
    op->flags = flags;
    op->vhost = LONE_VHOST;
    name_set(&op->name, span_of(name, put_sender(name, session)));
    put_be16(ids, id);
    op->arguments = span_of(ids, 2);
    session_on_op(w->router, op);
    return op->error != ERR_NONE; /* it waits for the disk, and is freed with the router */
}

static uint64_t ready(const struct world *w)
{
    return w->queue->index.ready;
}

/* As when there are too many. */
static void drop_idle(struct world *w)
{
    for (uint64_t lsn = SEGMENT_BYTES; w->router->senders.idle_first; lsn += 8)
        sender_replay_gone(w->router, lsn);
}

static void fail(struct world *w)
{
    w->router->store.failed = true;
}

/* ---- one by one ------------------------------------------------------------------------------------------
 */

Test(sender, a_message_that_comes_again_is_the_same)
{
    struct world *w = world_new();
    publish(w, 1, 7);
    publish(w, 1, 7);
    publish(w, 1, 8);
    cr_assert_eq(ready(w), 2);
    cr_assert_not(release(w, 1, 7, 0));
    publish(w, 1, 7);
    publish(w, 1, 8);
    cr_assert_eq(ready(w), 3);
    world_free(w);
}

Test(sender, a_later_session_has_all_identifiers_free)
{
    struct world *w = world_new();
    publish(w, 1, 7);
    publish(w, 2, 7);
    cr_assert_eq(ready(w), 2);
    publish(w, 2, 7);
    cr_assert_eq(ready(w), 2);
    world_free(w);
}

Test(sender, identifiers_survive_a_restart)
{
    struct world *w = world_new();
    publish(w, 1, 7);
    publish(w, 1, 8);
    release(w, 1, 8, 0);
    struct world *other = replayed(w, SEGMENT_BYTES);
    publish(other, 1, 7);
    cr_assert_eq(ready(other), 2);
    publish(other, 1, 8);
    cr_assert_eq(ready(other), 3);
    world_free(other);
    world_free(w);
}

/* Idle ones are forgotten without a word on disk. The first of these names is, and comes again. */
Test(sender, one_that_was_forgotten_is_one_after_a_restart)
{
    struct world *w = world_new();
    publish(w, 1, 7);
    release(w, 1, 7, 0);
    drop_idle(w);
    publish(w, 1, 8);
    struct world *other = replayed(w, SEGMENT_BYTES);
    cr_assert_eq(other->router->senders.by_name.count, 1);
    publish(other, 1, 8);
    cr_assert_eq(ready(other), 2);
    world_free(other);
    world_free(w);
}

static void bind_all(struct world *w)
{
    w->exchange = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.fanout"));
    for (uint32_t number = 1; number < w->router->catalog.queue_next; number++) {
        struct queue *queue = catalog_queue_by_number(&w->router->catalog, number);
        exchange_bind(&w->exchange->exchange, &queue->destination, span_str(""), span_str(""));
    }
}

/* How many messages all queues have, and where the record of the last one stands. */
static uint64_t ready_all(const struct world *w, uint64_t *last)
{
    uint64_t count = 0;
    *last = 0;
    for (uint32_t number = 1; number < w->router->catalog.queue_next; number++) {
        const struct queue *queue = catalog_queue_by_number(&w->router->catalog, number);
        uint64_t position = queue->index.ready ? entry_position(index_at(&queue->index, 1)) : 0;
        count += queue->index.ready;
        *last = position > *last ? position : *last;
    }
    return count;
}

/* More queues than one record can name: the identifier is in use when all of them have the message. */
Test(sender, a_wide_message_comes_again_unless_it_is_all_there)
{
    struct world *w = world_new();
    char name[16];
    uint64_t last, none;
    for (unsigned i = 0; i < ROUTES_MAX; i++) {
        snprintf(name, sizeof name, "q%u", i);
        queue_add(w, name);
    }
    bind_all(w);
    publish(w, 1, 7);
    cr_assert_eq(ready_all(w, &last), ROUTES_MAX + 1);
    struct world *some = replayed_until(w, SEGMENT_BYTES, last), *all = replayed(w, SEGMENT_BYTES);
    bind_all(some);
    cr_assert_eq(ready_all(some, &none), ROUTES_MAX);
    publish(some, 1, 7);
    cr_assert_eq(ready_all(some, &none), 2 * ROUTES_MAX + 1);
    bind_all(all);
    publish(all, 1, 7);
    cr_assert_eq(ready_all(all, &none), ROUTES_MAX + 1);
    world_free(some);
    world_free(all);
    world_free(w);
}

/* ---- compaction ------------------------------------------------------------------------------------------
 */

Test(sender, a_message_that_is_moved_does_not_hold_its_identifier_again)
{
    struct world *w = world_new();
    publish(w, 1, 7);
    release(w, 1, 7, 0);
    uint64_t position = entry_position(index_at(&w->queue->index, 1)),
             page_at = position / PAGE_BYTES * PAGE_BYTES;
    store_new_segment(&w->router->store);
    w->router->compaction =
        (struct compaction){.segment = page_at / SEGMENT_BYTES, .page = page_at / PAGE_BYTES};
    compact_poll(w->router);
    uint64_t moved = entry_position(index_at(&w->queue->index, 1));
    cr_assert_neq(moved, position);
    struct world *other = replayed(w, SEGMENT_BYTES);
    cr_assert_eq(ready(other), 1);
    publish(other, 1, 7);
    cr_assert_eq(ready(other), 2);
    world_free(other);
    world_free(w);
}

/* ---- a failed journal ------------------------------------------------------------------------------------
 */

Test(sender, a_release_that_is_not_on_disk_is_refused)
{
    struct world *w = world_new();
    publish(w, 1, 7);
    fail(w);
    cr_assert(release(w, 1, 7, 0));
    cr_assert(release(w, 1, 7, OP_WITHDRAWN));
    cr_assert_not(release(w, 1, 8, OP_WITHDRAWN), "it isn't in use here");
    cr_assert_not(release(w, 2, 7, 0), "nothing is known of that session");
    world_free(w);
}

/* ---- deliveries wait for the disk ------------------------------------------------------------------------
 */

static void consume(struct world *w)
{
    struct op *op = calloc(1, sizeof *op);
    op->prefetch = 10;
    op->window = 1000;
    queue_consume(w->router, w->queue, op);
    free(op);
}

/* A turn. Returns how many messages were delivered, the last with these flags. */
static unsigned turn(struct world *w, uint8_t *flags)
{
    static uint64_t now_ns;
    unsigned count = 0;
    union event event;
    router_poll(w->router, now_ns += 1000);
    while (ring_take(w->lone.to_front, &event, 1)) {
        if (event.kind != EVENT_DELIVER)
            continue;
        *flags = event.deliver.flags;
        count++;
    }
    return count;
}

static void journal_says(struct world *w, enum journal_event_kind kind)
{
    struct journal_event event = {.kind = (uint8_t)kind, .lsn = w->router->store.handed};
    cr_assert_eq(ring_put(w->lone.from_journal, &event, 1), 1);
}

Test(sender, a_message_is_delivered_when_it_is_on_disk)
{
    struct world *w = world_new();
    uint8_t flags = 0;
    consume(w);
    publish(w, 1, 7);
    cr_assert_eq(turn(w, &flags), 0);
    cr_assert(w->queue->early && !w->queue->runnable && !w->router->run, "it isn't looked at until then");
    cr_assert_eq(turn(w, &flags), 0);
    journal_says(w, JOURNAL_SAFE);
    cr_assert_eq(turn(w, &flags), 1);
    cr_assert_not(flags & DELIVER_EARLY);
    cr_assert_not(w->queue->early);
    world_free(w);
}

Test(sender, a_message_that_will_not_be_on_disk_is_delivered_and_says_so)
{
    struct world *w = world_new();
    uint8_t flags = 0;
    consume(w);
    publish(w, 1, 7);
    publish(w, 1, 8);
    cr_assert_eq(turn(w, &flags), 0);
    journal_says(w, JOURNAL_FAILED);
    cr_assert_eq(turn(w, &flags), 2);
    cr_assert(flags & DELIVER_EARLY);
    world_free(w);
}

Test(sender, a_queue_that_waits_for_the_disk_may_go)
{
    struct world *w = world_new();
    uint8_t flags = 0;
    consume(w);
    publish(w, 1, 7);
    cr_assert_eq(turn(w, &flags), 0);
    router_delete_queue(w->router, w->queue);
    cr_assert_null(w->router->early);
    journal_says(w, JOURNAL_SAFE);
    cr_assert_eq(turn(w, &flags), 0);
    world_free(w);
}

/* ---- what is retained ------------------------------------------------------------------------------------
 */

Test(sender, the_first_retained_message_is_refused_when_the_journal_has_failed)
{
    struct world *w = world_new();
    uint8_t bytes[] = {'k', 0, 0, 'x'};
    union event event;
    uint8_t flags;
    w->exchange = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.topic"));
    journal_says(w, JOURNAL_FAILED);
    turn(w, &flags);
    struct command_publish c = {
        .kind = COMMAND_PUBLISH,
        .flags = PUBLISH_CONFIRM | PUBLISH_PERSISTENT,
        .protocol = origin_of(1, true, false),
        .key_len = 1,
        .conn = 1,
        .seq = 1,
        .exchange = w->exchange->exchange.id,
        .bytes = bytes,
        .properties_at = 1,
        .properties_len = 2,
        .body_at = 3,
        .body_len = 1,
        .total_len = 1,
    };
    router_on_publish(w->router, 0, &c);
    confirm_poll(w->router);
    link_flush(&w->router->front[0]);
    cr_assert_eq(ring_take(w->lone.to_front, &event, 1), 1);
    cr_assert_eq(event.kind, EVENT_CONFIRM);
    cr_assert(event.confirm.flags & CONFIRM_REFUSED);
    world_free(w);
}
