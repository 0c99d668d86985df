/* The parts that decide whether a message is lost, repeated, damaged or out of place, on their own. Whole
 * runs are tried against a relay that injects faults; here are the corners it does not reach. */
#include "body.h"
#include "ledger.h"
#include "routing.h"
#include "seen.h"
#include "uri.h"

#include <criterion/criterion.h>

/* ---- the set of sequence numbers ---- */
Test(seen, in_order_needs_no_bits)
{
    struct seen s = {0};
    for (uint64_t n = 0; n < 1000; n++)
        cr_assert_eq(seen_add(&s, n), SEEN_NEW);
    cr_assert_null(s.bits);
    cr_assert_eq(seen_add(&s, 999), SEEN_AGAIN);
    cr_assert_eq(seen_count(&s), 1000);
}

Test(seen, a_gap_is_filled_later)
{
    struct seen s = {0};
    seen_add(&s, 0);
    for (uint64_t n = 2; n < 100000; n++)
        cr_assert_eq(seen_add(&s, n), SEEN_NEW);
    cr_assert_not(seen_has(&s, 1));
    cr_assert(seen_has(&s, 77777));
    cr_assert_eq(seen_add(&s, 77777), SEEN_AGAIN);
    cr_assert_eq(seen_add(&s, 1), SEEN_NEW);
    cr_assert_eq(s.next, 100000);
    cr_assert_eq(s.beyond, 0);
    seen_free(&s);
}

/* A naive twin: one byte a number. */
Test(seen, agrees_with_an_array_of_flags)
{
    static uint8_t twin[50000];
    struct seen s = {0};
    uint64_t state = 1, count = 0, low = 0;
    for (int i = 0; i < 200000; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        while (low < sizeof twin && twin[low])
            low++;
        uint64_t n = low + (state >> 33) % 3000;
        if (n >= sizeof twin)
            n = sizeof twin - 1;
        cr_assert_eq(seen_add(&s, n), twin[n] ? SEEN_AGAIN : SEEN_NEW);
        count += !twin[n];
        twin[n] = 1;
        cr_assert_eq(seen_count(&s), count);
    }
    for (uint64_t n = 0; n < sizeof twin; n++)
        cr_assert_eq(seen_has(&s, n), twin[n]);
    seen_free(&s);
}

Test(seen, nonsense_takes_no_memory)
{
    struct seen s = {0};
    cr_assert_eq(seen_add(&s, 1ull << 37), SEEN_TOO_FAR);
    cr_assert_eq(seen_count(&s), 0);
}

/* ---- bodies ---- */
static uint8_t body[5000];

static enum body_state read_back(size_t size, struct body_head *head)
{
    return body_read(body, size, 2000, head);
}

static void make(size_t size)
{
    body_fill(body, size);
    body_stamp(body, size, body_source(77, 3, 123456), 1500);
}

Test(body, what_is_stamped_is_read)
{
    struct body_head head;
    make(100);
    cr_assert_eq(read_back(100, &head), BODY_GOOD);
    cr_assert_eq(head.seq, 123456);
    cr_assert_eq(head.producer, 3);
    cr_assert_eq(head.run, 77);
    cr_assert_eq(head.age_ns, 500);
}

Test(body, every_flipped_bit_is_noticed)
{
    static const size_t sizes[] = {16, 17, 23, 24, 25, 64, 1000, 4088, 4089};
    struct body_head head;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t bit = 0; bit < sizes[i] * 8; bit++) {
            make(sizes[i]);
            cr_assert_eq(read_back(sizes[i], &head), BODY_GOOD);
            body[bit / 8] ^= (uint8_t)(1 << bit % 8);
            cr_assert_neq(read_back(sizes[i], &head), BODY_GOOD, "size %zu bit %zu", sizes[i], bit);
        }
}

Test(body, a_cut_or_longer_body_is_noticed)
{
    struct body_head head;
    for (size_t size = 16; size < 300; size++) {
        make(300);
        cr_assert_neq(read_back(size, &head), BODY_GOOD, "size %zu", size);
    }
}

Test(body, a_foreign_tail_is_noticed)
{
    struct body_head head;
    make(1000);
    body_store(body + 992, body_source(77, 3, 123457));
    cr_assert_eq(read_back(1000, &head), BODY_DAMAGED);
    cr_assert_eq(head.seq, 123456);
}

/* ---- sources ---- */
Test(ledger, sources_of_several_runs_are_kept_apart)
{
    struct ledger l = {0};
    uint32_t a = ledger_find(&l, 1, 10), b = ledger_find(&l, 1, 11), c = ledger_find(&l, 2, 10);
    cr_assert(a != b && b != c && a != c);
    cr_assert_eq(ledger_find(&l, 1, 10), a);
    cr_assert_eq(ledger_find(&l, 1, 11), b);
    cr_assert_eq(ledger_look(&l, 2, 10), &l.sources[c]);
    cr_assert_null(ledger_look(&l, 2, 11));
    ledger_free(&l);
}

/* ---- routing ---- */
Test(routing, topics)
{
    static const struct {
        const char *pattern, *key;
        bool match;
    } cases[] = {
        {"a.b", "a.b", true},    {"a.b", "a", false},    {"a.*", "a.b", true},
        {"a.*", "a.b.c", false}, {"#", "", true},        {"#", "a.b.c", true},
        {"a.#", "a", true},      {"a.#", "a.b.c", true}, {"#.c", "a.b.c", true},
        {"#.c", "a.b.d", false}, {"a.#.c", "a.c", true}, {"a.#.c", "a.b.b.c", true},
        {"*.#.c", "c", false},   {"*", "", false},       {"", "", true},
        {"ab", "a", false},      {"a.*.#", "a.b", true}, {"a.#.#", "a", true},
        {"*.b", "a.b", true},    {"a", "ab", false},     {"never.1.#", "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(routing_topic_matches(cases[i].pattern, cases[i].key), cases[i].match, "%s %s",
                     cases[i].pattern, cases[i].key);
}

/* ---- topics ---- */
Test(routing, subscribers_each_get_all_of_their_topic)
{
    struct options o = {.exchange = "", .producers = 2, .consumers = 5, .queues = 2, .fanned = true};
    cr_assert_eq(routing_queues(&o), 5);
    cr_assert_eq(routing_queue_of(&o, 4), 4);
    cr_assert(routing_matches(&o, 0, 4) && !routing_matches(&o, 1, 4) && routing_matches(&o, 1, 3));
    o.fanned = false;
    cr_assert_eq(routing_queues(&o), 2);
    cr_assert_eq(routing_queue_of(&o, 4), 0);
}

/* Numbers 0, 3, 6 ... go to the first of three topics. */
Test(routing, publishers_that_go_round)
{
    struct options o = {.exchange = "", .producers = 1, .consumers = 3, .queues = 3, .spread = true};
    for (uint64_t sent = 0; sent < 20; sent++) {
        uint64_t counted[3] = {0};
        for (uint64_t n = 0; n < sent; n++)
            counted[n % 3]++;
        for (uint64_t q = 0; q < 3; q++)
            cr_assert_eq(routing_share(&o, q, sent), counted[q]);
    }
    char name[256];
    o.queues = 100;
    options_place(&o, name, "t/%d/x", 6);
    cr_assert_str_eq(name, "t/007/x");
}

/* ---- addresses ---- */
Test(uri, parts)
{
    struct uri u;
    cr_assert_null(
        uri_parse(&u, "amqp://a%40b:p%3Aw@[::1]:5673/my%2Fhost?heartbeat=5", "amqp", "5672", "5671"));
    cr_assert_str_eq(u.user, "a@b");
    cr_assert_str_eq(u.password, "p:w");
    cr_assert_str_eq(u.host, "::1");
    cr_assert_str_eq(u.port, "5673");
    cr_assert_str_eq(u.vhost, "my/host");
    cr_assert_null(uri_parse(&u, "amqp://broker", "amqp", "5672", "5671"));
    cr_assert_str_eq(u.host, "broker");
    cr_assert_str_eq(u.port, "5672");
    cr_assert_str_eq(u.vhost, "/");
    cr_assert_null(uri_parse(&u, "mqtt://a", "mqtt", "1883", "8883"));
    cr_assert_str_eq(u.port, "1883");
    cr_assert(!u.tls);
    cr_assert_null(uri_parse(&u, "mqtts://a", "mqtt", "1883", "8883"));
    cr_assert(u.tls);
    cr_assert_str_eq(u.port, "8883");
    cr_assert_null(uri_parse(&u, "amqps://u:p@h:1/v", "amqp", "5672", "5671"));
    cr_assert_str_eq(u.port, "1");
    cr_assert_not_null(uri_parse(&u, "amqpss://a", "amqp", "5672", "5671"));
    cr_assert_not_null(uri_parse(&u, "amqp://a", "mqtt", "1883", "8883"));
}

Test(uri, mistakes)
{
    static const char *const wrong[] = {"http://x",    "amqp://x:0",    "amqp://x:70000", "amqp://x:ab",
                                        "amqp://[::1", "amqp://[::1]x", "amqp://%zz@x"};
    struct uri u;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not_null(uri_parse(&u, wrong[i], "amqp", "5672", "5671"), "%s", wrong[i]);
}
