#include "base/tap.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Positions only grow; a byte's place is its position modulo room. */
struct tap {
    _Atomic(uint64_t) written, read, lost;
    uint64_t mask;
    uint8_t bytes[];
};

struct tap *tap_new(uint32_t room)
{
    CHECK((room & (room - 1)) == 0);
    struct tap *tap = malloc(sizeof *tap + room);
    CHECK(tap);
    atomic_init(&tap->written, 0);
    atomic_init(&tap->read, 0);
    atomic_init(&tap->lost, 0);
    tap->mask = room - 1;
    return tap;
}

void tap_free(struct tap *tap)
{
    free(tap);
}

static uint64_t put(struct tap *tap, uint64_t at, const void *bytes, size_t len)
{
    size_t to_end = tap->mask + 1 - (at & tap->mask), first = len < to_end ? len : to_end;
    memcpy(tap->bytes + (at & tap->mask), bytes, first);
    memcpy(tap->bytes, (const uint8_t *)bytes + first, len - first);
    return at + len;
}

static uint64_t get(const struct tap *tap, uint64_t at, void *bytes, size_t len)
{
    size_t to_end = tap->mask + 1 - (at & tap->mask), first = len < to_end ? len : to_end;
    memcpy(bytes, tap->bytes + (at & tap->mask), first);
    memcpy((uint8_t *)bytes + first, tap->bytes, len - first);
    return at + len;
}

void tap_put(struct tap *tap, struct tap_record record, const struct iovec *piece, int pieces)
{
    uint64_t at = atomic_load_explicit(&tap->written, memory_order_relaxed);
    uint64_t room = tap->mask + 1 - (at - atomic_load_explicit(&tap->read, memory_order_acquire));
    if (record.bytes > (tap->mask + 1) / 4 || sizeof record + record.bytes > room) {
        atomic_fetch_add_explicit(&tap->lost, 1, memory_order_relaxed);
        return;
    }
    size_t left = record.bytes;
    at = put(tap, at, &record, sizeof record);
    for (int i = 0; i < pieces && left; i++) {
        size_t n = piece[i].iov_len < left ? piece[i].iov_len : left;
        at = put(tap, at, piece[i].iov_base, n);
        left -= n;
    }
    CHECK(left == 0);
    atomic_store_explicit(&tap->written, at, memory_order_release);
}

bool tap_take(struct tap *tap, struct tap_record *record, uint8_t *bytes)
{
    uint64_t at = atomic_load_explicit(&tap->read, memory_order_relaxed);
    if (at == atomic_load_explicit(&tap->written, memory_order_acquire))
        return false;
    at = get(tap, at, record, sizeof *record);
    at = get(tap, at, bytes, record->bytes);
    atomic_store_explicit(&tap->read, at, memory_order_release);
    return true;
}

uint64_t tap_lost(const struct tap *tap)
{
    return atomic_load_explicit(&tap->lost, memory_order_relaxed);
}
