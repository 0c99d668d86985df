#include "transport/rx.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"

#define RX_BYTES ((size_t)RX_CHUNKS * RX_CHUNK_BYTES)

void rx_init(struct rx *rx)
{
    *rx = (struct rx){.epoch = 1, .oldest = 1};
    rx->memory =
        mmap(NULL, RX_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(rx->memory != MAP_FAILED);
    rx->at = rx->memory;
    rx->used[rx->epoch % RX_CHUNKS] = 0;
    for (unsigned chunk = RX_CHUNKS - 1; chunk > 0; chunk--)
        rx->free[rx->free_count++] = (uint8_t)chunk;
}

void rx_free(struct rx *rx)
{
    munmap(rx->memory, RX_BYTES);
}

static void stash_free(struct rx *rx, struct rx_rest *rest)
{
    if (!rest->stash)
        return;
    rx->stashed -= rest->len;
    free(rest->stash);
    rest->stash = NULL;
}

/* Moves the rest that lies at the end of the chunk out of the way of another stream's bytes. */
static void stash_tail(struct rx *rx)
{
    struct rx_rest *rest = rx->tail;
    rx->tail = NULL;
    rest->stash = malloc(rest->len);
    CHECK(rest->stash);
    memcpy(rest->stash, rx->at + rx->fill - rest->len, rest->len);
    rx->stashed += rest->len;
}

/* Takes the next chunk; the rest of the stream that asked comes with it. */
static bool next_chunk(struct rx *rx, struct rx_rest *rest)
{
    if (rx->free_count == 0)
        return false;
    uint8_t chunk = rx->free[--rx->free_count];
    uint8_t *at = rx->memory + (size_t)chunk * RX_CHUNK_BYTES;
    uint32_t fill = 0;
    if (rx->tail == rest) {
        memcpy(at, rx->at + rx->fill - rest->len, rest->len);
        fill = rest->len;
    }
    rx->epoch++;
    rx->used[rx->epoch % RX_CHUNKS] = chunk;
    rx->at = at;
    rx->fill = fill;
    return true;
}

uint8_t *rx_begin(struct rx *rx, struct rx_rest *rest, size_t *room)
{
    CHECK(rest->len <= RX_REST_MAX + RX_READ_MAX);
    if (rx->tail && rx->tail != rest)
        stash_tail(rx);
    uint32_t need = (rest->stash ? rest->len : 0) + RX_READ_MIN;
    if (RX_CHUNK_BYTES - rx->fill < need && !next_chunk(rx, rest))
        return NULL;
    if (rest->stash) {
        memcpy(rx->at + rx->fill, rest->stash, rest->len);
        rx->fill += rest->len;
        stash_free(rx, rest);
    }
    rx->tail = rest->len ? rest : NULL;
    uint32_t left = RX_CHUNK_BYTES - rx->fill;
    *room = left < RX_READ_MAX ? left : RX_READ_MAX;
    return rx->at + rx->fill;
}

struct span rx_received(struct rx *rx, struct rx_rest *rest, size_t n)
{
    rx->fill += (uint32_t)n;
    rest->len += (uint32_t)n;
    rx->tail = rest->len ? rest : NULL;
    return span_of(rx->at + rx->fill - rest->len, rest->len);
}

void rx_keep(struct rx *rx, struct rx_rest *rest, size_t n)
{
    CHECK(n <= rest->len && !rest->stash);
    rest->len = (uint32_t)n;
    rx->tail = n ? rest : NULL;
}

void rx_forget(struct rx *rx, struct rx_rest *rest)
{
    stash_free(rx, rest);
    rest->len = 0;
    if (rx->tail == rest)
        rx->tail = NULL;
}

bool rx_release(struct rx *rx, uint64_t epoch)
{
    unsigned before = rx->free_count;
    for (; rx->oldest <= epoch && rx->oldest < rx->epoch; rx->oldest++)
        rx->free[rx->free_count++] = rx->used[rx->oldest % RX_CHUNKS];
    /* Even the current one: begin it anew, so that a broker that keeps up reads into the same, cached,
     * memory. */
    if (epoch >= rx->epoch && !rx->tail && rx->fill) {
        uint8_t chunk = rx->used[rx->epoch % RX_CHUNKS];
        rx->epoch++;
        rx->oldest = rx->epoch;
        rx->used[rx->epoch % RX_CHUNKS] = chunk;
        rx->fill = 0;
        return true;
    }
    return rx->free_count > before;
}
