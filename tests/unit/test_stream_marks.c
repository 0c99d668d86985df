/* Marks: made, looked up, saved and replayed in any order. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/prng.h"
#include "router/agent.h"
#include "router/stream.h"

enum { MESSAGES = 5000 };

static uint64_t came[MESSAGES + 1]; /* ms, by seq */

static void make_times(struct prng *prng)
{
    uint64_t ms = 1000000;
    for (unsigned seq = 1; seq <= MESSAGES; seq++)
        came[seq] = ms += prng_below(prng, 10) ? prng_below(prng, 5) : prng_below(prng, 3000);
}

static struct queue *new_queue(void)
{
    struct queue *queue = calloc(1, sizeof *queue);
    struct entry old;
    index_init(&queue->index);
    queue->stream = stream_new(queue);
    for (uint64_t seq = 1; seq <= MESSAGES; seq++)
        index_put(&queue->index, seq, (struct entry){.position = seq}, &old);
    return queue;
}

static void free_queue(struct queue *queue)
{
    fifo_free(&queue->stream->marks);
    free(queue->stream);
    index_free(&queue->index);
    free(queue);
}

/* Every message came within its mark's time, and marks are not too few. */
static void check(const struct stream *stream, uint64_t first, uint64_t most)
{
    size_t count = stream->marks.count;
    cr_assert(count > 0 && fifo_at(&stream->marks, 0)->seq == first);
    for (size_t i = 0; i < count; i++) {
        const struct mark *mark = fifo_at(&stream->marks, i);
        uint64_t end = i + 1 < count ? fifo_at(&stream->marks, i + 1)->seq : MESSAGES + 1;
        cr_assert(end > mark->seq && end - mark->seq <= most, "mark %zu: %lu to %lu", i, mark->seq, end);
        for (uint64_t seq = mark->seq; seq < end; seq++)
            cr_assert(came[seq] >= mark->ms && came[seq] <= mark->ms + mark->span, "message %lu", seq);
        cr_assert_lt(mark->span, 1000);
    }
}

Test(stream_marks, say_when_messages_came)
{
    struct prng prng;
    prng_seed(&prng, 1);
    make_times(&prng);
    struct queue *queue = new_queue();
    for (uint64_t seq = 1; seq <= MESSAGES; seq++)
        stream_mark(queue->stream, seq, came[seq], 0);
    check(queue->stream, 1, 256);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t ms = came[1 + prng_below(&prng, MESSAGES)];
        const struct mark *mark = stream_mark_before(queue->stream, ms);
        uint64_t seq = 1;
        while (came[seq] < ms)
            seq++;
        cr_assert(mark->seq <= seq && seq - mark->seq <= 512);
    }
    cr_assert_eq(stream_mark_before(queue->stream, 0)->seq, 1);
    stream_forget_marks(queue->stream, 3000);
    check(queue->stream, 3000, 256);
    free_queue(queue);
}

/* A checkpoint's marks (of an earlier table) among messages that came meanwhile, and copies of old ones. */
Test(stream_marks, are_the_same_after_a_replay_in_any_order)
{
    for (unsigned seed = 1; seed < 30; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        make_times(&prng);
        struct queue *before = new_queue(), *after = new_queue();
        uint64_t saved = 1 + prng_below(&prng, MESSAGES);
        for (uint64_t seq = 1; seq <= saved; seq++)
            stream_mark(before->stream, seq, came[seq], 0);
        size_t marks = before->stream->marks.count, next = 0;
        for (uint64_t seq = saved + 1; seq <= MESSAGES || next < marks;) {
            uint64_t old = 1 + prng_below(&prng, saved);
            if (next < marks && prng_below(&prng, 3) == 0) {
                const struct mark *mark = fifo_at(&before->stream->marks, next++);
                stream_replay_mark(after->stream, mark->seq, mark->ms, mark->span);
            } else if (prng_below(&prng, 20) == 0) {
                stream_replay_mark(after->stream, old, came[old], 0);
            } else if (seq <= MESSAGES) {
                stream_replay_mark(after->stream, seq, came[seq], 0);
                seq++;
            }
        }
        stream_replayed(after->stream);
        check(after->stream, 1, 512);
        cr_assert_eq(after->stream->visible, MESSAGES + 1);
        free_queue(before);
        free_queue(after);
    }
}
