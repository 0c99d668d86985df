/* A router's lists: complete, whatever comes and goes while they are made, and a bounded piece at a time. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "lone_router.h"
#include "router/listing.h"
#include "router/table_out.h"

struct world {
    struct lone_router lone;
    struct router *router;
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    lone_router_begin(&w->lone, (struct router_options){.memory_budget = 10 * PAGE_BYTES});
    w->router = w->lone.router;
    return w;
}

static void world_free(struct world *w)
{
    lone_router_end(&w->lone);
    free(w);
}

static struct queue *make_queue(struct world *w, const char *prefix, unsigned n)
{
    char name[64];
    snprintf(name, sizeof name, "%s%u", prefix, n);
    struct queue *q = queue_new(w->router, LONE_VHOST, span_str(name));
    catalog_queue_add(&w->router->catalog, q);
    return q;
}

static struct catalog_exchange *make_exchange(struct world *w, unsigned n)
{
    char name[64];
    struct catalog *catalog = &w->router->catalog;
    snprintf(name, sizeof name, "e%u", n);
    return catalog_exchange_new(catalog, catalog->exchange_next++, LONE_VHOST, span_str(name),
                                EXCHANGE_FANOUT, (struct span){NULL, 0});
}

/* One slice, behind the rows that are there; false: it was the last. */
static bool slice(struct world *w, struct list_place *place, char **text)
{
    struct op *op = calloc(1, sizeof *op);
    union event e = {0};
    op->kind = OP_LIST;
    op->place = *place;
    listing_on_op(w->router, op);
    link_flush(&w->router->front[0]);
    while (e.kind != EVENT_OP)
        cr_assert(ring_take(w->lone.to_front, &e, 1));
    cr_assert_eq(e.op.op, op);
    cr_assert_eq(op->error, ERR_NONE, "%s", op->text);
    size_t len = strlen(*text), more = op->list ? strlen(op->list) : 0;
    cr_assert_leq(more, LIST_SLICE_BYTES + 4096);
    *text = realloc(*text, len + more + 1);
    memcpy(*text + len, op->list ? op->list : "", more + 1);
    *place = op->place;
    free(op->list);
    free(op);
    return !place->end;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

Test(listing, queues_that_stay_are_listed_once)
{
    enum { STAY = 500, PASS = 3000 };
    struct world *w = world_new();
    static struct queue *passing[PASS];
    struct list_place place = {.of = LIST_QUEUES};
    struct prng prng;
    char *text = strdup(""), what[128];
    prng_seed(&prng, 7);
    for (unsigned n = 0; n < STAY; n++) {
        make_queue(w, "stays", n);
        passing[n] = make_queue(w, "passes", n);
    }
    while (slice(w, &place, &text))
        for (unsigned i = 0; i < 100; i++) {
            unsigned n = (unsigned)prng_below(&prng, PASS);
            if (passing[n])
                queue_delete(w->router, passing[n]);
            passing[n] = passing[n] ? NULL : make_queue(w, "passes", n);
        }
    for (unsigned n = 0; n < STAY; n++) {
        snprintf(what, sizeof what,
                 "/\tstays%u\tclassic\tfalse\tfalse\tfalse\t{}\t\t\t0\t0\t0\t0\t0\t0\t0\t0\trunning\n", n);
        cr_assert_eq(count(text, what), 1, "%s", what);
    }
    free(text);
    world_free(w);
}

static struct binding *bind(struct catalog_exchange *from, struct queue *to, unsigned n)
{
    char key[32];
    snprintf(key, sizeof key, "k%u", n);
    return exchange_bind(&from->exchange, &to->destination, span_str(key), (struct span){NULL, 0});
}

/* Bindings that stay, of exchanges that stay; others of both come and go, among them the one that the list is
 * at. */
Test(listing, bindings_that_stay_are_listed_once)
{
    enum { STAY = 40, EACH = 20, PASS = 200 };
    struct world *w = world_new();
    static struct catalog_exchange *stays[STAY], *passing[PASS];
    static struct binding *bound[STAY][1000];
    struct list_place place = {.of = LIST_BINDINGS};
    struct prng prng;
    char *text = strdup(""), what[128];
    prng_seed(&prng, 11);
    struct queue *q = make_queue(w, "q", 0);
    for (unsigned e = 0; e < STAY; e++) {
        stays[e] = make_exchange(w, e);
        for (unsigned n = 0; n < EACH; n++)
            bind(stays[e], q, n);
    }
    while (slice(w, &place, &text))
        for (unsigned i = 0; i < 60; i++) {
            unsigned e = (unsigned)prng_below(&prng, STAY),
                     n = EACH + (unsigned)prng_below(&prng, 1000 - EACH);
            if (bound[e][n])
                exchange_unbind(bound[e][n]);
            bound[e][n] = bound[e][n] ? NULL : bind(stays[e], q, n);
            e = (unsigned)prng_below(&prng, PASS);
            if (passing[e])
                catalog_exchange_delete(&w->router->catalog, passing[e]);
            passing[e] = passing[e] ? NULL : make_exchange(w, STAY + e);
            if (passing[e])
                bind(passing[e], q, 0);
        }
    for (unsigned e = 0; e < STAY; e++)
        for (unsigned n = 0; n < EACH; n++) {
            snprintf(what, sizeof what, "/\te%u\tq0\tqueue\tk%u\t{}\tk%u\n", e, n, n);
            cr_assert_eq(count(text, what), 1, "%s", what);
        }
    cr_assert_eq(count(text, "/\t\tq0\tqueue\tq0\t{}\tq0\n"), 1, "the default exchange's");
    free(text);
    world_free(w);
}

Test(listing, exchanges_that_stay_are_listed_once)
{
    enum { STAY = 500 };
    struct world *w = world_new();
    struct list_place place = {.of = LIST_EXCHANGES};
    char *text = strdup(""), what[128];
    unsigned n = 0;
    for (; n < STAY; n++)
        make_exchange(w, n);
    while (slice(w, &place, &text))
        for (unsigned i = 0; i < 30; i++)
            make_exchange(w, n++);
    for (n = 0; n < STAY; n++) {
        snprintf(what, sizeof what, "/\te%u\tfanout\tfalse\tfalse\tfalse\t{}\n", n);
        cr_assert_eq(count(text, what), 1, "%s", what);
    }
    cr_assert_eq(count(text, "/\tamq.topic\ttopic\ttrue\tfalse\tfalse\t{}\n"), 1);
    free(text);
    world_free(w);
}

/* No turn makes more than a bounded piece of it. */
Test(listing, large_arguments_make_small_slices)
{
    struct world *w = world_new();
    static uint8_t blank[30000];
    struct list_place place = {.of = LIST_QUEUES};
    char *text = strdup("");
    unsigned slices = 1;
    memset(blank, ' ', sizeof blank);
    for (unsigned n = 0; n < 100; n++) {
        struct queue *q = make_queue(w, "q", n);
        uint8_t *table = malloc(sizeof blank + 32),
                *at = put_field_str(table, "x", span_of(blank, sizeof blank));
        q->arguments = span_of(table, (size_t)(at - table));
    }
    struct op *op = calloc(1, sizeof *op);
    for (bool more = true; more; slices++) {
        size_t before = strlen(text);
        op->place = place;
        free(op->list);
        op->list = NULL;
        listing_on_op(w->router, op);
        cr_assert_leq(strlen(op->list), LIST_SLICE_BYTES + sizeof blank + 1000);
        text = realloc(text, before + strlen(op->list) + 1);
        memcpy(text + before, op->list, strlen(op->list) + 1);
        place = op->place;
        more = !place.end;
    }
    cr_assert_gt(slices, 30);
    cr_assert_eq(count(text, "\n"), 100);
    free(op->list);
    free(op);
    free(text);
    world_free(w);
}
