#include "base/ring.h"

/* DPDK's rings with acquire and release where x86 would do without: the same instructions, and
 * ThreadSanitizer understands them. */
#define RTE_USE_C11_MEM_MODEL 1
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"

/* Stands before the ring, on a line of its own: most of the time neither side writes it. */
struct stamp {
    _Alignas(RTE_CACHE_LINE_SIZE) uint32_t set; /* by the producer; taken off by the consumer */
    uint32_t position;                          /* as cons.tail has it, behind the entry */
    struct ring_stamp stamp;
};

/* rte_ring is used in place: struct ring is a name that keeps rte_* out of every other file. */
static struct rte_ring *rte(const struct ring *ring)
{
    return (struct rte_ring *)(uintptr_t)ring;
}

static struct stamp *stamp_of(const struct ring *ring)
{
    return (struct stamp *)(uintptr_t)ring - 1;
}

struct ring *ring_new(void)
{
    ssize_t bytes = rte_ring_get_memsize_elem(RING_ENTRY_BYTES, RING_SLOTS);
    CHECK(bytes > 0);
    size_t rounded = ((size_t)bytes + RTE_CACHE_LINE_SIZE - 1) & ~(size_t)(RTE_CACHE_LINE_SIZE - 1);
    struct stamp *stamp = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof *stamp + rounded);
    CHECK(stamp);
    *stamp = (struct stamp){0};
    struct rte_ring *r = (struct rte_ring *)(stamp + 1);
    CHECK(rte_ring_init(r, "gannet", RING_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0);
    return (struct ring *)r;
}

void ring_free(struct ring *ring)
{
    if (ring)
        free(stamp_of(ring));
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

void ring_stamp(struct ring *ring, unsigned ahead, uint64_t ns, uint32_t count)
{
    struct stamp *stamp = stamp_of(ring);
    if (__atomic_load_n(&stamp->set, __ATOMIC_ACQUIRE))
        return;
    stamp->position = rte(ring)->prod.tail + ahead;
    stamp->stamp = (struct ring_stamp){ns, count};
    __atomic_store_n(&stamp->set, 1, __ATOMIC_RELEASE);
}

bool ring_stamped(struct ring *ring, struct ring_stamp *to)
{
    struct stamp *stamp = stamp_of(ring);
    if (!__atomic_load_n(&stamp->set, __ATOMIC_ACQUIRE) ||
        (int32_t)(rte(ring)->cons.tail - stamp->position) < 0)
        return false;
    *to = stamp->stamp;
    __atomic_store_n(&stamp->set, 0, __ATOMIC_RELEASE);
    return true;
}
