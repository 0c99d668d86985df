/* The records of a journal, made by hand and replayed: what a router holds afterwards. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "lone_router.h"
#include "naive.h"
#include "router/large.h"
#include "router/shape.h"

enum { RECORD_BYTES = 512, MESSAGE_AT = 2 * BLOCK_BYTES, PART_AT = 3 * BLOCK_BYTES };

static const uint64_t message_at = MESSAGE_AT, part_at = PART_AT;

struct world {
    struct lone_router lone;
    struct router *router; /* its */
    uint64_t lsn;
    _Alignas(8) uint8_t record[RECORD_BYTES];
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    lone_router_begin(&w->lone, (struct router_options){.memory_budget = 10 * PAGE_BYTES});
    w->router = w->lone.router;
    w->router->recovering = true;
    w->lsn = SEGMENT_BYTES;
    return w;
}

static void world_free(struct world *w)
{
    lone_router_end(&w->lone);
    free(w);
}

static void replay(struct world *w, enum router_record type, const void *fixed, size_t fixed_len,
                   const void *more, size_t more_len)
{
    memcpy(w->record, fixed, fixed_len);
    memcpy(w->record + fixed_len, more, more_len);
    struct record *record = (struct record *)w->record;
    record->type = (uint8_t)type;
    record->length = (uint32_t)(fixed_len + more_len + 7) / 8 * 8;
    persist_replay(w->router, record, w->lsn);
    w->lsn += record->length;
}

static void replay_queue(struct world *w, uint32_t number, const char *name)
{
    struct record_queue r = {.number = number, .vhost = LONE_VHOST, .tail = 2};
    r.name_len = (uint8_t)strlen(name);
    replay(w, RECORD_QUEUE, &r, sizeof r, name, r.name_len);
}

/* That the queue holds one message, a large one, as its number 1. */
static void replay_entry(struct world *w, uint32_t number)
{
    struct entry entry = {.position = message_at >> 3, .state = ENTRY_READY, .large = 1};
    struct saved_entry saved = {.seq = 1, .body = 200, .share = 50};
    struct record_entries r = {.queue = number, .count = 1, .from = 0, .to = 2};
    memcpy(&saved.bits, &entry, sizeof saved.bits);
    replay(w, RECORD_ENTRIES, &r, sizeof r, &saved, sizeof saved);
}

static void replay_large(struct world *w)
{
    struct record_large r = {.position = message_at, .parts = 1};
    struct part part = {.position = part_at, .length = 100};
    replay(w, RECORD_LARGE, &r, sizeof r, &part, sizeof part);
}

static void purge(struct world *w, uint32_t number, uint64_t messages)
{
    struct queue *queue = catalog_queue_by_number(&w->router->catalog, number);
    cr_assert_eq(queue_purge(w->router, queue), messages);
}

/* Fan-out to two queues; a checkpoint in the middle of which the first of them settles it, or goes. */
static void settled_between(bool gone)
{
    struct world *w = world_new();
    replay_queue(w, 1, "a");
    replay_queue(w, 2, "b");
    replay_large(w);
    replay_entry(w, 1);
    if (gone) {
        struct record_id r = {.id = 1};
        replay(w, RECORD_QUEUE_GONE, &r, sizeof r, "", 0);
    } else {
        struct record_settled r = {.queue = 1, .count = 1, .seq = 1};
        replay(w, RECORD_SETTLED, &r, sizeof r, "", 0);
    }
    replay_entry(w, 2);
    persist_replayed(w->router);
    struct large *large = large_find(&w->router->large, message_at);
    cr_assert(large && large->refs == 1, "the second queue has it");
    cr_assert(store_page(&w->router->store, part_at), "its part is needed");
    purge(w, 2, 1);
    cr_assert_null(large_find(&w->router->large, message_at));
    cr_assert(!store_segment_alive(&w->router->store, 0), "nothing needs its part any more");
    world_free(w);
}

Test(replay, large_message_settled_by_one_queue_within_a_checkpoint)
{
    settled_between(false);
}

Test(replay, queue_with_large_message_gone_within_a_checkpoint)
{
    settled_between(true);
}

Test(replay, large_message_that_no_queue_has_is_forgotten)
{
    struct world *w = world_new();
    replay_large(w);
    persist_replayed(w->router);
    cr_assert_null(large_find(&w->router->large, message_at));
    cr_assert(!store_segment_alive(&w->router->store, 0));
    world_free(w);
}

/* The record of a large message is copied after its part was: the copy alone must say where the part is, for
 * it may be the last that a disk has got. */
Test(replay, copy_of_large_message_names_the_parts_as_they_are)
{
    struct world *w = world_new();
    struct store *store = &w->router->store;
    uint64_t segment = 3, last_page = (segment + 1) * SEGMENT_BYTES - PAGE_BYTES, moved = part_at + 512;
    replay_queue(w, 1, "a");
    w->router->recovering = false;
    store_open(store, &(struct journal_end){.lsn = last_page, .safe = last_page}, 1, 1);
    struct queue *queue = catalog_queue_by_number(&w->router->catalog, 1);
    struct destination *to = &queue->destination;
    struct part part = {.position = part_at, .length = 100};
    struct command_publish publish = {.flags = PUBLISH_PERSISTENT, .bytes = (const uint8_t *)""};
    struct publishing p = {.publish = &publish, .to = {&to, 1}, .body = span_str("rest"), .durable = true};
    p.parts = &part;
    p.part_count = 1;
    queue->durable = true;
    publish_end(w->router, &p);
    struct entry *entry = index_at(&queue->index, 2);
    struct large *large = large_find(&w->router->large, entry_position(entry));
    large->part[0].position = moved;
    store_keep(store, moved, 100);
    store_drop(store, part_at, 100);
    store_new_segment(store);
    w->router->compaction = (struct compaction){.segment = segment, .page = last_page / PAGE_BYTES};
    compact_poll(w->router);
    cr_assert_eq(entry_position(entry) / SEGMENT_BYTES, segment + 1);
    cr_assert_eq(large->position, entry_position(entry));
    uint64_t at = entry_position(entry);
    const struct message *copy = store_bytes(store, store_page(store, at), at);
    cr_assert_eq(message_part(copy, 0).position, moved);
    cr_assert_eq(memcmp(message_body(copy).at, "rest", 4), 0);
    world_free(w);
}

/* ---- last values --------------------------------------------------------------------------------- */

/* By routing key. */
static struct queue *replay_last_value_queue(struct world *w)
{
    static const struct naive_table by_key = {1, {{"x-last-value-key", 'S', "routing-key", 0}}};
    uint8_t more[NAIVE_BYTES_MAX + 1], *arguments = put_span(more, span_str("q"));
    struct record_queue r = {.number = 1, .vhost = LONE_VHOST, .tail = 1, .name_len = 1};
    r.arguments_len = (uint32_t)naive_encode(&by_key, arguments).len;
    replay(w, RECORD_QUEUE, &r, sizeof r, more, 1 + r.arguments_len);
    return catalog_queue_by_number(&w->router->catalog, 1);
}

static void replay_value(struct world *w, uint32_t seq, const char *key)
{
    struct {
        struct message message;
        struct route route;
    } m = {{.protocol = PROPERTIES_AMQP, .properties_len = 2, .routes = 1}, {1, seq, 0}};
    uint8_t more[8], *at = put_span(more, span_str(key));
    m.message.key_len = (uint8_t)strlen(key);
    at = put_be16(at, 0);
    replay(w, RECORD_MESSAGE, &m, sizeof m.message + sizeof m.route, more, (size_t)(at - more));
}

/* That it was replaced is a record of its own, which a crash may lose; and records come in another order
 * where they were copied forward. */
Test(replay, only_the_newest_value_of_a_key_is_there)
{
    static const uint32_t orders[][3] = {{1, 2, 3}, {3, 2, 1}, {2, 3, 1}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct world *w = world_new();
        struct queue *queue = replay_last_value_queue(w);
        for (int j = 0; j < 3; j++)
            replay_value(w, orders[i][j], orders[i][j] == 2 ? "b" : "a");
        persist_replayed(w->router);
        cr_assert_eq(queue->index.ready, 2);
        cr_assert(index_at(&queue->index, 3) && index_at(&queue->index, 2) && !index_at(&queue->index, 1));
        world_free(w);
    }
}

/* ---- policies ------------------------------------------------------------------------------------ */

static void replay_policy(struct world *w, enum router_record type, const char *pattern, double length)
{
    uint8_t more[NAIVE_BYTES_MAX + 64], *at = put_span(put_span(more, span_str("p")), span_str(pattern));
    struct record_policy r = {.vhost = LONE_VHOST, .name_len = 1, .pattern_len = (uint8_t)strlen(pattern)};
    if (type == RECORD_POLICY)
        r.definition_len =
            (uint32_t)naive_encode(&(struct naive_table){1, {{"max-length", 'l', "", length}}}, at).len;
    replay(w, type, &r, sizeof r, more, (size_t)(at - more) + r.definition_len);
}

static void length_is(struct world *w, uint32_t number, uint64_t wanted)
{
    const struct queue *queue = catalog_queue_by_number(&w->router->catalog, number);
    uint64_t length = queue->shape ? queue->shape->settings.value[SETTING_LENGTH] : NO_LIMIT;
    cr_assert_eq(length, wanted);
    cr_assert_eq(queue->policy != NULL, wanted != NO_LIMIT);
}

Test(replay, policies_hold_for_queues_before_and_behind_them)
{
    struct world *w = world_new();
    replay_queue(w, 1, "a");
    replay_policy(w, RECORD_POLICY, "a|b", 5);
    replay_queue(w, 2, "b");
    length_is(w, 1, 5);
    length_is(w, 2, 5);
    replay_policy(w, RECORD_POLICY, "b", 3); /* in place of the other */
    length_is(w, 1, NO_LIMIT);
    length_is(w, 2, 3);
    replay_policy(w, RECORD_POLICY_GONE, "", 0);
    length_is(w, 2, NO_LIMIT);
    replay_policy(w, RECORD_POLICY_GONE, "", 0); /* as in a log that begins between the two */
    replay_policy(w, RECORD_POLICY, "(", 1);     /* made by a version that knew more */
    length_is(w, 1, NO_LIMIT);
    cr_assert_eq(w->router->policies.count, 1);
    persist_replayed(w->router);
    world_free(w);
}
