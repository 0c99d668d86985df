/*
 * The index of a queue against a naive twin: one array of states, searched from the front. Small lives (few
 * entries, all choices alike) meet every branch; long ones meet many chunks, most of them freed again.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/prng.h"
#include "router/index.h"

/* As in index.c. */
#ifndef GANNET_TINY
#define CHUNK 512u
#else
#define CHUNK 4u
#endif

#define SEQS_MAX (40u * CHUNK)

/* The twin. By sequence number: */
struct naive {
    struct entry entry[SEQS_MAX]; /* state DEAD: there is none */
    uint64_t tail;
};

static uint64_t naive_find(const struct naive *naive, uint64_t from, bool ready)
{
    for (; from < naive->tail; from++)
        if (ready ? naive->entry[from].state == ENTRY_READY : naive->entry[from].state != ENTRY_DEAD)
            break;
    return from < naive->tail ? from : naive->tail;
}

static struct entry any_entry(struct prng *prng)
{
    struct entry entry = {.position = prng_below(prng, UINT64_C(1) << 56),
                          .redelivered = prng_below(prng, 2)};
    entry.body = (uint32_t)prng_below(prng, 1000);
    entry.share = (uint32_t)prng_next(prng);
    return entry;
}

static bool same(const struct entry *is, const struct entry *wanted)
{
    return memcmp(is, wanted, sizeof *is) == 0;
}

static void check_counts(const struct index *index, const struct naive *naive)
{
    uint64_t ready = 0, out = 0, bytes = 0;
    for (uint64_t seq = 1; seq < naive->tail; seq++) {
        ready += naive->entry[seq].state == ENTRY_READY;
        out += naive->entry[seq].state == ENTRY_OUT;
        bytes += naive->entry[seq].state == ENTRY_DEAD ? 0 : naive->entry[seq].body;
    }
    cr_assert_eq(index->ready, ready);
    cr_assert_eq(index->out, out);
    cr_assert_eq(index->bytes, bytes);
    cr_assert_eq(index->tail, naive->tail);
}

/* Memory is only held by chunks with something alive, and the one being filled. */
static void check_chunks(const struct index *index, const struct naive *naive)
{
    size_t held = 0, wanted = 0;
    for (size_t i = 0; i < index->count; i++)
        held += index->chunks[(index->head + i) & index->mask] != NULL;
    for (uint64_t from = 0; from < naive->tail; from += CHUNK)
        wanted +=
            naive_find(naive, from, false) < from + CHUNK && naive_find(naive, from, false) != naive->tail;
    cr_assert_geq(held, wanted);
    cr_assert_leq(held, wanted + 1);
    cr_assert(index->count == 0 || index->chunks[index->head]);
}

static void check_all(struct index *index, const struct naive *naive)
{
    check_counts(index, naive);
    check_chunks(index, naive);
    cr_assert_eq(index_first(index), naive_find(naive, 0, false));
    for (uint64_t seq = 0; seq < naive->tail + CHUNK; seq++) {
        const struct entry *wanted = seq < naive->tail ? &naive->entry[seq] : NULL;
        const struct entry *is = index_at(index, seq);
        if (wanted && wanted->state != ENTRY_DEAD)
            cr_assert(is && same(is, wanted));
        else
            cr_assert_null(is);
    }
}

/* Both searches, and the head, which moves nothing that can be seen. */
static void check_searches(struct index *index, const struct naive *naive, struct prng *prng)
{
    uint64_t from = prng_below(prng, naive->tail + 2), seq = from;
    uint64_t wanted = naive_find(naive, from, true);
    struct entry *entry = index_ready_from(index, &seq);
    cr_assert_eq(seq, wanted);
    cr_assert_eq(entry, wanted < naive->tail ? index_at(index, wanted) : NULL);
    seq = from;
    wanted = naive_find(naive, from, false);
    entry = index_alive_from(index, &seq);
    cr_assert_eq(seq, wanted);
    cr_assert_eq(entry, wanted < naive->tail ? index_at(index, wanted) : NULL);
    entry = index_head(index, &seq);
    wanted = naive_find(naive, 0, true);
    cr_assert_eq(entry, wanted < naive->tail ? index_at(index, wanted) : NULL);
    if (entry)
        cr_assert_eq(seq, wanted);
}

/* Some number in the given state; the tail if there is none. */
static uint64_t pick(const struct naive *naive, struct prng *prng, unsigned state)
{
    uint64_t from = 1 + prng_below(prng, naive->tail);
    for (uint64_t i = 0; i < naive->tail; i++) {
        uint64_t seq = (from + i) % naive->tail;
        if (naive->entry[seq].state == state)
            return seq;
    }
    return naive->tail;
}

static void push(struct index *index, struct naive *naive, struct prng *prng)
{
    if (naive->tail == SEQS_MAX)
        return;
    struct entry entry = any_entry(prng);
    cr_assert_eq(index_push(index, entry), naive->tail);
    entry.state = ENTRY_READY;
    naive->entry[naive->tail++] = entry;
}

static void deliver(struct index *index, struct naive *naive)
{
    uint64_t seq;
    struct entry *entry = index_head(index, &seq);
    if (!entry)
        return;
    cr_assert_eq(seq, naive_find(naive, 0, true));
    index_deliver(index, seq, entry);
    naive->entry[seq].state = ENTRY_OUT;
}

static void requeue(struct index *index, struct naive *naive, struct prng *prng)
{
    uint64_t seq = pick(naive, prng, ENTRY_OUT);
    if (seq == naive->tail)
        return;
    struct entry *entry = index_at(index, seq);
    entry->redelivered = naive->entry[seq].redelivered = 1;
    index_requeue(index, seq, entry);
    naive->entry[seq].state = ENTRY_READY;
}

static void kill_one(struct index *index, struct naive *naive, uint64_t seq)
{
    if (seq == naive->tail)
        return;
    index_kill(index, seq, index_at(index, seq));
    naive->entry[seq].state = ENTRY_DEAD;
}

/* As a purge does it: all that is READY, in order. */
static void purge(struct index *index, struct naive *naive)
{
    uint64_t seq = index_first(index);
    for (struct entry *entry; (entry = index_ready_from(index, &seq)); seq++) {
        index_kill(index, seq, entry);
        naive->entry[seq].state = ENTRY_DEAD;
    }
    cr_assert_eq(index->ready, 0);
}

/* weights: of push, deliver, requeue, kill OUT, kill READY, purge, in parts of a hundred. */
static void live(struct index *index, struct naive *naive, struct prng *prng, const unsigned *weights,
                 unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        unsigned roll = (unsigned)prng_below(prng, 100), what = 0;
        while (what < 5 && roll >= weights[what])
            roll -= weights[what++];
        if (what == 0)
            push(index, naive, prng);
        else if (what == 1)
            deliver(index, naive);
        else if (what == 2)
            requeue(index, naive, prng);
        else if (what == 3)
            kill_one(index, naive, pick(naive, prng, ENTRY_OUT));
        else if (what == 4)
            kill_one(index, naive, pick(naive, prng, ENTRY_READY));
        else
            purge(index, naive);
        if (i % 16 == 0)
            check_searches(index, naive, prng);
    }
    check_all(index, naive);
}

/* A recovery: entries come in any order, some twice, some are settled before older ones come. */
static void put_at_random(struct index *index, struct naive *naive, struct prng *prng, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        uint64_t seq = 1 + prng_below(prng, SEQS_MAX / 2);
        struct entry entry = any_entry(prng), old;
        if (prng_below(prng, 3) == 0) {
            kill_one(index, naive, pick(naive, prng, ENTRY_READY));
            continue;
        }
        index_put(index, seq, entry, &old);
        cr_assert_eq(old.state, naive->entry[seq].state);
        if (old.state != ENTRY_DEAD)
            cr_assert(same(&old, &naive->entry[seq]));
        entry.state = ENTRY_READY;
        naive->entry[seq] = entry;
        if (seq >= naive->tail)
            naive->tail = seq + 1;
    }
    index->next = index_first(index);
}

static void lives(unsigned seeds, unsigned steps, unsigned puts, const unsigned *weights)
{
    struct naive *naive = malloc(sizeof *naive);
    for (unsigned seed = 0; seed < seeds; seed++) {
        struct index index;
        struct prng prng;
        prng_seed(&prng, seed);
        index_init(&index);
        memset(naive, 0, sizeof *naive);
        naive->tail = 1;
        put_at_random(&index, naive, &prng, puts);
        for (unsigned part = 0; part < 4; part++)
            live(&index, naive, &prng, weights, steps / 4);
        purge(&index, naive);
        check_all(&index, naive);
        index_free(&index);
    }
    free(naive);
}

Test(index, is_what_an_array_would_be)
{
    lives(300, 200, 0, (const unsigned[]){35, 30, 15, 10, 5});
}

Test(index, is_that_over_many_chunks)
{
    lives(3, 40 * CHUNK, 0, (const unsigned[]){60, 35, 2, 3, 0});
}

Test(index, is_that_when_most_is_given_back)
{
    lives(20, 8 * CHUNK, 0, (const unsigned[]){30, 40, 25, 2, 2});
}

Test(index, is_that_after_a_recovery_in_any_order)
{
    lives(100, 100, 60, (const unsigned[]){35, 30, 15, 10, 5});
    lives(3, 8 * CHUNK, 10 * CHUNK, (const unsigned[]){35, 30, 10, 20, 5});
}

Test(index, starts_at_one_and_forgets_when_freed)
{
    struct index index;
    uint64_t seq;
    index_init(&index);
    cr_assert_null(index_head(&index, &seq));
    cr_assert_eq(index_first(&index), 1);
    cr_assert_eq(index_push(&index, (struct entry){.body = 1}), 1);
    index_free(&index);
    cr_assert_eq(index_push(&index, (struct entry){.body = 1}), 1);
    cr_assert_eq(index.bytes, 1);
    index_free(&index);
}

/* One message that nobody settles must not hold the memory of all that came after it. */
Test(index, one_old_entry_costs_one_chunk)
{
    struct index index;
    index_init(&index);
    for (uint64_t n = 0; n < 1000 * CHUNK; n++) {
        uint64_t seq;
        index_push(&index, (struct entry){.body = 10});
        struct entry *entry = index_head(&index, &seq);
        index_deliver(&index, seq, entry);
        if (seq > 1)
            index_kill(&index, seq, entry);
    }
    size_t held = 0;
    for (size_t i = 0; i < index.count; i++)
        held += index.chunks[(index.head + i) & index.mask] != NULL;
    cr_assert_leq(held, 3);
    cr_assert_eq(index_first(&index), 1);
    index_kill(&index, 1, index_at(&index, 1));
    cr_assert_leq(index.count, 2); /* the list of chunks shrinks to what is young */
    index_free(&index);
}

/* A consumer that takes all and gives all back, again and again: the heap holds each number once. */
Test(index, what_is_given_back_is_held_once)
{
    enum { MESSAGES = 1000 };
    struct index index;
    index_init(&index);
    for (unsigned i = 0; i < MESSAGES; i++)
        index_push(&index, (struct entry){.body = 1});
    for (unsigned round = 0; round < 20; round++) {
        for (uint64_t wanted = 1; wanted <= MESSAGES; wanted++) {
            uint64_t seq;
            struct entry *entry = index_head(&index, &seq);
            cr_assert_eq(seq, wanted);
            index_deliver(&index, seq, entry);
        }
        for (uint64_t i = 0; i < MESSAGES; i++) {
            uint64_t seq = 1 + (i * 377 + round) % MESSAGES; /* 377 and 1000 share no factor: each once */
            index_requeue(&index, seq, index_at(&index, seq));
        }
        cr_assert_leq(index.back.count, MESSAGES);
    }
    index_free(&index);
}
