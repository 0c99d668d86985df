#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/slots.h"

static char things[500];

/* Every handle ever given is asked for, again and again: only those in use name anything. */
Test(slots, a_handle_names_one_thing_and_is_never_reused)
{
    enum { HANDLES = 4000 };
    struct slots slots = {0};
    struct prng prng;
    uint64_t *handles = calloc(HANDLES, sizeof *handles);
    char **named = calloc(HANDLES, sizeof *named);
    prng_seed(&prng, 1);
    for (unsigned given = 0; given < HANDLES;) {
        unsigned i = given ? (unsigned)prng_below(&prng, given) : 0;
        if (given && prng_below(&prng, 2) && named[i]) {
            slots_remove(&slots, handles[i]);
            named[i] = NULL;
            continue;
        }
        char *thing = &things[prng_below(&prng, sizeof things)];
        handles[given] = slots_add(&slots, thing);
        named[given] = thing;
        for (unsigned j = 0; j < given; j++)
            cr_assert_neq(handles[j], handles[given]);
        given++;
        if (given % 100 == 0)
            for (unsigned j = 0; j < given; j++)
                cr_assert_eq(slots_get(&slots, handles[j]), named[j]);
    }
    slots_free(&slots);
    free(handles);
    free(named);
}

Test(slots, any_number_may_be_asked_for)
{
    struct slots slots = {0};
    struct prng prng;
    prng_seed(&prng, 2);
    cr_assert_null(slots_get(&slots, 0));
    cr_assert_null(slots_get(&slots, UINT64_MAX));
    uint64_t handle = slots_add(&slots, things);
    cr_assert_neq(handle, 0);
    for (int bit = 0; bit < 64; bit++)
        cr_assert_null(slots_get(&slots, handle ^ UINT64_C(1) << bit));
    for (int i = 0; i < 10000; i++) {
        uint64_t any = prng_next(&prng);
        cr_assert_eq(slots_get(&slots, any), any == handle ? things : NULL);
    }
    cr_assert_null(slots_get(&slots, 0));
    slots_free(&slots);
}

Test(slots, room_is_used_again)
{
    struct slots slots = {0};
    uint64_t handles[10];
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 10; i++)
            handles[i] = slots_add(&slots, things);
        for (int i = 0; i < 10; i++)
            slots_remove(&slots, handles[(i * 3 + round) % 10]);
    }
    cr_assert_eq(slots.count, 10);
    slots_free(&slots);
}

/* After 2^32 uses a slot's handles would come again: it is left unused instead. */
Test(slots, a_slot_whose_generations_are_used_up_is_left_alone)
{
    struct slots slots = {0};
    uint64_t first = slots_add(&slots, things);
    slots_remove(&slots, first);
    slots.slot[0].generation = UINT32_MAX;
    uint64_t last = slots_add(&slots, &things[1]);
    cr_assert_eq(last, (uint64_t)UINT32_MAX << 32);
    cr_assert_eq(slots_get(&slots, last), &things[1]);
    slots_remove(&slots, last);
    cr_assert_null(slots_get(&slots, last));
    cr_assert_null(slots_get(&slots, 0));
    uint64_t other = slots_add(&slots, &things[2]);
    cr_assert_eq((uint32_t)other, 1);
    cr_assert_neq(other, first);
    slots_free(&slots);
}

/* Things that come and go take each other's slots; those that stay are seen once. */
Test(slots, a_walk_sees_what_stays_once)
{
    struct slots slots = {0};
    struct prng prng;
    uint64_t passing[300] = {0}, at = 0;
    unsigned seen[200] = {0};
    prng_seed(&prng, 3);
    for (unsigned i = 0; i < 200; i++) {
        slots_add(&slots, &things[i]);
        passing[i] = slots_add(&slots, &things[499]);
    }
    for (unsigned turn = 0; at < slots.count; turn++) {
        unsigned steps = 7;
        for (char *thing; (thing = slots_walk(&slots, &at, &steps));)
            if (thing < things + 200)
                seen[thing - things]++;
        for (unsigned i = 0; i < 5; i++) {
            uint64_t *handle = &passing[prng_below(&prng, 300)];
            if (*handle)
                slots_remove(&slots, *handle);
            *handle = *handle ? 0 : slots_add(&slots, &things[499]);
        }
        cr_assert_lt(turn, 1000);
    }
    for (unsigned i = 0; i < 200; i++)
        cr_assert_eq(seen[i], 1);
    slots_free(&slots);
}
