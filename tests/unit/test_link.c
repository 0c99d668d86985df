/* Entries carry a number each: whatever is added comes out of the ring once, in order, and only when it was
 * flushed. */
#include <criterion/criterion.h>

#include "base/limits.h"
#include "base/link.h"
#include "base/prng.h"

struct wire {
    struct link link;
    struct ring *ring;
    uint64_t added, seen;
};

static void wire_init(struct wire *wire)
{
    *wire = (struct wire){.ring = ring_new()};
    link_init(&wire->link, wire->ring);
}

static void wire_free(struct wire *wire)
{
    link_free(&wire->link);
    ring_free(wire->ring);
}

/* A place holds anything: all of it is filled in. */
static void add(struct wire *wire)
{
    uint64_t *words = link_add(&wire->link);
    for (unsigned i = 0; i < RING_ENTRY_BYTES / 8; i++)
        words[i] = wire->added * 10 + i;
    wire->added++;
}

static void see(struct wire *wire, const struct link_entry *entry)
{
    for (unsigned i = 0; i < RING_ENTRY_BYTES / 8; i++)
        cr_assert_eq(entry->words[i], wire->seen * 10 + i);
    wire->seen++;
}

static void take(struct wire *wire, unsigned most)
{
    struct link_entry entries[40];
    unsigned n = ring_take(wire->ring, entries, most < 40 ? most : 40);
    for (unsigned i = 0; i < n; i++)
        see(wire, &entries[i]);
}

/* Reads in place, and gives back only a part of what was read. */
static void peek(struct wire *wire, unsigned most, unsigned keep)
{
    const void *places;
    unsigned n = ring_peek(wire->ring, most, &places), used = n > keep ? n - keep : 0;
    const struct link_entry *entries = places;
    for (unsigned i = 0; i < used; i++)
        see(wire, &entries[i]);
    if (n)
        ring_release(wire->ring, used);
}

static void check_counts(const struct wire *wire)
{
    cr_assert_eq(wire->seen + ring_waiting(wire->ring) + link_pending(&wire->link), wire->added);
}

static void flush(struct wire *wire)
{
    uint64_t before = wire->added - link_pending(&wire->link);
    unsigned became = link_flush(&wire->link);
    uint64_t now = wire->added - link_pending(&wire->link);
    cr_assert_eq(became, now - before);
    /* What waits does so because there is no room. */
    if (link_pending(&wire->link))
        cr_assert_eq(ring_room(wire->ring), 0);
}

/* What link_open promises is kept, whatever the consumer does in between. */
static void add_what_is_open(struct wire *wire, unsigned more)
{
    bool open = link_open(&wire->link, more);
    if (open)
        cr_assert_eq(wire->link.late_from, wire->link.late_to);
    if (!open)
        return;
    for (unsigned i = 0; i < more; i++)
        add(wire);
    cr_assert_eq(wire->link.late_from, wire->link.late_to, "%u entries were promised to fit", more);
}

/* burst: entries added at once, at most; greedy: the consumer takes so many at most. */
static void run(uint64_t seed, unsigned burst, unsigned greedy)
{
    struct wire wire;
    struct prng prng;
    prng_seed(&prng, seed);
    wire_init(&wire);
    for (unsigned step = 0; step < 4000; step++) {
        unsigned n = (unsigned)prng_below(&prng, burst + 1), what = (unsigned)prng_below(&prng, 6);
        if (what == 0)
            for (unsigned i = 0; i < n; i++)
                add(&wire);
        else if (what == 1)
            add_what_is_open(&wire, n);
        else if (what < 4)
            flush(&wire);
        else if (what == 4)
            take(&wire, (unsigned)prng_below(&prng, greedy + 1));
        else
            peek(&wire, (unsigned)prng_below(&prng, greedy + 1), (unsigned)prng_below(&prng, 3));
        check_counts(&wire);
    }
    for (unsigned i = 0; wire.seen < wire.added && i < 1000000; i++) {
        flush(&wire);
        take(&wire, 40);
    }
    cr_assert_eq(wire.seen, wire.added);
    cr_assert_eq(link_pending(&wire.link), 0);
    wire_free(&wire);
}

Test(link, carries_all_in_order_once)
{
    for (uint64_t seed = 0; seed < 5; seed++) {
        run(seed, 5, 40);
        run(seed, 100, 40);
        run(seed, 40, 3);
    }
}

/* The consumer sleeps: nothing is lost, and the list of what waits is drained to the last. */
Test(link, keeps_what_does_not_fit)
{
    struct wire wire;
    wire_init(&wire);
    for (unsigned i = 0; i < 3 * RING_SLOTS; i++) {
        add(&wire);
        if (i % 50 == 0)
            flush(&wire);
    }
    cr_assert(!link_open(&wire.link, 0));
    flush(&wire);
    cr_assert_eq(ring_waiting(wire.ring), RING_SLOTS - 1);
    cr_assert_eq(link_pending(&wire.link), 2 * RING_SLOTS + 1);
    while (wire.seen < wire.added) {
        take(&wire, 7);
        flush(&wire);
    }
    cr_assert(link_open(&wire.link, RING_SLOTS - 1));
    cr_assert(!link_open(&wire.link, RING_SLOTS));
    wire_free(&wire);
}

Test(link, nothing_is_visible_before_a_flush)
{
    struct wire wire;
    wire_init(&wire);
    for (unsigned i = 0; i < 5; i++)
        add(&wire);
    cr_assert_eq(ring_waiting(wire.ring), 0);
    cr_assert_eq(link_pending(&wire.link), 5);
    cr_assert_eq(link_flush(&wire.link), 5);
    cr_assert_eq(ring_waiting(wire.ring), 5);
    cr_assert_eq(link_flush(&wire.link), 0);
    wire_free(&wire);
}

/* Whoever adds to what it has just added must not change what the other side may be reading. */
Test(link, the_last_entry_can_be_changed_until_it_is_visible)
{
    struct wire wire;
    wire_init(&wire);
    cr_assert_null(link_last(&wire.link));
    for (unsigned i = 0; i < 3 * RING_SLOTS; i++) {
        void *place = link_add(&wire.link);
        void *last = link_last(&wire.link);
        cr_assert(last == NULL || last == place);
        if (wire.link.late_from == wire.link.late_to)
            cr_assert_eq(last, place);
    }
    link_flush(&wire.link);
    cr_assert_null(link_last(&wire.link));
    wire_free(&wire);
}

static void flush_and_take(struct wire *wire, unsigned n)
{
    struct link_entry entries[40];
    for (unsigned i = 0; i < n; i++)
        add(wire);
    link_flush(&wire->link);
    cr_assert_eq(ring_take(wire->ring, entries, n), n);
    wire->seen += n;
}

Test(link, a_stamp_comes_off_with_the_entry_that_it_stands_on)
{
    struct wire wire;
    struct ring_stamp stamp;
    struct link_entry entry;
    wire_init(&wire);
    for (unsigned round = 0; round < 3 * RING_SLOTS; round++) {
        flush_and_take(&wire, 1);
        link_stamp(&wire.link, 5, 1);
        cr_assert_not(ring_stamped(wire.ring, &stamp), "nothing was there to be stamped");
        add(&wire);
        add(&wire);
        link_stamp(&wire.link, 100 + round, 7);
        link_flush(&wire.link);
        add(&wire);
        link_stamp(&wire.link, 9, 9); /* one is under way already */
        link_flush(&wire.link);
        cr_assert_eq(ring_take(wire.ring, &entry, 1), 1);
        cr_assert_not(ring_stamped(wire.ring, &stamp), "the first of two was not it");
        cr_assert_eq(ring_take(wire.ring, &entry, 1), 1);
        cr_assert(ring_stamped(wire.ring, &stamp));
        cr_assert(stamp.ns == 100 + round && stamp.count == 7);
        cr_assert_not(ring_stamped(wire.ring, &stamp), "it is taken off once");
        cr_assert_eq(ring_take(wire.ring, &entry, 1), 1);
        cr_assert_not(ring_stamped(wire.ring, &stamp));
    }
    wire_free(&wire);
}
