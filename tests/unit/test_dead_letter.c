/* Dead letters that leave a queue of a router without a disk: where they go, and when they may not. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lone_router.h"
#include "router/shape.h"
#include "router/table_out.h"

enum { SECOND = 1000000000, QUEUES_MAX = 4, ARGUMENTS_MAX = 400 };

struct world {
    struct lone_router lone;
    struct router *router; /* its */
    struct catalog_exchange *fanout;
    uint8_t arguments[QUEUES_MAX][ARGUMENTS_MAX]; /* of its queues */
    unsigned queues;
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    lone_router_begin(&w->lone, (struct router_options){.memory_budget = 100 * PAGE_BYTES});
    w->router = w->lone.router;
    w->router->now_ns = SECOND;
    w->router->catalog.queue_next = 1;
    w->fanout = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.fanout"));
    store_open(&w->router->store, &(struct journal_end){.lsn = SEGMENT_BYTES, .safe = SEGMENT_BYTES}, 1, 1);
    return w;
}

static void world_free(struct world *w)
{
    lone_router_end(&w->lone);
    free(w);
}

/* Transient. end: of its arguments, which begin at the world's next. */
static struct queue *queue_add(struct world *w, const char *name, const uint8_t *end)
{
    struct settings settings;
    const uint8_t *arguments = w->arguments[w->queues++];
    struct queue *queue = queue_new(w->router, LONE_VHOST, span_str(name));
    settings_load(&settings, span_of(arguments, (size_t)(end - arguments)));
    shape_apply(w->router, queue, &settings);
    catalog_queue_add(&w->router->catalog, queue);
    return queue;
}

/* A quorum queue, what leaves it goes to amq.fanout, and there again until it is taken. */
static struct queue *source_add(struct world *w)
{
    uint8_t *at = w->arguments[w->queues];
    at = put_field_str(at, "x-queue-type", span_str("quorum"));
    at = put_field_str(at, "x-dead-letter-exchange", span_str("amq.fanout"));
    at = put_field_str(at, "x-dead-letter-strategy", span_str("at-least-once"));
    at = put_field_str(at, "x-overflow", span_str("reject-publish"));
    return queue_add(w, "source", at);
}

/* Refuses what is more than `length`. */
static struct queue *target_add(struct world *w, const char *name, int64_t length)
{
    struct span none = {NULL, 0};
    uint8_t *at = w->arguments[w->queues];
    at = put_field_long(at, "x-max-length", length);
    at = put_field_str(at, "x-overflow", span_str("reject-publish"));
    struct queue *queue = queue_add(w, name, at);
    exchange_bind(&w->fanout->exchange, &queue->destination, none, none);
    return queue;
}

/* One comes to the queue by its name, and is rejected. */
static void reject_one(struct world *w, struct queue *queue)
{
    struct catalog_exchange *e = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str(""));
    struct span name = name_span(&queue->name);
    uint8_t bytes[NAME_MAX_BYTES + 2];
    put_be16(put_span(bytes, name), 0);
    struct command_publish c = {
        .kind = COMMAND_PUBLISH,
        .key_len = (uint8_t)name.len,
        .exchange = e->exchange.id,
        .bytes = bytes,
        .properties_at = (uint16_t)name.len,
        .properties_len = 2,
        .body_at = (uint32_t)name.len + 2,
    };
    uint64_t seq;
    router_on_publish(w->router, 0, &c);
    struct entry *entry = index_head(&queue->index, &seq);
    cr_assert(entry);
    index_deliver(&queue->index, seq, entry);
    queue_settle(w->router, queue, seq, 1, SETTLE_DROP);
}

Test(dead_letter, what_one_target_refuses_no_other_gets)
{
    struct world *w = world_new();
    struct queue *source = source_add(w), *open = target_add(w, "open", 10), *full = target_add(w, "full", 0);
    reject_one(w, source);
    for (int attempt = 0; attempt < 3; attempt++) {
        dead_letter_run(w->router, source, 10);
        cr_assert_eq(source->shape->dead.stuck.count, 1, "it is tried again");
        cr_assert_eq(open->index.ready, 0, "and again: then this one would get it each time");
        dead_letter_retry(w->router, source);
    }
    full->shape->settings.value[SETTING_LENGTH] = 1;
    dead_letter_run(w->router, source, 10);
    cr_assert_eq(open->index.ready, 1);
    cr_assert_eq(full->index.ready, 1);
    uint64_t seq = 0;
    cr_assert(!index_alive_from(&source->index, &seq));
    world_free(w);
}

/* It stands on the page's list, and would be put on it once more. */
Test(dead_letter, a_queue_that_waits_for_a_page_sends_none)
{
    struct world *w = world_new();
    struct queue *source = source_add(w), *target = target_add(w, "target", 10);
    reject_one(w, source);
    reject_one(w, source);
    source->waiting = true;
    dead_letter_run(w->router, source, 10);
    cr_assert_eq(source->shape->dead.sent, 0);
    cr_assert_eq(source->shape->dead.line.count, 2);
    cr_assert_eq(target->index.ready, 0);
    source->waiting = false;
    dead_letter_run(w->router, source, 10);
    cr_assert_eq(source->shape->dead.line.count, 0);
    cr_assert_eq(target->index.ready, 2);
    world_free(w);
}
