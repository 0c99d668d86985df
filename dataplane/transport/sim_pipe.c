#include "transport/sim_pipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct sim_segment {
    struct sim_segment *next;
    uint64_t due_ns;
    const uint8_t *bytes;
    uint8_t *own; /* the same, malloc'd; NULL: lent */
    size_t len;
    bool end;
};

void sim_pipe_init(struct sim_pipe *pipe, size_t window)
{
    *pipe = (struct sim_pipe){.window = window};
    pipe->end = &pipe->first;
}

void sim_pipe_free(struct sim_pipe *pipe)
{
    sim_pipe_lose(pipe);
    free(pipe->arrived);
    pipe->arrived = NULL;
    pipe->waiting = 0;
}

size_t sim_pipe_room(const struct sim_pipe *pipe)
{
    size_t used = pipe->on_way + pipe->waiting;
    return pipe->ended || used >= pipe->window ? 0 : pipe->window - used;
}

static void own(struct sim_segment *segment)
{
    segment->own = malloc(segment->len + 1);
    CHECK(segment->own);
    put_span(segment->own, span_of(segment->bytes, segment->len));
    segment->bytes = segment->own;
}

static void segment_free(struct sim_segment *segment)
{
    free(segment->own);
    free(segment);
}

/* Segments arrive in the order in which they were written. */
static void add(struct sim_pipe *pipe, struct span bytes, uint64_t due_ns, bool lend, bool end)
{
    struct sim_segment *segment = malloc(sizeof *segment);
    CHECK(segment);
    if (due_ns < pipe->last_due_ns)
        due_ns = pipe->last_due_ns;
    pipe->last_due_ns = due_ns;
    *segment = (struct sim_segment){.due_ns = due_ns, .bytes = bytes.at, .len = bytes.len, .end = end};
    if (!lend)
        own(segment);
    *pipe->end = segment;
    pipe->end = &segment->next;
    pipe->on_way += bytes.len;
}

void sim_pipe_write(struct sim_pipe *pipe, struct span bytes, uint64_t due_ns, bool lend)
{
    CHECK(bytes.len <= sim_pipe_room(pipe));
    add(pipe, bytes, due_ns, lend, false);
}

void sim_pipe_end(struct sim_pipe *pipe, uint64_t due_ns)
{
    if (!pipe->ended)
        add(pipe, span_of(NULL, 0), due_ns, false, true);
    pipe->ended = true;
}

static void arrive(struct sim_pipe *pipe, const struct sim_segment *segment)
{
    if (pipe->from && pipe->from + pipe->waiting + segment->len > pipe->room) {
        memmove(pipe->arrived, pipe->arrived + pipe->from, pipe->waiting);
        pipe->from = 0;
    }
    if (pipe->waiting + segment->len > pipe->room) {
        pipe->room = 2 * (pipe->waiting + segment->len);
        pipe->arrived = realloc(pipe->arrived, pipe->room);
        CHECK(pipe->arrived);
    }
    if (segment->len) /* the end has none, and may come before anything has arrived */
        put_span(pipe->arrived + pipe->from + pipe->waiting, span_of(segment->bytes, segment->len));
    pipe->waiting += segment->len;
    pipe->delivered += segment->len;
    pipe->at_end |= segment->end;
}

static struct sim_segment *take(struct sim_pipe *pipe)
{
    struct sim_segment *segment = pipe->first;
    pipe->first = segment->next;
    if (!pipe->first)
        pipe->end = &pipe->first;
    pipe->on_way -= segment->len;
    return segment;
}

bool sim_pipe_advance(struct sim_pipe *pipe, uint64_t now_ns)
{
    bool any = false;
    while (pipe->first && !pipe->cut && pipe->first->due_ns <= now_ns) {
        struct sim_segment *segment = take(pipe);
        arrive(pipe, segment);
        segment_free(segment);
        any = true;
    }
    return any;
}

size_t sim_pipe_read(struct sim_pipe *pipe, void *to, size_t n)
{
    if (n > pipe->waiting)
        n = pipe->waiting;
    if (n && to)
        memcpy(to, pipe->arrived + pipe->from, n);
    pipe->from += n;
    pipe->waiting -= n;
    if (pipe->waiting == 0)
        pipe->from = 0;
    return n;
}

void sim_pipe_lose(struct sim_pipe *pipe)
{
    while (pipe->first)
        segment_free(take(pipe));
}

void sim_pipe_own(struct sim_pipe *pipe)
{
    for (struct sim_segment *segment = pipe->first; segment; segment = segment->next)
        if (!segment->own)
            own(segment);
}

uint64_t sim_pipe_due(const struct sim_pipe *pipe)
{
    return pipe->first && !pipe->cut ? pipe->first->due_ns : UINT64_MAX;
}
