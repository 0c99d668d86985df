/* Exchanges that give a message to one of their bindings. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/prng.h"
#include "naive.h"
#include "router/exchange.h"

#define QUEUES 40

static const struct span none;

/* One router's view of an exchange and its queues. */
struct view {
    struct exchange exchange;
    struct destination queues[QUEUES];
    struct match match;
};

static void view_init(struct view *v, enum exchange_type type, struct span arguments)
{
    memset(v, 0, sizeof *v);
    exchange_init(&v->exchange, 1, type);
    v->exchange.arguments = arguments;
    v->exchange.self.identity = destination_identity(span_str("e"), true);
    for (int i = 0; i < QUEUES; i++) {
        char name[16];
        snprintf(name, sizeof name, "q%d", i);
        v->queues[i].identity = destination_identity(span_str(name), false);
    }
}

static void view_free(struct view *v)
{
    exchange_clear(&v->exchange);
    match_free(&v->match);
}

static struct binding *bind(struct view *v, int queue, const char *key)
{
    return exchange_bind(&v->exchange, &v->queues[queue], span_str(key), none);
}

static void unbind(struct view *v, int queue, const char *key)
{
    exchange_unbind(exchange_binding(&v->exchange, &v->queues[queue], span_str(key), none));
}

/* The queue that gets it; -1: none. */
static int pick(struct view *v, const struct message_facts *facts)
{
    exchange_match(&v->exchange, facts, &v->match, NULL, NULL);
    cr_assert_leq(v->match.count, 1);
    cr_assert_not(v->match.elsewhere);
    cr_assert_eq(v->match.any, v->match.count == 1);
    return v->match.count ? (int)(v->match.found[0] - v->queues) : -1;
}

/* Different for each number, in what every type looks at. */
static struct message_facts numbered(unsigned n, char key[16])
{
    snprintf(key, 16, "key.%u", n);
    return (struct message_facts){.key = span_str(key), .chance = (uint64_t)n << 20};
}

static int pick_number(struct view *v, unsigned n)
{
    char key[16];
    struct message_facts facts = numbered(n, key);
    return pick(v, &facts);
}

static const enum exchange_type types[] = {EXCHANGE_CONSISTENT_HASH, EXCHANGE_MODULUS_HASH, EXCHANGE_RANDOM,
                                           EXCHANGE_LOCAL_RANDOM};

#define TYPES (sizeof types / sizeof *types)

Test(exchange_pick, nothing_bound_and_one_bound)
{
    for (unsigned t = 0; t < TYPES; t++) {
        struct view v;
        cr_assert(exchange_type_picks(types[t]));
        view_init(&v, types[t], none);
        cr_assert_eq(pick_number(&v, 1), -1);
        bind(&v, 3, "1");
        for (unsigned n = 0; n < 100; n++)
            cr_assert_eq(pick_number(&v, n), 3);
        unbind(&v, 3, "1");
        cr_assert_eq(pick_number(&v, 1), -1);
        view_free(&v);
    }
    cr_assert_not(exchange_type_picks(EXCHANGE_HEADERS));
}

Test(exchange_pick, equal_bindings_share_equally)
{
    enum { MESSAGES = 40000, BOUND = 10 };
    for (unsigned t = 0; t < TYPES; t++) {
        struct view v;
        unsigned got[QUEUES] = {0};
        view_init(&v, types[t], none);
        for (int i = 0; i < BOUND; i++)
            bind(&v, i, "1");
        for (unsigned n = 0; n < MESSAGES; n++)
            got[pick_number(&v, n)]++;
        /* A tenth each; the hash ring's points stand 6 % off, as a rule. */
        double off = types[t] == EXCHANGE_CONSISTENT_HASH ? 0.2 : 0.08;
        for (int i = 0; i < BOUND; i++)
            cr_assert(fabs(got[i] * (double)BOUND / MESSAGES - 1) < off, "%s: queue %d got %u",
                      exchange_type_name(types[t]), i, got[i]);
        view_free(&v);
    }
}

Test(exchange_pick, weights_are_shares)
{
    enum { MESSAGES = 60000 };
    static const int weights[] = {1, 2, 5, 30, 100};
    struct view v;
    unsigned got[QUEUES] = {0};
    view_init(&v, EXCHANGE_CONSISTENT_HASH, none);
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "%d", weights[i]);
        bind(&v, i, key);
    }
    for (unsigned n = 0; n < MESSAGES; n++)
        got[pick_number(&v, n)]++;
    for (int i = 0; i < 5; i++) {
        double share = got[i] / (double)MESSAGES / (weights[i] / 138.0);
        cr_assert(fabs(share - 1) < (weights[i] < 10 ? 0.25 : 0.05), "weight %d: %.3f of its share",
                  weights[i], share);
    }
    view_free(&v);
}

/* One that goes gives its keys to all others, and no other key moves; it gets the same ones back. */
Test(exchange_pick, only_the_keys_of_the_binding_move)
{
    enum { MESSAGES = 20000 };
    static int before[MESSAGES];
    unsigned moved[QUEUES] = {0}, all = 0;
    struct view v;
    view_init(&v, EXCHANGE_CONSISTENT_HASH, none);
    for (int i = 0; i < 20; i++)
        bind(&v, i, i % 2 ? "3" : "6");
    for (unsigned n = 0; n < MESSAGES; n++)
        before[n] = pick_number(&v, n);
    unbind(&v, 7, "3");
    for (unsigned n = 0; n < MESSAGES; n++) {
        int now = pick_number(&v, n);
        cr_assert(before[n] == 7 ? now != 7 : now == before[n]);
        if (before[n] == 7)
            moved[now]++, all++;
    }
    cr_assert(all > MESSAGES / 45 && all < MESSAGES / 20, "%u", all);
    for (int i = 0; i < 20; i++)
        cr_assert(i == 7 || moved[i] > 0);
    bind(&v, 7, "3");
    for (unsigned n = 0; n < MESSAGES; n++)
        cr_assert_eq(pick_number(&v, n), before[n]);
    view_free(&v);
}

/* Bindings that came in another order, some gone again, others' queues: who gets it is the same. */
Test(exchange_pick, every_router_decides_alike)
{
    static struct view here, there;
    for (unsigned t = 0; t < TYPES; t++) {
        view_init(&here, types[t], none);
        view_init(&there, types[t], none);
        for (int i = 0; i < QUEUES; i++)
            here.queues[i].remote = i % 3 != 0;
        for (int i = 0; i < QUEUES; i++)
            there.queues[i].remote = i % 3 == 0;
        for (int i = 0; i < QUEUES; i++)
            bind(&here, i, i % 4 ? "1" : "4");
        bind(&here, 5, "2");
        for (int i = 0; i < QUEUES; i += 2)
            bind(&there, i, "9");
        for (int i = QUEUES - 1; i >= 0; i--)
            bind(&there, i, i % 4 ? "1" : "4");
        bind(&there, 5, "2");
        for (int i = 0; i < QUEUES; i += 2)
            unbind(&there, i, "9");
        for (unsigned n = 0; n < 5000; n++) {
            char key[16];
            struct message_facts facts = numbered(n, key);
            exchange_match(&here.exchange, &facts, &here.match, NULL, NULL);
            exchange_match(&there.exchange, &facts, &there.match, NULL, NULL);
            cr_assert_eq(here.match.count + there.match.count, 1);
            cr_assert(here.match.any && there.match.any);
            cr_assert_eq(here.match.elsewhere, here.match.count == 0);
            cr_assert_eq(there.match.elsewhere, there.match.count == 0);
        }
        view_free(&here);
        view_free(&there);
    }
}

/* Against counting: the hash of x-modulus-hash leads to the binding of that rank, whatever came and went. */
Test(exchange_pick, a_modulus_is_a_rank)
{
    struct view v;
    struct prng prng;
    bool bound[QUEUES] = {false};
    prng_seed(&prng, 7);
    view_init(&v, EXCHANGE_MODULUS_HASH, none);
    for (int i = 0; i < 2000; i++) {
        int q = (int)prng_below(&prng, QUEUES);
        if (bound[q])
            unbind(&v, q, "");
        else
            bind(&v, q, "");
        bound[q] = !bound[q];
        int n = 0, first = -1, got = pick_number(&v, 17);
        for (int j = 0; j < QUEUES; j++)
            if (bound[j])
                n++, first = first < 0 ? j : first;
        cr_assert_eq(n == 0, got == -1);
        cr_assert(got == -1 || bound[got]);
        cr_assert(n != 1 || got == first);
    }
    view_free(&v);
}

/* What each of a chain picks says nothing about what the next one does. */
Test(exchange_pick, chains_reach_every_queue)
{
    for (unsigned t = 0; t < TYPES; t++) {
        if (types[t] == EXCHANGE_LOCAL_RANDOM)
            continue;
        struct exchange e[3];
        struct destination q[4] = {0};
        struct match match = {0};
        unsigned got[4] = {0};
        for (int i = 0; i < 3; i++) {
            exchange_init(&e[i], (uint64_t)i, types[t]);
            e[i].self.identity = destination_identity(span_of(&"abc"[i], 1), true);
        }
        for (int i = 0; i < 4; i++) {
            q[i].identity = destination_identity(span_of(&"abcd"[i], 1), false);
            exchange_bind(&e[1 + i / 2], &q[i], span_str("9"), none);
        }
        exchange_bind(&e[0], &e[1].self, span_str("9"), none);
        exchange_bind(&e[0], &e[2].self, span_str("9"), none);
        for (unsigned n = 0; n < 1000; n++) {
            char key[16];
            struct message_facts facts = numbered(n, key);
            exchange_match(&e[0], &facts, &match, NULL, NULL);
            cr_assert_eq(match.count, 1);
            got[match.found[0] - q]++;
        }
        for (int i = 0; i < 4; i++)
            cr_assert(got[i] > 125, "%s: %u", exchange_type_name(types[t]), got[i]);
        for (int i = 0; i < 3; i++)
            exchange_clear(&e[i]);
        match_free(&match);
    }
}

/* ---- by header and property ------------------------------------------------------------------------ */

static uint8_t argument_bytes[NAIVE_BYTES_MAX];

static struct span argument(const char *name, char type, const char *text)
{
    struct naive_table table = {1, {{name, type, text, 5}}};
    return naive_encode(&table, argument_bytes);
}

static int pick_header(struct view *v, const char *name, char type, const char *text, double number)
{
    uint8_t bytes[NAIVE_BYTES_MAX];
    char key[16];
    struct naive_table table = {2, {{"other", 'I', "", 1}, {name, type, text, number}}};
    struct message_facts facts = numbered((unsigned)number, key);
    facts.headers = naive_encode(&table, bytes);
    return pick(v, &facts);
}

Test(exchange_pick, by_a_header)
{
    struct view v;
    bool seen[QUEUES] = {false};
    unsigned queues = 0;
    view_init(&v, EXCHANGE_CONSISTENT_HASH, argument("hash-header", 'S', "h"));
    for (int i = 0; i < QUEUES; i++)
        bind(&v, i, "10");
    int missing = pick_number(&v, 1);
    for (int i = 0; i < 100; i++) {
        int q = pick_header(&v, "h", 'I', "", i);
        cr_assert_eq(pick_header(&v, "h", 'l', "", i), q);
        cr_assert_eq(pick_header(&v, "h", 'T', "", i), q);
        queues += !seen[q];
        seen[q] = true;
        cr_assert_eq(pick_header(&v, "no", 'I', "", i), missing);
    }
    cr_assert_gt(queues, 25);
    cr_assert_eq(pick_header(&v, "h", 'S', "a", 1), pick_header(&v, "h", 'x', "a", 2));
    cr_assert_neq(pick_header(&v, "h", 'S', "a", 1), pick_header(&v, "h", 'S', "b", 1));
    cr_assert_neq(pick_header(&v, "h", 't', "", 0), pick_header(&v, "h", 't', "", 1));
    view_free(&v);
}

static int pick_property(struct view *v, unsigned flag, const char *text)
{
    uint8_t bytes[256];
    char key[16];
    static unsigned number;
    struct message_facts facts = numbered(number++, key);
    /* Before those that are looked at: content type, headers, delivery mode. */
    uint8_t *p = put_be16(bytes, (uint16_t)(0xb000 | flag));
    p = put_span(put_u8(p, 4), span_str("a/bc"));
    p = put_u8(put_be32(p, 0), 2);
    if (flag == 1 << 6)
        p = put_be64(p, (uint8_t)text[0]);
    else if (flag)
        p = put_span(put_u8(p, (uint8_t)strlen(text)), span_str(text));
    facts.properties = span_of(bytes, (size_t)(p - bytes));
    return pick(v, &facts);
}

Test(exchange_pick, by_a_property)
{
    static const struct {
        const char *name;
        unsigned flag;
    } properties[] = {{"message_id", 1 << 7}, {"correlation_id", 1 << 10}, {"timestamp", 1 << 6}};
    for (unsigned i = 0; i < 3; i++) {
        struct view v;
        bool seen[QUEUES] = {false};
        unsigned queues = 0;
        view_init(&v, EXCHANGE_CONSISTENT_HASH, argument("hash-property", 'S', properties[i].name));
        for (int q = 0; q < QUEUES; q++)
            bind(&v, q, "10");
        int missing = pick_property(&v, 0, "");
        for (char c = 1; c < 100; c++) {
            char text[2] = {c, 0};
            int q = pick_property(&v, properties[i].flag, text);
            cr_assert_eq(pick_property(&v, properties[i].flag, text), q);
            cr_assert_eq(pick_property(&v, 1 << 9, text), missing);
            queues += !seen[q];
            seen[q] = true;
        }
        cr_assert_gt(queues, 25);
        view_free(&v);
    }
}

/* ---- what is refused -------------------------------------------------------------------------------- */

static const char *wrong_arguments(struct span arguments)
{
    static char text[300];
    return exchange_arguments_valid(EXCHANGE_CONSISTENT_HASH, arguments, text, sizeof text) ? "" : text;
}

Test(exchange_pick, arguments_are_checked)
{
    uint8_t bytes[NAIVE_BYTES_MAX];
    struct naive_table both = {2, {{"hash-header", 'S', "a", 0}, {"hash-property", 'S', "message_id", 0}}};
    cr_assert_str_eq(wrong_arguments(none), "");
    cr_assert_str_eq(wrong_arguments(argument("hash-header", 'S', "")), "");
    cr_assert_str_eq(wrong_arguments(argument("hash-property", 'S', "correlation_id")), "");
    cr_assert_str_eq(wrong_arguments(argument("hash-property", 'S', "nope")), "Unsupported property: nope");
    cr_assert_str_eq(wrong_arguments(argument("hash-header", 'I', "")),
                     "Invalid hash-header type signedint; expected longstr");
    cr_assert_str_eq(wrong_arguments(argument("hash-property", 't', "")),
                     "Invalid hash-property type bool; expected longstr");
    cr_assert_str_eq(wrong_arguments(naive_encode(&both, bytes)),
                     "hash-header and hash-property are mutually exclusive");
    cr_assert(exchange_arguments_valid(EXCHANGE_MODULUS_HASH, naive_encode(&both, bytes), NULL, 0));
}

static const char *wrong_key(enum exchange_type type, const char *key)
{
    static char text[300];
    static struct destination queue;
    return exchange_binding_valid(type, &queue, span_str(key), none, text, sizeof text) ? "" : text;
}

Test(exchange_pick, weights_are_checked)
{
    static const char *const right[] = {"1", "01", "+1", "256", "000000000000000000000000000000256"};
    static const char *const not_positive[] = {"0", "-0", "-1", "00", "-99999999999999999999"};
    static const char *const no_number[] = {"a", "1.5", " 1", "1 ", "1e3", "0x10", "+", "-", "--1"};
    char text[100];
    enum exchange_type type = EXCHANGE_CONSISTENT_HASH;
    for (unsigned i = 0; i < sizeof right / sizeof *right; i++)
        cr_assert_str_eq(wrong_key(type, right[i]), "");
    for (unsigned i = 0; i < sizeof not_positive / sizeof *not_positive; i++)
        cr_assert_str_eq(wrong_key(type, not_positive[i]), "The binding key must be greater than 0");
    for (unsigned i = 0; i < sizeof no_number / sizeof *no_number; i++) {
        snprintf(text, sizeof text, "The binding key must be an integer: <<\"%s\">>", no_number[i]);
        cr_assert_str_eq(wrong_key(type, no_number[i]), text);
    }
    cr_assert_str_eq(wrong_key(type, ""), "The binding key must be an integer: <<>>");
    cr_assert_str_eq(wrong_key(type, "257"), "The binding key must not be greater than 256");
    cr_assert_str_eq(wrong_key(type, "18446744073709551617"), "The binding key must not be greater than 256");
    cr_assert_str_eq(wrong_key(EXCHANGE_RANDOM, "whatever"), "");
    cr_assert_str_eq(wrong_key(EXCHANGE_MODULUS_HASH, "whatever"), "");
    cr_assert_str_eq(wrong_key(EXCHANGE_LOCAL_RANDOM, ""), "");
    cr_assert_str_eq(wrong_key(EXCHANGE_LOCAL_RANDOM, "k"), "Non empty binding 'k' key not permitted");
}

/* A binding with a key that none should have (an older journal's, say) is one all the same. */
Test(exchange_pick, a_wrong_weight_is_one)
{
    struct view v;
    view_init(&v, EXCHANGE_CONSISTENT_HASH, none);
    bind(&v, 1, "what");
    bind(&v, 2, "100000");
    bool seen[QUEUES] = {false};
    for (unsigned n = 0; n < 100; n++)
        seen[pick_number(&v, n)] = true;
    cr_assert(seen[1] && seen[2]);
    view_free(&v);
}

/* A match's time and a binding's must not be a product of how many there are. */
Test(exchange_pick, many_bindings_take_no_longer, .timeout = 60)
{
    enum { MANY = 20000 };
    static struct destination queues[MANY];
    struct match match = {0};
    for (unsigned t = 0; t < TYPES; t++) {
        struct exchange e;
        exchange_init(&e, 1, types[t]);
        for (int i = 0; i < MANY; i++) {
            queues[i].identity = destination_identity(span_of(&i, sizeof i), false);
            exchange_bind(&e, &queues[i], span_str("1"), none);
        }
        for (unsigned n = 0; n < 100000; n++) {
            char key[16];
            struct message_facts facts = numbered(n, key);
            exchange_match(&e, &facts, &match, NULL, NULL);
            cr_assert_eq(match.count, 1);
        }
        for (int i = 0; i < MANY; i += 2)
            exchange_forget(&queues[i], NULL, NULL);
        exchange_clear(&e);
    }
    match_free(&match);
}
