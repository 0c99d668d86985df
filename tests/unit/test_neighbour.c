#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tcp/neighbour.h"

static const uint64_t second = 1000000000;
static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 10}, mac_b[6] = {2, 0, 0, 0, 0, 11};

static struct ip_address numbered(unsigned n)
{
    struct ip_address address = {{[10] = 0xff, 0xff, 10, 0, (uint8_t)(n >> 8), (uint8_t)n}};
    address.bytes[13] = (uint8_t)(n >> 16);
    return address;
}

static struct neighbours *table(void)
{
    struct neighbours *all = calloc(1, sizeof *all);
    neighbours_init(all, 7);
    return all;
}

static void end(struct neighbours *all)
{
    neighbours_free(all);
    free(all);
}

static struct neighbour *make(struct neighbours *all, unsigned n, bool ours, uint64_t now)
{
    struct ip_address address = numbered(n);
    return neighbour_make(all, &address, ours, now);
}

static struct neighbour *find(struct neighbours *all, unsigned n)
{
    struct ip_address address = numbered(n);
    return neighbour_find(all, &address);
}

Test(neighbour, is_asked_three_times_a_second_apart_and_forgotten)
{
    struct neighbours *all = table();
    struct neighbour *n = make(all, 1, true, 0);
    uint32_t generation = n->generation;
    cr_assert(neighbour_use(all, n, 0));
    cr_assert_not(neighbour_use(all, n, 0), "once is enough");
    for (uint64_t t = 1; t < NEIGHBOUR_ASKS; t++) {
        cr_assert_null(neighbours_due(all, t * second - 1));
        cr_assert_eq(neighbours_due(all, t * second), n);
        cr_assert_null(neighbours_due(all, t * second));
    }
    cr_assert_eq(all->count, 1);
    cr_assert_null(neighbours_due(all, NEIGHBOUR_ASKS * second));
    cr_assert_eq(all->count, 0);
    cr_assert_null(find(all, 1));
    cr_assert_neq(n->generation, generation, "a path must see that it is gone");
    cr_assert_eq(timers_next(&all->timers), UINT64_MAX);
    end(all);
}

Test(neighbour, that_is_used_is_asked_again_after_half_a_minute)
{
    struct neighbours *all = table();
    struct neighbour *n = make(all, 1, true, 0);
    neighbour_use(all, n, 0);
    neighbour_heard(all, n, mac_a, true, second);
    cr_assert_eq(n->state, NEIGHBOUR_REACHABLE);
    cr_assert_not(neighbour_use(all, n, 2 * second));
    uint64_t due = second + NEIGHBOUR_REACHABLE_NS;
    cr_assert_null(neighbours_due(all, due - 1));
    cr_assert_eq(neighbours_due(all, due), n);
    cr_assert_eq(n->state, NEIGHBOUR_PROBED);
    neighbour_heard(all, n, mac_a, true, due + 5);
    cr_assert_eq(n->state, NEIGHBOUR_REACHABLE);
    /* Not used since: it isn't asked, and forgotten in the end. */
    due += 5 + NEIGHBOUR_REACHABLE_NS;
    cr_assert_null(neighbours_due(all, due));
    cr_assert_eq(n->state, NEIGHBOUR_STALE);
    cr_assert_null(neighbours_due(all, due + NEIGHBOUR_STALE_NS - 1));
    cr_assert_eq(all->count, 1);
    cr_assert_null(neighbours_due(all, due + NEIGHBOUR_STALE_NS));
    cr_assert_eq(all->count, 0);
    end(all);
}

Test(neighbour, that_is_stale_is_asked_when_it_is_used)
{
    struct neighbours *all = table();
    struct neighbour *n = make(all, 1, false, 0);
    neighbour_heard(all, n, mac_a, false, 0);
    cr_assert_eq(n->state, NEIGHBOUR_STALE);
    cr_assert(neighbour_use(all, n, second));
    cr_assert_eq(n->state, NEIGHBOUR_PROBED);
    cr_assert_not(neighbour_use(all, n, second));
    cr_assert_eq(neighbours_due(all, 2 * second), n);
    cr_assert_eq(neighbours_due(all, 3 * second), n);
    cr_assert_null(neighbours_due(all, 4 * second));
    cr_assert_eq(all->count, 0);
    end(all);
}

Test(neighbour, whose_address_changes_is_doubted_unless_it_answered)
{
    struct neighbours *all = table();
    struct neighbour *n = make(all, 1, true, 0);
    neighbour_heard(all, n, mac_a, true, 0);
    neighbour_heard(all, n, mac_a, false, 0);
    cr_assert_eq(n->state, NEIGHBOUR_REACHABLE, "nothing new");
    neighbour_heard(all, n, mac_b, false, 0);
    cr_assert_eq(n->state, NEIGHBOUR_STALE);
    cr_assert_arr_eq(n->mac, mac_b, 6);
    neighbour_heard(all, n, mac_a, true, 0);
    cr_assert_eq(n->state, NEIGHBOUR_REACHABLE);
    cr_assert_arr_eq(n->mac, mac_a, 6);
    neighbour_doubt(all, n, 0);
    cr_assert_eq(n->state, NEIGHBOUR_STALE);
    end(all);
}

Test(neighbour, flood_takes_no_room_of_those_in_use)
{
    struct neighbours *all = table();
    uint64_t now = 100 * second;
    unsigned live = NEIGHBOURS_MAX / 2;
    for (unsigned i = 0; i < live; i++) {
        struct neighbour *n = make(all, i, true, now);
        neighbour_use(all, n, now);
        neighbour_heard(all, n, mac_a, true, now);
    }
    for (unsigned i = 0; i < 20 * NEIGHBOURS_MAX; i++) {
        /* Told of by others, and asked for by traffic that nobody answers. */
        struct neighbour *n = make(all, 100000 + i, i & 1, now + i);
        if (n && (i & 1))
            neighbour_use(all, n, now + i);
        else if (n)
            neighbour_heard(all, n, mac_b, false, now + i);
    }
    cr_assert_eq(all->count, NEIGHBOURS_MAX);
    cr_assert_gt(all->evicted, 0);
    for (unsigned i = 0; i < live; i++)
        cr_assert_not_null(find(all, i), "%u is in use", i);
    end(all);
}

Test(neighbour, full_of_those_in_use_learns_nothing_but_serves_our_traffic)
{
    struct neighbours *all = table();
    uint64_t now = 100 * second;
    for (unsigned i = 0; i < NEIGHBOURS_MAX; i++) {
        struct neighbour *n = make(all, i, true, now + i);
        neighbour_use(all, n, now + i);
        neighbour_heard(all, n, mac_a, true, now + i);
    }
    now += second;
    cr_assert_null(make(all, 50000, false, now));
    cr_assert_eq(all->refused, 1);
    cr_assert_not_null(make(all, 50001, true, now));
    cr_assert_null(find(all, 0), "the one used longest ago went");
    cr_assert_eq(all->evicted, 1);
    /* A minute without traffic, and others may have the room. */
    now += NEIGHBOUR_IN_USE_NS + second;
    cr_assert_not_null(make(all, 50002, false, now));
    end(all);
}

Test(neighbour, keeps_four_small_frames_in_order)
{
    struct neighbours *all = table();
    struct neighbour *n = make(all, 1, true, 0);
    uint8_t head[NEIGHBOUR_FRAME_MAX + 1] = {0}, tail[3] = "xyz";
    struct iovec piece[2] = {{tail, 1}, {tail + 1, 2}};
    struct tx_frame frame = {.head = head,
                             .head_len = 54,
                             .l3_at = 14,
                             .l4_at = 34,
                             .flags = TX_IP_SUM,
                             .pieces = 2,
                             .payload = 3,
                             .piece = piece};
    for (unsigned i = 0; i < NEIGHBOUR_WAITING; i++) {
        head[0] = (uint8_t)i;
        cr_assert(neighbour_wait(all, n, &frame));
    }
    cr_assert_not(neighbour_wait(all, n, &frame), "a fifth");
    for (unsigned i = 0; i < NEIGHBOUR_WAITING; i++) {
        struct neighbour_frame *kept = neighbour_take(n);
        cr_assert_eq(kept->bytes[0], i);
        cr_assert(kept->len == 57 && kept->l3_at == 14 && kept->l4_at == 34 && kept->flags == TX_IP_SUM);
        cr_assert_arr_eq(kept->bytes + 54, tail, 3);
        neighbour_frame_free(all, kept);
    }
    cr_assert_null(neighbour_take(n));
    frame.head_len = NEIGHBOUR_FRAME_MAX - 3;
    cr_assert(neighbour_wait(all, n, &frame), "it just fits");
    frame.head_len++;
    cr_assert_not(neighbour_wait(all, n, &frame));
    frame.head_len = 54;
    frame.flags = TX_TSO;
    cr_assert_not(neighbour_wait(all, n, &frame));
    end(all);
}

Test(neighbour, waiting_frames_are_bounded_in_all_and_come_back)
{
    struct neighbours *all = table();
    uint8_t head[54] = {0};
    struct tx_frame frame = {.head = head, .head_len = 54};
    for (int round = 0; round < 3; round++) {
        unsigned kept = 0;
        for (unsigned i = 0; i < NEIGHBOURS_MAX; i++) {
            struct neighbour *n = make(all, i, true, 0);
            neighbour_use(all, n, 0);
            for (int j = 0; j < NEIGHBOUR_WAITING; j++)
                kept += neighbour_wait(all, n, &frame);
        }
        unsigned most = NEIGHBOUR_FRAMES < NEIGHBOURS_MAX * NEIGHBOUR_WAITING
                            ? NEIGHBOUR_FRAMES
                            : NEIGHBOURS_MAX * NEIGHBOUR_WAITING;
        cr_assert_eq(kept, most);
        uint64_t t = second;
        for (; all->count; t += second)
            while (neighbours_due(all, t) || timers_next(&all->timers) <= t)
                ;
        cr_assert_eq(all->frames_dropped, (unsigned)(round + 1) * most);
    }
    end(all);
}

/* The table against a plain array of what was put into it. */
Test(neighbour, found_are_those_that_were_made)
{
    struct neighbours *all = table();
    struct prng prng;
    prng_seed(&prng, 3);
    uint64_t now = 0;
    struct neighbour *made[4 * NEIGHBOURS_MAX] = {0};
    uint32_t generation[4 * NEIGHBOURS_MAX] = {0};
    for (int step = 0; step < 20000; step++) {
        unsigned i = (unsigned)prng_below(&prng, 4 * NEIGHBOURS_MAX);
        struct neighbour *n = find(all, i);
        bool there = made[i] && made[i]->generation == generation[i];
        cr_assert_eq(n, there ? made[i] : NULL);
        if (!n && (n = make(all, i, prng_below(&prng, 2), now))) {
            made[i] = n;
            generation[i] = n->generation;
        }
        if (n && prng_below(&prng, 2))
            neighbour_use(all, n, now);
        if (n && prng_below(&prng, 3) == 0)
            neighbour_heard(all, n, mac_a, prng_below(&prng, 2), now);
        now += prng_below(&prng, second / 10);
        while (neighbours_due(all, now) || timers_next(&all->timers) <= now)
            ;
        cr_assert_leq(all->count, NEIGHBOURS_MAX);
    }
    end(all);
}
