/* The marks of a stream: when its messages came, roughly. */
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/stream.h"

/* A mark is made for so many messages, or when so much time has gone by, whichever comes first: what a time
 * is looked up for is that near, and no message costs more than one. */
#ifndef GANNET_TINY
enum { MESSAGES_PER_MARK = 256, MS_PER_MARK = 1000 };
#else
enum { MESSAGES_PER_MARK = 4, MS_PER_MARK = 1000 };
#endif

/* What a note can hold; a span is below MS_PER_MARK unless the clock was set back. */
enum { SPAN_MAX = ATTEMPTS_MAX };

static bool is_due(const struct mark *last, uint64_t seq, uint64_t ms)
{
    return seq >= last->seq + MESSAGES_PER_MARK || ms >= last->ms + MS_PER_MARK;
}

static struct mark *newest(struct stream *stream)
{
    return stream->marks.count ? fifo_at(&stream->marks, stream->marks.count - 1) : NULL;
}

/* It takes messages up to that time in. */
static void widen(struct mark *mark, uint64_t ms)
{
    uint64_t span = ms > mark->ms ? ms - mark->ms : 0;
    if (span > mark->span)
        mark->span = span < SPAN_MAX ? span : SPAN_MAX;
}

bool stream_mark(struct stream *stream, uint64_t seq, uint64_t ms, uint64_t span)
{
    struct mark *last = newest(stream);
    if (last && !is_due(last, seq, ms + span)) {
        widen(last, ms + span);
        return false;
    }
    uint64_t before = last ? last->ms : 0; /* the clock may have been set back between two starts */
    *fifo_add(&stream->marks) = (struct mark){.seq = seq, .ms = ms > before ? ms : before};
    widen(newest(stream), ms + span);
    return true;
}

void stream_forget_marks(struct stream *stream, uint64_t first)
{
    while (stream->marks.count > 1 && fifo_at(&stream->marks, 1)->seq <= first)
        fifo_drop_oldest(&stream->marks);
    if (stream->marks.count && fifo_oldest(&stream->marks)->seq < first)
        fifo_oldest(&stream->marks)->seq = first;
}

const struct mark *stream_mark_before(const struct stream *stream, uint64_t ms)
{
    size_t low = 0, high = stream->marks.count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (fifo_at(&stream->marks, middle)->ms < ms)
            low = middle;
        else
            high = middle;
    }
    return high ? fifo_at(&stream->marks, low) : NULL;
}

/* ---- records ------------------------------------------------------------------------------------- */

/* Which is the first at or above seq; marks.count if none is. */
static size_t find(const struct stream *stream, uint64_t seq)
{
    size_t low = 0, high = stream->marks.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fifo_at(&stream->marks, middle)->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A mark is kept as the note of its message, ms in `expires` and span in `attempts`. */
void stream_save_marks(struct router *router, const struct stream *stream, uint64_t from, uint64_t to)
{
    size_t first = find(stream, from), end = find(stream, to);
    if (first == end)
        return;
    size_t bytes = (end - first) * sizeof(struct saved_note);
    struct record_notes *r = (struct record_notes *)store_begin(&router->store, true, sizeof *r + bytes);
    r->record.type = RECORD_NOTES;
    r->queue = stream->queue->number;
    r->count = (uint32_t)(end - first);
    for (size_t i = first; i < end; i++) {
        const struct mark *mark = fifo_at(&stream->marks, i);
        struct entry_note note = {.expires = mark->ms, .attempts = mark->span};
        r->notes[i - first].seq = mark->seq;
        memcpy(&r->notes[i - first].bits, &note, sizeof note);
    }
    store_end(&router->store);
}

/* A checkpoint's marks and messages that came meanwhile, and copies of old ones, stand in the log in any
 * order. */
void stream_replay_mark(struct stream *stream, uint64_t seq, uint64_t ms, uint64_t span)
{
    struct mark *last = newest(stream);
    bool follows = last && seq == stream->looked + 1;
    stream->looked = seq;
    if (!follows || is_due(last, seq, ms))
        *fifo_add(&stream->marks) = (struct mark){.seq = seq, .ms = ms, .span = span};
    else
        widen(last, ms + span);
}

static int by_seq(const void *a, const void *b)
{
    const struct mark *one = a, *other = b;
    return one->seq < other->seq ? -1 : one->seq > other->seq;
}

void stream_replayed(struct stream *stream)
{
    size_t count = stream->marks.count;
    uint64_t first = index_first(&stream->queue->index);
    struct mark *marks = malloc((count + 1) * sizeof *marks);
    CHECK(marks);
    for (size_t i = 0; i < count; i++)
        marks[i] = *fifo_at(&stream->marks, i);
    qsort(marks, count, sizeof *marks, by_seq);
    fifo_free(&stream->marks);
    for (size_t i = 0; i < count; i++)
        stream_mark(stream, marks[i].seq, marks[i].ms, marks[i].span);
    free(marks);
    stream_forget_marks(stream, first);
    stream->visible = stream->queue->index.tail;
    stream->looked = 0;
}
