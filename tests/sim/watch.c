#include "watch.h"

#include <stdlib.h>

#include "base/check.h"
#include "history.h"
#include "journal/storage.h"

struct watch {
    struct storage storage;
    struct storage *below;
    uint32_t router;
};

static struct watch *of(struct storage *storage)
{
    return (struct watch *)storage;
}

static int watch_list(struct storage *storage, uint64_t *segments, unsigned max)
{
    struct storage *below = of(storage)->below;
    return below->table->list(below, segments, max);
}

static int watch_sync(struct storage *storage, uint64_t segment)
{
    struct storage *below = of(storage)->below;
    return below->table->sync(below, segment);
}

static uint64_t watch_room(struct storage *storage)
{
    struct storage *below = of(storage)->below;
    return below->table->room(below);
}

static void watch_wait(struct storage *storage)
{
    struct storage *below = of(storage)->below;
    below->table->wait(below);
}

static void watch_path(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    struct storage *below = of(storage)->below;
    below->table->path(below, segment, path);
}

static void watch_close(struct storage *storage)
{
    struct watch *w = of(storage);
    w->below->table->close(w->below);
    free(w);
}

static void watch_write(struct storage *storage, uint64_t segment, uint64_t offset, const struct iovec *iov,
                        unsigned iovs, enum storage_write_kind kind, uint64_t token)
{
    struct watch *w = of(storage);
    size_t len = 0;
    for (unsigned i = 0; i < iovs; i++) {
        if (segment != STORAGE_SCRATCH) /* there the ends of pages are anything */
            history_bytes(iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    history_note("disk %u: write segment %llu, %zu bytes at %llu", w->router, (unsigned long long)segment,
                 len, (unsigned long long)offset);
    w->below->table->write(w->below, segment, offset, iov, iovs, kind, token);
}

static void watch_read(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                       uint64_t token)
{
    struct watch *w = of(storage);
    history_note("disk %u: read segment %llu, %zu bytes at %llu", w->router, (unsigned long long)segment, len,
                 (unsigned long long)offset);
    w->below->table->read(w->below, segment, offset, bytes, len, token);
}

static void watch_prepare(struct storage *storage, uint64_t segment, uint64_t from, uint64_t leave_free,
                          uint64_t token)
{
    struct watch *w = of(storage);
    history_note("disk %u: prepare segment %llu from %llu", w->router, (unsigned long long)segment,
                 (unsigned long long)from);
    w->below->table->prepare(w->below, segment, from, leave_free, token);
}

static void watch_remove(struct storage *storage, uint64_t segment, uint64_t token)
{
    struct watch *w = of(storage);
    history_note("disk %u: remove segment %llu", w->router, (unsigned long long)segment);
    w->below->table->remove(w->below, segment, token);
}

static void watch_submit(struct storage *storage)
{
    struct storage *below = of(storage)->below;
    below->table->submit(below);
}

static unsigned watch_poll(struct storage *storage, struct storage_done *done, unsigned max)
{
    struct watch *w = of(storage);
    unsigned n = w->below->table->poll(w->below, done, max);
    for (unsigned i = 0; i < n; i++)
        if (done[i].error)
            history_note("disk %u: errno %u", w->router, done[i].error);
    return n;
}

static int watch_wait_fd(const struct storage *storage)
{
    const struct storage *below = ((const struct watch *)storage)->below;
    return below->table->wait_fd(below);
}

static const struct storage_table table = {
    .list = watch_list,
    .sync = watch_sync,
    .room = watch_room,
    .wait = watch_wait,
    .path = watch_path,
    .close = watch_close,
    .write = watch_write,
    .read = watch_read,
    .prepare = watch_prepare,
    .remove = watch_remove,
    .submit = watch_submit,
    .poll = watch_poll,
    .wait_fd = watch_wait_fd,
};

struct storage *watch_new(struct storage *below, uint32_t router)
{
    struct watch *w = calloc(1, sizeof *w);
    CHECK(w);
    *w = (struct watch){.storage.table = &table, .below = below, .router = router};
    return &w->storage;
}
