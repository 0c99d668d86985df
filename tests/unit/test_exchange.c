#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "naive.h"
#include "router/exchange.h"
#include "router/headers.h"

static const struct span none;

static bool matched(const struct match *match, const struct destination *destination)
{
    for (size_t i = 0; i < match->count; i++)
        if (match->found[i] == destination)
            return true;
    return false;
}

Test(exchange, types_have_names)
{
    cr_assert_eq(exchange_type_of(span_str("direct")), EXCHANGE_DIRECT);
    cr_assert_eq(exchange_type_of(span_str("headers")), EXCHANGE_HEADERS);
    cr_assert_eq(exchange_type_of(span_str("Direct")), EXCHANGE_TYPES);
    cr_assert_eq(exchange_type_of(none), EXCHANGE_TYPES);
    cr_assert_str_eq(exchange_type_name(EXCHANGE_TOPIC), "topic");
}

Test(exchange, a_binding_is_its_key_and_arguments)
{
    struct exchange e;
    struct destination q = {0}, r = {0};
    uint8_t bytes[NAIVE_BYTES_MAX];
    struct naive_table table = {1, {{"a", 'I', "", 1}}};
    struct span arguments = naive_encode(&table, bytes);
    exchange_init(&e, 1, EXCHANGE_TOPIC);
    struct binding *b = exchange_bind(&e, &q, span_str("k"), arguments);
    cr_assert_eq(exchange_binding(&e, &q, span_str("k"), arguments), b);
    cr_assert_null(exchange_binding(&e, &q, span_str("l"), arguments));
    cr_assert_null(exchange_binding(&e, &q, span_str("k"), none));
    cr_assert_null(exchange_binding(&e, &r, span_str("k"), arguments));
    table.fields[0].type = 'l';
    uint8_t other_bytes[NAIVE_BYTES_MAX];
    cr_assert_eq(exchange_binding(&e, &q, span_str("k"), naive_encode(&table, other_bytes)), b);
    table.fields[0].type = 'd';
    cr_assert_null(exchange_binding(&e, &q, span_str("k"), naive_encode(&table, other_bytes)));
    bytes[0] = 0; /* it has its own copy */
    cr_assert(span_is(b->key, "k") && *b->arguments.at == 1);
    exchange_clear(&e);
    cr_assert_null(q.bindings);
}

Test(exchange, can_be_used_again_after_clear)
{
    struct exchange e;
    struct destination q = {0};
    struct match match = {0};
    exchange_init(&e, 1, EXCHANGE_DIRECT);
    for (int i = 0; i < 2; i++) {
        exchange_bind(&e, &q, span_str("k"), none);
        exchange_match(&e, &(struct message_facts){.key = span_str("k")}, &match, NULL, NULL);
        cr_assert_eq(match.count, 1);
        exchange_clear(&e);
        exchange_match(&e, &(struct message_facts){.key = span_str("k")}, &match, NULL, NULL);
        cr_assert_eq(match.count, 0);
    }
    match_free(&match);
}

Test(exchange, remote_queues_count_but_get_nothing)
{
    struct exchange e;
    struct destination far = {.remote = true};
    struct match match = {0};
    exchange_init(&e, 1, EXCHANGE_FANOUT);
    exchange_bind(&e, &far, none, none);
    exchange_match(&e, &(struct message_facts){0}, &match, NULL, NULL);
    cr_assert(match.any && match.count == 0);
    exchange_clear(&e);
    match_free(&match);
}

static void count_binding(struct binding *binding, void *owner)
{
    cr_assert(binding->source && binding->destination);
    ++*(int *)owner;
}

Test(exchange, forget_removes_all_that_leads_to_a_queue)
{
    struct exchange e[EXCHANGE_TYPES];
    struct destination q = {0}, r = {0};
    struct match match = {0};
    int gone = 0;
    for (unsigned t = 0; t < EXCHANGE_TYPES; t++) {
        exchange_init(&e[t], t, t);
        for (int i = 0; i < 10; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d.*", i);
            exchange_bind(&e[t], &q, span_str(key), none);
            exchange_bind(&e[t], &r, span_str(key), none);
        }
    }
    exchange_forget(&q, count_binding, &gone);
    cr_assert_eq(gone, 10 * EXCHANGE_TYPES);
    cr_assert_null(q.bindings);
    for (unsigned t = 0; t < EXCHANGE_TYPES; t++) {
        cr_assert_eq(e[t].binding_count, 10);
        struct message_facts facts = {.key = span_str(t == EXCHANGE_TOPIC ? "7.a" : "7.*")};
        exchange_match(&e[t], &facts, &match, NULL, NULL);
        cr_assert(match.count == 1 && match.found[0] == &r);
        exchange_clear(&e[t]);
    }
    cr_assert_null(r.bindings);
    match_free(&match);
}

Test(exchange, x_match_is_checked)
{
    uint8_t bytes[NAIVE_BYTES_MAX];
    struct naive_table table = {1, {{"x-match", 'S', "any-with-x", 0}}};
    char text[100];
    cr_assert(headers_arguments_valid(none, text, sizeof text));
    cr_assert(headers_arguments_valid(naive_encode(&table, bytes), text, sizeof text));
    table.fields[0].text = "some";
    cr_assert_not(headers_arguments_valid(naive_encode(&table, bytes), text, sizeof text));
    cr_assert_str_eq(
        text, "Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or any-with-x");
    table.fields[0].type = 'I';
    cr_assert_not(headers_arguments_valid(naive_encode(&table, bytes), text, sizeof text));
    cr_assert_str_eq(text, "Invalid x-match field type signedint (value 0); expected longstr");
}

/* Every header of a hostile message has one name, every binding asks for the last: not a product of the two.
 */
Test(exchange, repeated_headers_take_no_longer, .timeout = 20)
{
    enum { HEADERS = 20000, QUEUES = 5000 };
    static uint8_t bytes[HEADERS * 7];
    static struct destination queues[QUEUES];
    struct exchange e;
    struct match match = {0};
    uint8_t *p = bytes;
    for (uint32_t i = 0; i < HEADERS; i++)
        p = put_be32(put_u8(put_u8(put_u8(p, 1), 'k'), 'I'), i);
    exchange_init(&e, 1, EXCHANGE_HEADERS);
    for (int i = 0; i < QUEUES; i++)
        exchange_bind(&e, &queues[i], none, span_of(p - 7, 7));
    for (int i = 0; i < 100; i++) {
        exchange_match(&e, &(struct message_facts){.headers = span_of(bytes, sizeof bytes)}, &match, NULL,
                       NULL);
        cr_assert_eq(match.count, QUEUES);
    }
    exchange_clear(&e);
    match_free(&match);
}

/* ---- against the oracle --------------------------------------------------------------------------- */

#define EXCHANGES 6
#define QUEUES    12
#define BINDINGS  150

/* What there should be; source and target are numbers, targets from QUEUES up are exchanges. */
struct planned {
    bool in;
    unsigned source, target;
    char key[20];
    struct naive_table arguments;
    uint8_t bytes[NAIVE_BYTES_MAX];
    struct span encoded;
    struct binding *binding;
};

static struct world {
    struct exchange exchanges[EXCHANGES];
    struct destination queues[QUEUES];
    int alternate[EXCHANGES]; /* -1: none */
    struct planned planned[BINDINGS];
    struct prng prng;
    struct match match;
} w;

static struct destination *target_of(unsigned target)
{
    return target < QUEUES ? &w.queues[target] : &w.exchanges[target - QUEUES].self;
}

/* The key of a message, and those of its copies. */
struct some_keys {
    unsigned count;
    char key[4][20];
};

static bool naive_key_matches(enum exchange_type type, const char *bound, const char *key)
{
    return type == EXCHANGE_TOPIC ? naive_topic(bound, key) : strcmp(bound, key) == 0;
}

static bool naive_binding_matches(const struct planned *p, const struct some_keys *keys,
                                  const struct naive_table *headers)
{
    enum exchange_type type = w.exchanges[p->source].type;
    if (type == EXCHANGE_FANOUT)
        return true;
    if (type == EXCHANGE_HEADERS)
        return naive_headers(&p->arguments, headers);
    for (unsigned i = 0; i < keys->count; i++)
        if (naive_key_matches(type, p->key, keys->key[i]))
            return true;
    return false;
}

static void naive_visit(unsigned exchange, const struct some_keys *keys, const struct naive_table *headers,
                        bool *seen, bool *queues)
{
    if (seen[exchange])
        return;
    seen[exchange] = true;
    bool hit = false;
    for (int i = 0; i < BINDINGS; i++) {
        const struct planned *p = &w.planned[i];
        if (!p->in || p->source != exchange || !naive_binding_matches(p, keys, headers))
            continue;
        hit = true;
        if (p->target < QUEUES)
            queues[p->target] = true;
        else
            naive_visit(p->target - QUEUES, keys, headers, seen, queues);
    }
    if (!hit && w.alternate[exchange] >= 0)
        naive_visit((unsigned)w.alternate[exchange], keys, headers, seen, queues);
}

static struct exchange *alternate(struct exchange *exchange, void *owner)
{
    cr_assert_eq(owner, &w);
    int a = w.alternate[exchange - w.exchanges];
    return a < 0 ? NULL : &w.exchanges[a];
}

/* As in a command: behind the first, each with its length. */
static struct span encode_copies(const struct some_keys *keys, uint8_t *bytes)
{
    uint8_t *at = bytes;
    for (unsigned i = 1; i < keys->count; i++) {
        struct span key = span_str(keys->key[i]);
        at = put_span(put_be32(at, (uint32_t)key.len), key);
    }
    return span_of(bytes, (size_t)(at - bytes));
}

static void publish_and_compare(void)
{
    struct some_keys keys = {.count = 1};
    uint8_t copies[4 * 24];
    struct naive_table headers;
    uint8_t bytes[NAIVE_BYTES_MAX];
    if (prng_chance(&w.prng, 300000))
        keys.count += (unsigned)prng_below(&w.prng, 4);
    for (unsigned i = 0; i < keys.count; i++)
        naive_random_key(keys.key[i], &w.prng, 4, false);
    naive_random_table(&headers, &w.prng, NAIVE_FIELDS_MAX);
    unsigned start = (unsigned)prng_below(&w.prng, EXCHANGES);
    bool seen[EXCHANGES] = {false}, queues[QUEUES] = {false}, any = false;
    naive_visit(start, &keys, &headers, seen, queues);
    struct message_facts facts = {span_str(keys.key[0]), encode_copies(&keys, copies),
                                  naive_encode(&headers, bytes)};
    exchange_match(&w.exchanges[start], &facts, &w.match, alternate, &w);
    size_t expected = 0;
    for (unsigned q = 0; q < QUEUES; q++) {
        bool wanted = queues[q] && !w.queues[q].remote;
        cr_assert_eq(matched(&w.match, &w.queues[q]), wanted, "key '%s' and %u more, queue %u", keys.key[0],
                     keys.count - 1, q);
        expected += wanted;
        any = any || queues[q];
    }
    cr_assert_eq(w.match.count, expected);
    cr_assert_eq(w.match.any, any);
}

static void plan(struct planned *p)
{
    static const char *const modes[] = {"all", "any", "all-with-x", "any-with-x"};
    p->source = (unsigned)prng_below(&w.prng, EXCHANGES);
    p->target = (unsigned)prng_below(&w.prng, prng_chance(&w.prng, 250000) ? QUEUES + EXCHANGES : QUEUES);
    enum exchange_type type = w.exchanges[p->source].type;
    naive_random_key(p->key, &w.prng, 4, type == EXCHANGE_TOPIC);
    naive_random_table(&p->arguments, &w.prng, type == EXCHANGE_HEADERS ? NAIVE_FIELDS_MAX - 1 : 1);
    if (prng_chance(&w.prng, 800000))
        p->arguments.fields[p->arguments.count++] =
            (struct naive_field){"x-match", 'S', modes[prng_below(&w.prng, 4)], 0};
    p->encoded = naive_encode(&p->arguments, p->bytes);
}

static bool is_planned(const struct planned *p)
{
    for (int i = 0; i < BINDINGS; i++) {
        const struct planned *o = &w.planned[i];
        if (o != p && o->in && o->source == p->source && o->target == p->target &&
            strcmp(o->key, p->key) == 0 && naive_same(&o->arguments, &p->arguments))
            return true;
    }
    return false;
}

static void bind_or_unbind(void)
{
    struct planned *p = &w.planned[prng_below(&w.prng, BINDINGS)];
    if (p->in) {
        cr_assert_eq(
            exchange_binding(&w.exchanges[p->source], target_of(p->target), span_str(p->key), p->encoded),
            p->binding);
        exchange_unbind(p->binding);
        p->in = false;
        return;
    }
    plan(p);
    struct exchange *source = &w.exchanges[p->source];
    struct destination *target = target_of(p->target);
    if (is_planned(p))
        cr_assert(exchange_binding(source, target, span_str(p->key), p->encoded));
    if (exchange_binding(source, target, span_str(p->key), p->encoded))
        return;
    p->binding = exchange_bind(source, target, span_str(p->key), p->encoded);
    p->in = true;
}

static void check_lists(void)
{
    size_t on_exchanges = 0, planned = 0;
    for (unsigned i = 0; i < BINDINGS; i++)
        planned += w.planned[i].in;
    for (unsigned i = 0; i < EXCHANGES; i++) {
        size_t n = 0;
        for (const struct binding *b = w.exchanges[i].bindings; b; b = b->on_exchange)
            n++;
        cr_assert_eq(n, w.exchanges[i].binding_count);
        on_exchanges += n;
    }
    for (unsigned t = 0; t < QUEUES + EXCHANGES; t++)
        for (const struct binding *b = target_of(t)->bindings; b; b = b->for_destination)
            on_exchanges--;
    cr_assert_eq(on_exchanges, 0);
    cr_assert_leq(planned, BINDINGS);
}

static void drop_exchange(unsigned e)
{
    for (int i = 0; i < BINDINGS; i++)
        if (w.planned[i].source == e || w.planned[i].target == QUEUES + e)
            w.planned[i].in = false;
    exchange_clear(&w.exchanges[e]);
}

static void drop_queue(unsigned q)
{
    for (int i = 0; i < BINDINGS; i++)
        if (w.planned[i].target == q)
            w.planned[i].in = false;
    exchange_forget(&w.queues[q], NULL, NULL);
}

static void begin_world(uint64_t seed)
{
    memset(&w, 0, sizeof w);
    prng_seed(&w.prng, seed);
    for (unsigned i = 0; i < EXCHANGES; i++) {
        exchange_init(&w.exchanges[i], i,
                      i <= EXCHANGE_HEADERS ? i : prng_below(&w.prng, EXCHANGE_HEADERS + 1));
        w.alternate[i] = (int)prng_below(&w.prng, EXCHANGES + 3) - 3;
        if (w.alternate[i] < 0)
            w.alternate[i] = -1;
    }
    for (unsigned q = 0; q < QUEUES; q++)
        w.queues[q].remote = prng_chance(&w.prng, 150000);
}

static void random_world(uint64_t seed)
{
    begin_world(seed);
    for (int step = 0; step < 1500; step++) {
        bind_or_unbind();
        publish_and_compare();
        if (prng_chance(&w.prng, 3000))
            drop_queue((unsigned)prng_below(&w.prng, QUEUES));
        if (prng_chance(&w.prng, 2000))
            drop_exchange((unsigned)prng_below(&w.prng, EXCHANGES));
        if (step % 100 == 0)
            check_lists();
    }
    for (unsigned i = 0; i < EXCHANGES; i++)
        exchange_clear(&w.exchanges[i]);
    check_lists();
    match_free(&w.match);
}

Test(exchange, agrees_with_the_oracle)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        random_world(seed);
}
