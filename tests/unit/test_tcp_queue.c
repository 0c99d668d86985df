#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tcp/queue.h"
#include "tcp/seq.h"

enum { MEMORY = 1 << 16, MOST = 300 };

static uint8_t memory[MEMORY];

/* What has been added and not released, byte by byte. */
struct twin {
    struct queue queue;
    struct queue_pool pool;
    uint8_t *bytes;
    size_t len;    /* ever added */
    uint32_t base; /* the sequence number of the first */
    uint32_t una;
};

static void add(struct twin *t, struct prng *prng)
{
    uint32_t len = 1 + (uint32_t)prng_below(prng, MOST), at = (uint32_t)prng_below(prng, MEMORY - MOST);
    cr_assert(queue_add(&t->queue, &t->pool, memory + at, len));
    t->bytes = realloc(t->bytes, t->len + len);
    memcpy(t->bytes + t->len, memory + at, len);
    t->len += len;
    cr_assert_eq(t->queue.end, t->base + (uint32_t)t->len);
}

static void gather(struct twin *t, struct prng *prng)
{
    uint32_t held = t->queue.end - t->una;
    if (!held)
        return;
    uint32_t seq = t->una + (uint32_t)prng_below(prng, held), len = 1 + (uint32_t)prng_below(prng, held);
    struct iovec iov[16];
    unsigned most = 1 + (unsigned)prng_below(prng, 16), pieces = most;
    uint32_t got = queue_gather(&t->queue, seq, len, iov, &pieces), at = 0;
    cr_assert_leq(pieces, most);
    for (unsigned i = 0; i < pieces; i++) {
        cr_assert_gt(iov[i].iov_len, 0);
        cr_assert_eq(memcmp(iov[i].iov_base, t->bytes + (seq - t->base) + at, iov[i].iov_len), 0);
        at += (uint32_t)iov[i].iov_len;
    }
    cr_assert_eq(at, got);
    /* All that was asked for and is there, unless the pieces are all used. */
    uint32_t there = t->queue.end - seq;
    cr_assert(got == (len < there ? len : there) || pieces == most);
}

static void release(struct twin *t, struct prng *prng)
{
    t->una += (uint32_t)prng_below(prng, t->queue.end - t->una + 1);
    queue_release(&t->queue, &t->pool, t->una);
    if (t->una == t->queue.end)
        cr_assert_null(t->queue.slices, "an empty queue holds memory");
}

/* base: also where numbers wrap. */
static void run(uint64_t seed, uint32_t base)
{
    struct twin t = {.base = base, .una = base};
    struct prng prng;
    prng_seed(&prng, seed);
    blocks_init(&t.pool.blocks, sizeof(struct slice));
    queue_init(&t.queue, base);
    for (unsigned step = 0; step < 20000; step++) {
        if (prng_chance(&prng, 400000))
            add(&t, &prng);
        else if (prng_chance(&prng, 800000))
            gather(&t, &prng);
        else
            release(&t, &prng);
    }
    queue_free(&t.queue, &t.pool);
    blocks_end(&t.pool.blocks);
    free(t.bytes);
}

Test(tcp_queue, like_a_plain_buffer)
{
    for (unsigned i = 0; i < MEMORY; i++)
        memory[i] = (uint8_t)(i * 2654435761u >> 24);
    run(1, 1000);
    run(2, UINT32_MAX - 100000);
}

Test(tcp_queue, neighbouring_memory_is_one_slice)
{
    struct queue queue;
    struct queue_pool pool;
    blocks_init(&pool.blocks, sizeof(struct slice));
    queue_init(&queue, 7);
    for (unsigned i = 0; i < 100; i++)
        cr_assert(queue_add(&queue, &pool, memory + 10 * i, 10));
    cr_assert_eq(queue.count, 1);
    cr_assert_eq(queue.end, 1007);
    queue_free(&queue, &pool);
    blocks_end(&pool.blocks);
}
