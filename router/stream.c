#include "router/stream.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/deliver.h"
#include "router/shape.h"

/* RabbitMQ's. */
#define SEGMENT_SIZE_DEFAULT UINT64_C(500000000)

/* After a clean end's last record nothing is to follow: what is too old then goes after the next start. */
static void on_old(struct router *router, struct alarm *alarm)
{
    if (!router->stopping)
        stream_trim(router, container_of(alarm, struct stream, old));
}

struct stream *stream_new(struct queue *queue)
{
    struct stream *stream = calloc(1, sizeof *stream);
    CHECK(stream);
    stream->queue = queue;
    stream->old.ring = on_old;
    stream->visible = 1;
    return stream;
}

void stream_free(struct router *router, struct stream *stream)
{
    if (!stream)
        return;
    alarm_cancel(router, &stream->old);
    for (struct stream **at = &router->held; stream->held && *at; at = &(*at)->held_next)
        if (*at == stream) {
            *at = stream->held_next;
            break;
        }
    fifo_free(&stream->marks);
    image_free(stream->image);
    free(stream);
}

/* ---- retention ----------------------------------------------------------------------------------- */

/* Its parts may just be brought together: for a reader, or for a copy of what is retained. */
static void kill(struct router *router, struct stream *stream, uint64_t seq, struct entry *entry)
{
    if (entry->large) {
        stream_reset_readers(router, stream);
        deliver_reset(router, stream->queue);
    }
    queue_kill(router, stream->queue, seq, entry);
}

void stream_replace(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry)
{
    shape_conflated(router, queue, seq);
    kill(router, queue->stream, seq, entry);
}

static void kill_below(struct router *router, struct stream *stream, uint64_t limit)
{
    uint64_t seq = 0;
    for (struct entry *e; (e = index_alive_below(&stream->queue->index, &seq, limit)); seq++)
        kill(router, stream, seq, e);
}

static bool is_too_long(const struct stream *stream)
{
    const struct settings *s = &stream->queue->shape->settings;
    uint64_t most = s->value[SETTING_BYTES];
    uint64_t segment = settings_has(s, SETTING_SEGMENT) ? s->value[SETTING_SEGMENT] : SEGMENT_SIZE_DEFAULT;
    return most != NO_LIMIT && stream->queue->index.bytes > most + segment;
}

/* By whole segments, so that not every publish has to say what goes for it. */
static void shorten(struct router *router, struct stream *stream)
{
    struct index *index = &stream->queue->index;
    uint64_t seq = 0, most = stream->queue->shape->settings.value[SETTING_BYTES];
    struct entry *e;
    while (index->bytes > most && (e = index_alive_below(index, &seq, index->tail - 1)))
        kill(router, stream, seq++, e);
}

/* When its last message came. */
static uint64_t newest_of(const struct mark *mark)
{
    return mark->ms + mark->span;
}

static bool is_too_old(const struct router *router, const struct stream *stream)
{
    uint64_t most = stream->queue->shape->settings.value[SETTING_AGE];
    return most != NO_LIMIT && stream->marks.count > 1 &&
           newest_of(fifo_oldest(&stream->marks)) + most < router_wall_ms(router);
}

static void watch(struct router *router, struct stream *stream)
{
    uint64_t most = stream->queue->shape->settings.value[SETTING_AGE];
    if (most != NO_LIMIT && stream->marks.count > 1)
        alarm_set(router, &stream->old,
                  router_when_ns(router, newest_of(fifo_oldest(&stream->marks)) + most + 1));
    else
        alarm_cancel(router, &stream->old);
}

void stream_trim(struct router *router, struct stream *stream)
{
    if (is_too_long(stream)) {
        shorten(router, stream);
        stream_forget_marks(stream, index_first(&stream->queue->index));
    }
    while (is_too_old(router, stream)) {
        kill_below(router, stream, fifo_at(&stream->marks, 1)->seq);
        fifo_drop_oldest(&stream->marks);
    }
    watch(router, stream);
}

/* ---- a message ----------------------------------------------------------------------------------- */

void stream_push(struct router *router, struct queue *queue, struct entry entry, uint64_t arrival_ms)
{
    struct stream *stream = queue->stream;
    bool marked = stream_mark(stream, queue_push(router, queue, entry), arrival_ms, 0);
    if (marked || is_too_long(stream))
        stream_trim(router, stream);
}
