#include "transport/streams.h"

#include <stdlib.h>

#include "base/check.h"

#define SLOT_MASK ((1u << STREAM_SLOT_BITS) - 1)

void streams_init(struct streams *streams)
{
    *streams = (struct streams){0};
    TAILQ_INIT(&streams->free);
}

void streams_free(struct streams *streams)
{
    for (uint32_t i = 0; i < streams->slab_count; i++)
        free(streams->slabs[i]);
    free(streams->slabs);
}

static void add_slab(struct streams *streams)
{
    uint32_t first = streams->slab_count * STREAMS_PER_SLAB;
    CHECK(first + STREAMS_PER_SLAB <= SLOT_MASK);
    streams->slabs = realloc(streams->slabs, (streams->slab_count + 1) * sizeof *streams->slabs);
    struct stream *slab = calloc(STREAMS_PER_SLAB, sizeof *slab);
    CHECK(streams->slabs && slab);
    streams->slabs[streams->slab_count++] = slab;
    for (uint32_t i = 0; i < STREAMS_PER_SLAB; i++) {
        slab[i].id = first + i;
        TAILQ_INSERT_TAIL(&streams->free, &slab[i], ready);
    }
}

struct stream *streams_open(struct streams *streams)
{
    if (TAILQ_EMPTY(&streams->free))
        add_slab(streams);
    struct stream *stream = TAILQ_FIRST(&streams->free);
    TAILQ_REMOVE(&streams->free, stream, ready);
    /* The next generation; 0 is never a stream's id. */
    *stream = (struct stream){.id = stream->id + (1ull << 32), .state = STREAM_OPEN, .fd = -1};
    streams->used++;
    return stream;
}

void streams_close(struct streams *streams, struct stream *stream)
{
    stream->state = STREAM_FREE;
    TAILQ_INSERT_HEAD(&streams->free, stream, ready);
    streams->used--;
}

struct stream *streams_find(const struct streams *streams, uint64_t id)
{
    uint32_t slot = (uint32_t)id & SLOT_MASK;
    if (slot / STREAMS_PER_SLAB >= streams->slab_count)
        return NULL;
    struct stream *stream = &streams->slabs[slot / STREAMS_PER_SLAB][slot % STREAMS_PER_SLAB];
    return stream->id == id && stream->state != STREAM_FREE ? stream : NULL;
}

void streams_each(struct streams *streams, void (*visit)(struct stream *stream, void *owner), void *owner)
{
    for (uint32_t i = 0; i < streams->slab_count * STREAMS_PER_SLAB; i++) {
        struct stream *stream = &streams->slabs[i / STREAMS_PER_SLAB][i % STREAMS_PER_SLAB];
        if (stream->state != STREAM_FREE)
            visit(stream, owner);
    }
}
