/* Retained messages that expire: they leave the router when others come, also after a restart. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "lone_router.h"
#include "router/hidden.h"
#include "router/image.h"
#include "router/message.h"
#include "router/properties.h"
#include "router/stream.h"

enum { MS = 1000000 };

struct world {
    struct lone_router lone;
    struct router *router; /* its */
    struct catalog_exchange *exchange;
    uint64_t seq; /* of the last publish */
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    lone_router_begin(&w->lone, (struct router_options){.memory_budget = 100 * PAGE_BYTES});
    w->router = w->lone.router;
    w->router->catalog.queue_next = 1;
    w->exchange = catalog_exchange(&w->router->catalog, LONE_VHOST, span_str("amq.topic"));
    return w;
}

static void world_free(struct world *w)
{
    lone_router_end(&w->lone);
    free(w);
}

static void open_log(struct world *w)
{
    store_open(&w->router->store, &(struct journal_end){.lsn = SEGMENT_BYTES, .safe = SEGMENT_BYTES}, 1, 1);
}

static void at_ms(struct world *w, uint64_t ms)
{
    w->router->now_ns = ms * MS;
    w->router->wall_ms = ms;
}

/* AMQP's, with an expiration or nothing. */
static uint8_t *put_properties(uint8_t *to, uint32_t life_ms)
{
    char text[11];
    int len = snprintf(text, sizeof text, "%u", life_ms);
    to = put_be16(to, life_ms ? HAS_EXPIRATION : 0);
    return life_ms ? put_span(put_u8(to, (uint8_t)len), span_str(text)) : to;
}

/* To topic n; life_ms: 0: for ever. */
static void retain(struct world *w, unsigned n, uint32_t life_ms)
{
    uint8_t bytes[40];
    int key = snprintf((char *)bytes, sizeof bytes, "t.%u", n);
    uint8_t *end = put_properties(bytes + key, life_ms);
    *end = 'x';
    struct command_publish c = {
        .kind = COMMAND_PUBLISH,
        .flags = (uint8_t)(PUBLISH_CONFIRM | PUBLISH_PERSISTENT | (life_ms ? PUBLISH_MARKED : 0)),
        .protocol = origin_of(1, true, false),
        .key_len = (uint8_t)key,
        .conn = 1,
        .seq = ++w->seq,
        .exchange = w->exchange->exchange.id,
        .bytes = bytes,
        .expiration = life_ms ? life_ms + 1 : 0,
        .properties_at = (uint16_t)key,
        .properties_len = (uint32_t)(end - bytes - key),
        .body_at = (uint32_t)(end - bytes),
        .body_len = 1,
        .total_len = 1,
    };
    router_on_publish(w->router, 0, &c);
}

static size_t kept(const struct world *w)
{
    const struct queue *queue = hidden_find(w->router, w->exchange, HIDDEN_RETAIN);
    return queue->stream->image->keys.count;
}

Test(retain, what_has_expired_goes_when_others_come)
{
    struct world *w = world_new();
    open_log(w);
    at_ms(w, 1000);
    for (unsigned n = 0; n < 1000; n++)
        retain(w, n, n % 10 ? 50 : 0);
    cr_assert_eq(kept(w), 1000);
    at_ms(w, 1049);
    retain(w, 0, 0);
    cr_assert_eq(kept(w), 1000, "nothing is over yet");
    at_ms(w, 1050);
    for (unsigned n = 0; n < 500; n++)
        retain(w, 0, 0);
    cr_assert_eq(kept(w), 100, "those that last for ever are left: %zu", kept(w));
    world_free(w);
}

/* Half of a hundred have expired by then. */
static void restart(struct world *w, uint64_t from)
{
    struct world *other = world_new();
    at_ms(other, 2000);
    lone_router_replay(&other->lone, &w->lone, from, UINT64_MAX);
    cr_assert_eq(kept(other), 100);
    for (unsigned n = 0; n < 50; n++)
        retain(other, 0, 0);
    cr_assert_eq(kept(other), 50);
    world_free(other);
}

Test(retain, a_restart_forgets_no_time)
{
    struct world *w = world_new();
    open_log(w);
    at_ms(w, 1000);
    for (unsigned n = 0; n < 100; n++)
        retain(w, n, n % 2 ? 50 : 0);
    restart(w, SEGMENT_BYTES);
    store_new_segment(&w->router->store);
    cr_assert(checkpoint_last(w->router));
    while (!w->router->checkpoint.end)
        checkpoint_poll(w->router);
    restart(w, w->router->checkpoint.from);
    world_free(w);
}

/* A device that names its topics anew each time leaves no more behind than what is alive. */
Test(retain, topics_that_come_and_go_need_no_more_memory)
{
    struct world *w = world_new();
    open_log(w);
    for (unsigned n = 0; n < 20000; n++) {
        at_ms(w, 1000 + n / 10);
        retain(w, n, 20);
        cr_assert_leq(kept(w), 2 * 210, "%zu after %u", kept(w), n);
    }
    world_free(w);
}
