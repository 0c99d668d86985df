#include "base/tally.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct tallies {
    pthread_mutex_t lock; /* of the map, and of who is the last holder */
    struct map map;
};

struct tallies *tallies_new(void)
{
    struct tallies *all = calloc(1, sizeof *all);
    CHECK(all);
    CHECK(pthread_mutex_init(&all->lock, NULL) == 0);
    map_init(&all->map);
    return all;
}

void tallies_free(struct tallies *all)
{
    CHECK(!all->map.count);
    map_free(&all->map);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* ---- who holds it -------------------------------------------------------------------------------------- */

struct wanted {
    enum tally_of of;
    struct span name;
};

static bool is_wanted(const struct map_node *node, const void *key)
{
    const struct tally *tally = container_of(node, struct tally, node);
    const struct wanted *wanted = key;
    return tally->of == wanted->of && span_equal(span_of(tally->name, tally->name_len), wanted->name);
}

static struct tally *tally_new(struct tallies *all, const struct wanted *wanted, uint64_t hash)
{
    struct tally *tally = calloc(1, sizeof *tally + wanted->name.len);
    CHECK(tally);
    tally->all = all;
    tally->of = (uint8_t)wanted->of;
    tally->name_len = wanted->name.len;
    put_span(tally->name, wanted->name);
    map_add(&all->map, &tally->node, hash);
    return tally;
}

struct tally *tally_take(struct tallies *all, enum tally_of of, struct span name)
{
    const struct wanted wanted = {of, name};
    uint64_t hash = hash_keyed(name, of);
    pthread_mutex_lock(&all->lock);
    struct map_node *node = map_find(&all->map, hash, is_wanted, &wanted);
    struct tally *tally = node ? container_of(node, struct tally, node) : tally_new(all, &wanted, hash);
    atomic_fetch_add(&tally->holders, 1);
    pthread_mutex_unlock(&all->lock);
    return tally;
}

struct tally *tally_share(struct tally *tally)
{
    atomic_fetch_add(&tally->holders, 1);
    return tally;
}

/* Only with the lock can the last one go: nobody finds it in between. */
void tally_give_back(struct tally *tally)
{
    struct tallies *all = tally->all;
    uint32_t holders = atomic_load(&tally->holders);
    while (holders > 1)
        if (atomic_compare_exchange_weak(&tally->holders, &holders, holders - 1))
            return;
    pthread_mutex_lock(&all->lock);
    if (atomic_fetch_sub(&tally->holders, 1) == 1) {
        map_remove(&all->map, &tally->node);
        free(tally);
    }
    pthread_mutex_unlock(&all->lock);
}

/* ---- counts ----------------------------------------------------------------------------------------------
 */

bool tally_add(struct tally *tally, enum tally_count count, int64_t most)
{
    if (atomic_fetch_add(&tally->count[count], 1) < most || most < 0)
        return true;
    tally_subtract(tally, count, 1);
    return false;
}

void tally_subtract(struct tally *tally, enum tally_count count, int64_t n)
{
    atomic_fetch_sub(&tally->count[count], n);
}

/* ---- rates -----------------------------------------------------------------------------------------------
 */

#define SECOND_NS 1000000000.0
#define NEVER_NS  1e18

/* Each use takes its time from the line of time, behind the use before. */
uint64_t tally_use(struct tally *tally, enum tally_rate which, int64_t rate, uint64_t n, uint64_t now_ns)
{
    double long_ns = (double)n * SECOND_NS / (double)rate;
    uint64_t takes = long_ns < NEVER_NS ? (uint64_t)long_ns : (uint64_t)NEVER_NS;
    uint64_t paid = atomic_load(&tally->paid_ns[which]), from;
    do
        from = paid > now_ns ? paid < (uint64_t)NEVER_NS ? paid : (uint64_t)NEVER_NS : now_ns;
    while (!atomic_compare_exchange_weak(&tally->paid_ns[which], &paid, from + takes));
    return from > now_ns + TALLY_BURST_NS ? from - TALLY_BURST_NS : now_ns;
}

void tally_forget_use(struct tally *tally)
{
    for (unsigned i = 0; i < TALLY_RATES; i++)
        atomic_store(&tally->paid_ns[i], 0);
}
