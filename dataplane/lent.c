#include "lent.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/host.h"
#include "front_inside.h"

/* ---- buffers ------------------------------------------------------------------------------------- */

/* The length stands before the buffer. */
uint8_t *host_buffer(struct host *host, size_t bytes)
{
    struct front *front = host->front;
    if (front->buffer_bytes + bytes > front->options.buffer_bytes)
        return NULL;
    size_t *buffer = malloc(sizeof *buffer + bytes);
    CHECK(buffer);
    *buffer = bytes;
    front->buffer_bytes += bytes;
    return (uint8_t *)(buffer + 1);
}

static void free_buffer(struct front *front, uint8_t *buffer)
{
    size_t *length = (size_t *)(void *)buffer - 1;
    front->buffer_bytes -= *length;
    free(length);
}

void host_buffer_free(struct host *host, uint8_t *buffer)
{
    free_buffer(host->front, buffer);
}

/* ---- lent, and back ------------------------------------------------------------------------------ */

void lent_add(struct front *front, uint8_t *buffer)
{
    struct lent_row *row = fifo_add(&front->lent);
    row->buffer = buffer;
    memcpy(row->sent, front->sent, sizeof row->sent[0] * front->options.routers);
}

static uint64_t taken(const struct front *front, unsigned router)
{
    const struct link *link = &front->router[router];
    return front->sent[router] - link_pending(link) - ring_waiting(link->ring);
}

static bool all_taken(const struct front *front, const uint64_t *sent)
{
    for (unsigned r = 0; r < front->options.routers; r++)
        if (taken(front, r) < sent[r])
            return false;
    return true;
}

/* Receive buffers and bodies whose commands every router has taken may be used again. */
void lent_take_back(struct front *front)
{
    for (struct lent_row *row; (row = fifo_oldest(&front->lent)) && all_taken(front, row->sent);) {
        if (row->buffer) {
            free_buffer(front, row->buffer);
        } else {
            struct transport *t = front->port[row->port].transport;
            t->ops->rx_release(t, row->epoch);
        }
        fifo_drop_oldest(&front->lent);
    }
    /* Nothing points anywhere: the buffers in use are begun anew, while they are in the cache. */
    bool in_use = ports_in_use(front) || front->scratch_used;
    if (front->lent.count || !in_use || !all_taken(front, front->sent))
        return;
    ports_release_all(front);
    front->scratch_used = 0;
}

void lent_free(struct front *front)
{
    if (front->scratch)
        free_buffer(front, front->scratch);
    for (struct lent_row *row; (row = fifo_oldest(&front->lent)); fifo_drop_oldest(&front->lent))
        if (row->buffer)
            free_buffer(front, row->buffer);
    fifo_free(&front->lent);
}

/* ---- scratch ------------------------------------------------------------------------------------- */

uint8_t *host_scratch(struct host *host, size_t bytes)
{
    struct front *front = host->front;
    if (front->scratch && front->scratch_room - front->scratch_used >= bytes)
        return front->scratch + front->scratch_used;
    size_t room = bytes > SCRATCH_BYTES ? bytes : SCRATCH_BYTES;
    uint8_t *scratch = host_buffer(host, room);
    if (!scratch)
        return NULL;
    if (front->scratch) /* what points into it was sent before */
        lent_add(front, front->scratch);
    front->scratch = scratch;
    front->scratch_room = room;
    front->scratch_used = 0;
    return scratch;
}

void host_scratch_keep(struct host *host, size_t bytes)
{
    host->front->scratch_used += bytes;
}
