/*
 * Output against a naive twin, one long array of the bytes that should come out. A made-up transport takes
 * them in pieces of any size, lets go of them later, and looks at them until then: so nothing may be used
 * again too early.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "transport/output.h"

enum { BYTES_MAX = 3 << 20, LOANS_MAX = 4000 };

struct loan {
    uint8_t *bytes; /* NULL: it has come back */
    uint64_t end;   /* of its bytes in the stream */
};

struct world {
    struct prng prng;
    struct output output;
    struct output_pool pool;
    uint8_t *wanted;      /* the whole stream */
    const uint8_t **sent; /* where each byte sent was read: it is read again when it is released */
    uint64_t written, taken, released;
    struct loan loans[LOANS_MAX];
    unsigned lent, back;
};

static struct world *world_new(uint64_t seed, unsigned pool)
{
    struct world *w = calloc(1, sizeof *w);
    prng_seed(&w->prng, seed);
    w->pool.most = pool;
    w->wanted = malloc(BYTES_MAX);
    w->sent = malloc(BYTES_MAX * sizeof *w->sent);
    return w;
}

/* A page is given back once, in the order of lending, by the router that lent it, and not while it is looked
 * at. */
static void on_page_out(void *owner, unsigned router, uint64_t page)
{
    struct world *w = owner;
    cr_assert_lt(w->back, w->lent);
    struct loan *loan = &w->loans[w->back];
    cr_assert_eq(page, w->back * 3 + 1);
    cr_assert_eq(router, w->back % 64);
    cr_assert(loan->bytes);
    free(loan->bytes);
    loan->bytes = NULL;
    w->back++;
}

static void world_free(struct world *w)
{
    output_free(&w->output, &w->pool, on_page_out, w);
    cr_assert_eq(w->back, w->lent);
    cr_assert_leq(w->pool.count, w->pool.most);
    cr_assert_leq(w->pool.small, OUTPUT_POOL_SMALL);
    output_pool_free(&w->pool);
    free(w->wanted);
    free(w->sent);
    free(w);
}

static void fill(struct world *w, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = w->wanted[w->written + i] = (uint8_t)prng_next(&w->prng);
    w->written += len;
}

static size_t any_len(struct world *w)
{
    static const size_t most[] = {1, 8, 100, 3000, OUTPUT_CHUNK_BYTES};
    return prng_below(&w->prng, most[prng_below(&w->prng, 5)] + 1);
}

/* Less may be committed than was reserved. */
static void write_own(struct world *w)
{
    size_t room = any_len(w), len = prng_below(&w->prng, 3) ? room : prng_below(&w->prng, room + 1);
    if (w->written + len > BYTES_MAX)
        return;
    uint8_t *at = output_reserve(&w->output, &w->pool, room);
    fill(w, at, len);
    output_commit(&w->output, len);
}

static void lend(struct world *w)
{
    size_t len = 1 + any_len(w) / 8;
    if (w->written + len > BYTES_MAX || w->lent == LOANS_MAX)
        return;
    struct loan *loan = &w->loans[w->lent];
    loan->bytes = malloc(len);
    fill(w, loan->bytes, len);
    loan->end = w->written;
    output_lend(&w->output, w->lent % 64, w->lent * 3 + 1, span_of(loan->bytes, len));
    w->lent++;
}

static void send_some(struct world *w)
{
    struct iovec iov[OUTPUT_IOVS];
    int n = output_next(&w->output, iov);
    uint64_t offered = 0, at = w->taken;
    for (int i = 0; i < n; i++) {
        cr_assert_gt(iov[i].iov_len, 0);
        cr_assert_arr_eq(iov[i].iov_base, w->wanted + w->taken + offered, iov[i].iov_len);
        for (size_t j = 0; j < iov[i].iov_len; j++)
            w->sent[at++] = (const uint8_t *)iov[i].iov_base + j;
        offered += iov[i].iov_len;
    }
    cr_assert(offered > 0 || w->output.unsent == 0);
    cr_assert(n == (int)OUTPUT_IOVS || offered == w->output.unsent);
    uint64_t taken = prng_below(&w->prng, 2) ? offered : prng_below(&w->prng, offered + 1);
    output_taken(&w->output, taken);
    w->taken += taken;
}

static void release(struct world *w, uint64_t upto)
{
    for (; w->released < upto; w->released++)
        cr_assert_eq(*w->sent[w->released], w->wanted[w->released]);
    output_released(&w->output, &w->pool, w->released, on_page_out, w);
    unsigned through = 0;
    while (through < w->lent && w->loans[through].end <= w->released)
        through++;
    cr_assert_eq(w->back, through, "a page is given back as soon as its bytes are out, and no sooner");
}

static void live(struct world *w, unsigned steps)
{
    for (unsigned step = 0; step < steps; step++) {
        unsigned what = (unsigned)prng_below(&w->prng, 8);
        if (what < 3)
            write_own(w);
        else if (what < 5)
            lend(w);
        else if (what < 7)
            send_some(w);
        else
            release(w, w->released + prng_below(&w->prng, w->taken - w->released + 1));
        cr_assert_eq(w->output.unsent, w->written - w->taken);
    }
}

static void drain(struct world *w)
{
    while (w->taken < w->written)
        send_some(w);
    release(w, w->taken);
    cr_assert_eq(w->output.pieces.count, 0);
    cr_assert_null(w->output.open, "an idle connection has no chunk");
}

Test(output, comes_out_in_order_once)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct world *w = world_new(seed, (unsigned)seed % 4);
        for (unsigned part = 0; part < 5; part++) {
            live(w, 60);
            drain(w);
        }
        world_free(w);
    }
}

/* The connection is gone in the middle: pages are given back all the same. */
Test(output, gives_all_back_when_it_is_freed)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct world *w = world_new(seed, 2);
        live(w, 1 + (unsigned)seed * 3);
        world_free(w);
    }
}

/* A thousand small frames are one piece, so that one sendmsg takes them. */
Test(output, what_is_written_side_by_side_is_one_piece_of_a_chunk)
{
    struct world *w = world_new(0, 1);
    struct iovec iov[OUTPUT_IOVS];
    for (int i = 0; i < 1000; i++) {
        fill(w, output_reserve(&w->output, &w->pool, 8), 8);
        output_commit(&w->output, 8);
    }
    cr_assert_eq(output_next(&w->output, iov), 2);
    cr_assert_eq(iov[0].iov_len, OUTPUT_SMALL_BYTES);
    cr_assert_eq(iov[1].iov_len, 8000 - OUTPUT_SMALL_BYTES);
    drain(w);
    world_free(w);
}

/* What doesn't fit behind the rest of a chunk by a byte goes into the next. */
Test(output, pieces_do_not_run_over_the_end_of_a_chunk)
{
    struct world *w = world_new(0, 0);
    for (size_t rest = 0; rest < 3; rest++)
        for (size_t len = 1; len < 5; len++) {
            fill(w, output_reserve(&w->output, &w->pool, OUTPUT_CHUNK_BYTES - rest),
                 OUTPUT_CHUNK_BYTES - rest);
            output_commit(&w->output, OUTPUT_CHUNK_BYTES - rest);
            fill(w, output_reserve(&w->output, &w->pool, len), len);
            output_commit(&w->output, len);
        }
    drain(w);
    world_free(w);
}

Test(output, chunks_go_back_to_the_pool_and_are_used_again)
{
    struct world *w = world_new(0, 2);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++) {
            fill(w, output_reserve(&w->output, &w->pool, OUTPUT_CHUNK_BYTES), OUTPUT_CHUNK_BYTES);
            output_commit(&w->output, OUTPUT_CHUNK_BYTES);
        }
        cr_assert_eq(w->pool.count, 0);
        drain(w);
        cr_assert_eq(w->pool.count, 2);
    }
    world_free(w);
}

/* What it holds is what it needs: a word is in a small one, and what comes behind it in a large one. */
Test(output, the_first_chunk_is_small_and_goes_back_to_its_own_pool)
{
    struct world *w = world_new(0, 2);
    for (int round = 0; round < 3; round++) {
        fill(w, output_reserve(&w->output, &w->pool, 2), 2);
        output_commit(&w->output, 2);
        cr_assert_eq(w->output.open->room, OUTPUT_SMALL_BYTES);
        fill(w, output_reserve(&w->output, &w->pool, OUTPUT_SMALL_BYTES), OUTPUT_SMALL_BYTES);
        output_commit(&w->output, OUTPUT_SMALL_BYTES);
        cr_assert_eq(w->output.open->room, OUTPUT_CHUNK_BYTES);
        cr_assert(w->pool.count == 0 && w->pool.small == 0);
        drain(w);
        cr_assert(w->pool.count == 1 && w->pool.small == 1);
    }
    world_free(w);
}
