#include "test_journal_tap.h"

#include <string.h>

struct tap tap;

static void tap_write(struct storage *storage, uint64_t segment, uint64_t offset, const struct iovec *iov,
                      unsigned iovs, enum storage_write_kind kind, uint64_t token)
{
    (void)storage;
    tap.writes++;
    tap.pieces += iovs;
    for (unsigned i = 0; i < iovs; i++)
        tap.bytes += iov[i].iov_len;
    if (!tap.hold_writes) {
        tap.below->table->write(tap.below, segment, offset, iov, iovs, kind, token);
        return;
    }
    unsigned i = tap.held++;
    tap.writes_held[i].segment = segment;
    tap.writes_held[i].offset = offset;
    tap.writes_held[i].token = token;
    tap.writes_held[i].iovs = iovs;
    memcpy(tap.writes_held[i].iov, iov, iovs * sizeof *iov);
}

void tap_let_writes_go(void)
{
    tap.hold_writes = false;
    for (unsigned i = 0; i < tap.held; i++)
        tap.below->table->write(tap.below, tap.writes_held[i].segment, tap.writes_held[i].offset,
                                tap.writes_held[i].iov, tap.writes_held[i].iovs, STORAGE_STABLE,
                                tap.writes_held[i].token);
    tap.held = 0;
}

static void tap_read(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                     uint64_t token)
{
    (void)storage;
    tap.below->table->read(tap.below, segment, offset, bytes, len, token);
}

static void tap_prepare(struct storage *storage, uint64_t segment, uint64_t from, uint64_t leave_free,
                        uint64_t token)
{
    (void)storage;
    tap.below->table->prepare(tap.below, segment, from, leave_free, token);
}

static void tap_remove(struct storage *storage, uint64_t segment, uint64_t token)
{
    (void)storage;
    tap.below->table->remove(tap.below, segment, token);
}

static void tap_submit(struct storage *storage)
{
    (void)storage;
    tap.below->table->submit(tap.below);
}

static unsigned tap_poll(struct storage *storage, struct storage_done *done, unsigned max)
{
    (void)storage;
    return tap.hold ? 0 : tap.below->table->poll(tap.below, done, max);
}

static int tap_list(struct storage *storage, uint64_t *segments, unsigned max)
{
    (void)storage;
    return tap.below->table->list(tap.below, segments, max);
}

static int tap_sync(struct storage *storage, uint64_t segment)
{
    (void)storage;
    return tap.below->table->sync(tap.below, segment);
}

static uint64_t tap_room(struct storage *storage)
{
    (void)storage;
    return tap.below->table->room(tap.below);
}

static void tap_wait(struct storage *storage)
{
    (void)storage;
    tap.below->table->wait(tap.below);
}

static void tap_path(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    (void)storage;
    tap.below->table->path(tap.below, segment, path);
}

static void tap_close(struct storage *storage)
{
    (void)storage;
    tap.below->table->close(tap.below);
}

static int tap_wait_fd(const struct storage *storage)
{
    (void)storage;
    return -1;
}

static const struct storage_table tap_table = {tap_list,   tap_sync,  tap_room,   tap_wait,    tap_path,
                                               tap_close,  tap_write, tap_read,   tap_prepare, tap_remove,
                                               tap_submit, tap_poll,  tap_wait_fd};

struct storage *tap_new(struct storage *below)
{
    memset(&tap, 0, sizeof tap);
    tap.storage.table = &tap_table;
    tap.below = below;
    return &tap.storage;
}
