#include "base/ring.h"

/* DPDK's rings with acquire and release where x86 would do without: the same instructions, and
 * ThreadSanitizer understands them. */
#define RTE_USE_C11_MEM_MODEL 1
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

/* rte_ring is used in place: struct ring is a name that keeps rte_* out of every other file. */
static struct rte_ring *rte(const struct ring *ring)
{
    return (struct rte_ring *)(uintptr_t)ring;
}

struct ring *ring_new(void)
{
    ssize_t bytes = rte_ring_get_memsize_elem(RING_ENTRY_BYTES, RING_SLOTS);
    CHECK(bytes > 0);
    size_t rounded = ((size_t)bytes + RTE_CACHE_LINE_SIZE - 1) & ~(size_t)(RTE_CACHE_LINE_SIZE - 1);
    struct rte_ring *r = aligned_alloc(RTE_CACHE_LINE_SIZE, rounded);
    CHECK(r);
    CHECK(rte_ring_init(r, "gannet", RING_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0);
    return (struct ring *)r;
}

void ring_free(struct ring *ring)
{
    free(ring);
}

unsigned ring_put(struct ring *ring, const void *entries, unsigned n)
{
    return rte_ring_sp_enqueue_burst_elem(rte(ring), entries, RING_ENTRY_BYTES, n, NULL);
}

/* Acquire: what the consumer did with an entry happened before its place is seen to be free (the front counts
 * on it for the buffers that it lends). */
unsigned ring_waiting(const struct ring *ring)
{
    uint32_t taken = __atomic_load_n(&rte(ring)->cons.tail, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&rte(ring)->prod.tail, __ATOMIC_ACQUIRE) - taken;
}

unsigned ring_room(const struct ring *ring)
{
    return rte(ring)->capacity - ring_waiting(ring);
}

unsigned ring_take(struct ring *ring, void *entries, unsigned n)
{
    return rte_ring_sc_dequeue_burst_elem(rte(ring), entries, RING_ENTRY_BYTES, n, NULL);
}

unsigned ring_reserve(struct ring *ring, unsigned n, void **entries)
{
    struct rte_ring_zc_data places = {0};
    unsigned got = rte_ring_enqueue_zc_burst_elem_start(rte(ring), RING_ENTRY_BYTES, n, &places, NULL);
    *entries = places.ptr1;
    return got < places.n1 ? got : places.n1;
}

void ring_publish(struct ring *ring, unsigned m)
{
    rte_ring_enqueue_zc_elem_finish(rte(ring), m);
}

unsigned ring_peek(struct ring *ring, unsigned n, const void **entries)
{
    struct rte_ring_zc_data places = {0};
    unsigned got = rte_ring_dequeue_zc_burst_elem_start(rte(ring), RING_ENTRY_BYTES, n, &places, NULL);
    *entries = places.ptr1;
    return got < places.n1 ? got : places.n1;
}

void ring_release(struct ring *ring, unsigned m)
{
    rte_ring_dequeue_zc_elem_finish(rte(ring), m);
}
