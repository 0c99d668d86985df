/*
 * The fault model.
 *
 * - Requests are done in any order, each after 1 to steps_max polls.
 * - At a crash each write under way is, independently: kept whole, lost whole, or torn: of its pieces, which
 * are sectors of 512 bytes or blocks of 4 KiB, some are there: the first few, all but the first few, or any.
 * A sector is never half written.
 * - A write that was done is there after any crash.
 * - A write that fails says EIO; what is on the disk is as after a crash.
 * - After a kill (the machine goes on) what has landed of writes under way is read back by the next start,
 * but is only in the disk's cache: a power cut later can still lose any sector of it, unless the file was
 * synced or that sector was written again.
 * - Creating, renaming and removing happen in order. Those under way at a crash have happened or not; those
 * done but not followed by a directory sync (a prepare, or the table's sync) may be undone by a power cut,
 * the newest first.
 * - A new file is zeros; a renamed one keeps its bytes. A disk with less room than a new file takes says
 * ENOSPC; room can come and go at any time. Writing inside an existing segment file never runs out of room.
 * - Bytes rot only when the harness says so. Reads fail with EIO by chance; that damages nothing.
 * - The scratch file is empty after every start. Its writes can run out of room.
 *
 * Not modelled: short transfers (they end below the seam, in storage_uring), misdirected writes, files of
 * other sizes.
 */
#include "journal/storage_sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/prng.h"
#include "journal/segment.h"
#include "journal/sim_disk.h"
#include "journal/storage.h"

enum sim_kind { SIM_FREE, SIM_WRITE, SIM_READ, SIM_PREPARE, SIM_REMOVE };

struct sim_request {
    enum sim_kind kind;
    uint64_t token, segment, from, offset, leave_free;
    uint64_t due; /* step */
    size_t len;
    uint8_t *bytes; /* READ: where to; WRITE: a copy */
    unsigned iovs;
    struct iovec iov[STORAGE_IOVS]; /* WRITE: must still be the same when it is done */
};

/* Made and used by the harness's thread, like everything here. */
struct sim_storage {
    struct storage storage;
    struct sim_disk *disk;
    struct sim_storage *next;
    uint32_t router;
    bool dead; /* the disk crashed under it */
    uint64_t step;
    uint8_t *scratch;
    uint64_t scratch_bytes;
    struct sim_request requests[STORAGE_REQUESTS];
};

static struct sim_storage *self(struct storage *storage)
{
    return (struct sim_storage *)storage;
}

/* The directory changes; it is not synced yet. */
static uint32_t prepare_file(struct sim_storage *s, const struct sim_request *request)
{
    struct sim_file *there = sim_file_find(s->disk, s->router, request->segment);
    struct sim_file *from = request->from ? sim_file_find(s->disk, s->router, request->from) : NULL;
    if (!from && there)
        return 0;
    if (from) {
        if (there)
            sim_file_remove(s->disk, there);
        sim_file_rename(s->disk, from, request->segment);
        return 0;
    }
    if (sim_disk_room(s->disk) < request->leave_free + SEGMENT_BYTES)
        return ENOSPC;
    sim_file_created(s->disk, sim_file_new(s->disk, s->router, request->segment));
    return 0;
}

/* ---- requests ---------------------------------------------------------------------------------- */

static struct sim_request *request_new(struct sim_storage *s, enum sim_kind kind, uint64_t segment,
                                       uint64_t token)
{
    unsigned i = 0;
    while (i < STORAGE_REQUESTS && s->requests[i].kind != SIM_FREE)
        i++;
    CHECK(i < STORAGE_REQUESTS);
    uint64_t due = s->step + 1 + prng_below(&s->disk->prng, (uint64_t)s->disk->faults.steps_max + 1);
    s->requests[i] = (struct sim_request){.kind = kind, .token = token, .segment = segment, .due = due};
    return &s->requests[i];
}

static void sim_write(struct storage *storage, uint64_t segment, uint64_t offset, const struct iovec *iov,
                      unsigned iovs, enum storage_write_kind kind, uint64_t token)
{
    struct sim_storage *s = self(storage);
    CHECK(iovs >= 1 && iovs <= STORAGE_IOVS && (kind == STORAGE_STABLE || segment == STORAGE_SCRATCH));
    struct sim_request *request = request_new(s, SIM_WRITE, segment, token);
    request->offset = offset;
    request->iovs = iovs;
    memcpy(request->iov, iov, iovs * sizeof *iov);
    for (unsigned i = 0; i < iovs; i++)
        request->len += iov[i].iov_len;
    CHECK(offset % BLOCK_BYTES == 0 && request->len % BLOCK_BYTES == 0);
    CHECK(segment == STORAGE_SCRATCH || offset + request->len <= SEGMENT_BYTES);
    request->bytes = malloc(request->len);
    CHECK(request->bytes);
    uint8_t *at = request->bytes;
    for (unsigned i = 0; i < iovs; i++)
        at = (uint8_t *)memcpy(at, iov[i].iov_base, iov[i].iov_len) + iov[i].iov_len;
}

static void sim_read(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                     uint64_t token)
{
    struct sim_request *request = request_new(self(storage), SIM_READ, segment, token);
    CHECK(offset % BLOCK_BYTES == 0 && len % BLOCK_BYTES == 0 && (uintptr_t)bytes % BLOCK_BYTES == 0);
    request->offset = offset;
    request->bytes = bytes;
    request->len = len;
}

static void sim_prepare(struct storage *storage, uint64_t segment, uint64_t from, uint64_t leave_free,
                        uint64_t token)
{
    struct sim_request *request = request_new(self(storage), SIM_PREPARE, segment, token);
    request->from = from;
    request->leave_free = leave_free;
}

static void sim_remove(struct storage *storage, uint64_t segment, uint64_t token)
{
    request_new(self(storage), SIM_REMOVE, segment, token);
}

static uint32_t write_scratch(struct sim_storage *s, const struct sim_request *request)
{
    uint64_t end = request->offset + request->len;
    if (end > s->scratch_bytes) {
        if (end - s->scratch_bytes > sim_disk_room(s->disk))
            return ENOSPC;
        s->scratch = realloc(s->scratch, end);
        CHECK(s->scratch);
        memset(s->scratch + s->scratch_bytes, 0, end - s->scratch_bytes);
        s->disk->scratch_bytes += end - s->scratch_bytes;
        s->scratch_bytes = end;
    }
    memcpy(s->scratch + request->offset, request->bytes, request->len);
    return 0;
}

static uint32_t do_write(struct sim_storage *s, const struct sim_request *request)
{
    const uint8_t *at = request->bytes;
    for (unsigned i = 0; i < request->iovs; at += request->iov[i++].iov_len)
        CHECK(memcmp(request->iov[i].iov_base, at, request->iov[i].iov_len) ==
              0); /* it was changed under way */
    if (request->segment == STORAGE_SCRATCH)
        return write_scratch(s, request);
    struct sim_file *file = sim_file_find(s->disk, s->router, request->segment);
    if (!file)
        return ENOENT;
    bool fails = prng_chance(&s->disk->prng, s->disk->faults.write_fails);
    sim_land(s->disk, file, request->offset, request->bytes, request->len,
             fails ? sim_any_fate(s->disk) : FATE_KEPT, false);
    if (!fails)
        sim_drop_sectors(s->disk, file, request->offset, request->offset + request->len);
    return fails ? EIO : 0;
}

static uint32_t do_read(struct sim_storage *s, const struct sim_request *request)
{
    const struct sim_file *file = sim_file_find(s->disk, s->router, request->segment);
    uint64_t size = SEGMENT_BYTES;
    const uint8_t *bytes = file ? file->bytes : NULL;
    if (request->segment == STORAGE_SCRATCH) {
        bytes = s->scratch;
        size = s->scratch_bytes;
    } else if (!file) {
        return ENOENT;
    }
    if (prng_chance(&s->disk->prng, s->disk->faults.read_fails))
        return EIO;
    if (request->offset + request->len > size)
        return ENODATA;
    memcpy(request->bytes, bytes + request->offset, request->len);
    return 0;
}

static uint32_t do_prepare(struct sim_storage *s, const struct sim_request *request)
{
    uint32_t error = prepare_file(s, request);
    if (!error)
        sim_sync_names(s->disk);
    return error;
}

static uint32_t do_remove(struct sim_storage *s, const struct sim_request *request)
{
    struct sim_file *file = sim_file_find(s->disk, s->router, request->segment);
    if (file)
        sim_file_remove(s->disk, file);
    return 0;
}

static void request_free(struct sim_request *request)
{
    if (request->kind == SIM_WRITE)
        free(request->bytes);
    request->kind = SIM_FREE;
}

static uint32_t do_request(struct sim_storage *s, struct sim_request *request)
{
    switch (request->kind) {
    case SIM_WRITE:
        return do_write(s, request);
    case SIM_READ:
        return do_read(s, request);
    case SIM_PREPARE:
        return do_prepare(s, request);
    case SIM_REMOVE:
        return do_remove(s, request);
    case SIM_FREE:
        break;
    }
    UNREACHABLE();
}

/* One of those that are due. */
static struct sim_request *pick(struct sim_storage *s)
{
    struct sim_request *due[STORAGE_REQUESTS];
    unsigned n = 0;
    for (unsigned i = 0; i < STORAGE_REQUESTS; i++)
        if (s->requests[i].kind != SIM_FREE && s->requests[i].due <= s->step)
            due[n++] = &s->requests[i];
    return n ? due[prng_below(&s->disk->prng, n)] : NULL;
}

static unsigned sim_poll(struct storage *storage, struct storage_done *done, unsigned max)
{
    struct sim_storage *s = self(storage);
    unsigned n = 0;
    s->step++;
    for (struct sim_request *request; n < max && !s->dead && (request = pick(s)); n++) {
        done[n] = (struct storage_done){request->token, do_request(s, request)};
        request_free(request);
    }
    return n;
}

static void sim_submit(struct storage *storage)
{
    (void)storage;
}

static int sim_wait_fd(const struct storage *storage)
{
    (void)storage;
    return -1;
}

static void sim_wait(struct storage *storage)
{
    struct sim_storage *s = self(storage);
    CHECK(!s->dead);
    while (!pick(s))
        s->step++;
}

/* ---- at start and end -------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int sim_list(struct storage *storage, uint64_t *segments, unsigned max)
{
    const struct sim_storage *s = self(storage);
    unsigned n = 0;
    for (const struct sim_file *file = s->disk->files; file; file = file->next) {
        if (!file->exists || file->router != s->router)
            continue;
        if (n < max)
            segments[n] = file->segment;
        n++;
    }
    if (max)
        qsort(segments, n < max ? n : max, sizeof *segments, by_number);
    return (int)n;
}

static int sim_sync(struct storage *storage, uint64_t segment)
{
    struct sim_storage *s = self(storage);
    const struct sim_file *file = sim_file_find(s->disk, s->router, segment);
    if (!file)
        return ENOENT;
    sim_drop_sectors(s->disk, file, 0, SEGMENT_BYTES);
    sim_sync_names(s->disk);
    return 0;
}

static uint64_t sim_room(struct storage *storage)
{
    return sim_disk_room(self(storage)->disk);
}

static void sim_path(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, segment);
    snprintf(path, STORAGE_PATH_BYTES, "simulated/router-%u/%s", self(storage)->router, name);
}

static void drop_scratch(struct sim_storage *s)
{
    s->disk->scratch_bytes -= s->scratch_bytes;
    s->scratch_bytes = 0;
    free(s->scratch);
    s->scratch = NULL;
}

static void sim_close(struct storage *storage)
{
    struct sim_storage *s = self(storage);
    struct sim_storage **at = &s->disk->storages;
    for (unsigned i = 0; i < STORAGE_REQUESTS; i++) {
        if (s->requests[i].kind != SIM_FREE)
            do_request(s, &s->requests[i]);
        request_free(&s->requests[i]);
    }
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    drop_scratch(s);
    free(s);
}

static const struct storage_table table = {
    .list = sim_list,
    .sync = sim_sync,
    .room = sim_room,
    .wait = sim_wait,
    .path = sim_path,
    .close = sim_close,
    .write = sim_write,
    .read = sim_read,
    .prepare = sim_prepare,
    .remove = sim_remove,
    .submit = sim_submit,
    .poll = sim_poll,
    .wait_fd = sim_wait_fd,
};

struct storage *storage_sim_new(struct sim_disk *disk, uint32_t router)
{
    struct sim_storage *s = calloc(1, sizeof *s);
    CHECK(s);
    s->storage.table = &table;
    s->disk = disk;
    s->router = router;
    s->next = disk->storages;
    disk->storages = s;
    return &s->storage;
}

unsigned sim_disk_writing(const struct sim_disk *disk)
{
    size_t bytes = 0;
    for (const struct sim_storage *s = disk->storages; s; s = s->next)
        for (unsigned i = 0; i < STORAGE_REQUESTS; i++)
            if (s->requests[i].kind == SIM_WRITE && s->requests[i].segment != STORAGE_SCRATCH)
                bytes += s->requests[i].len;
    return (unsigned)(bytes / BLOCK_BYTES);
}

static void crash_request(struct sim_storage *s, struct sim_request *request, bool cached)
{
    struct sim_disk *disk = s->disk;
    if (request->kind == SIM_WRITE && request->segment != STORAGE_SCRATCH) {
        struct sim_file *file = sim_file_find(disk, s->router, request->segment);
        if (file)
            sim_land(disk, file, request->offset, request->bytes, request->len, sim_any_fate(disk), cached);
    } else if (request->kind == SIM_PREPARE && prng_below(&disk->prng, 2)) {
        prepare_file(s, request);
    } else if (request->kind == SIM_REMOVE && prng_below(&disk->prng, 2)) {
        do_remove(s, request);
    }
    request_free(request);
}

void sim_disk_crash(struct sim_disk *disk, enum sim_crash crash)
{
    for (struct sim_storage *s = disk->storages; s; s = s->next) {
        for (unsigned i = 0; i < STORAGE_REQUESTS; i++)
            crash_request(s, &s->requests[i], crash == SIM_KILL);
        drop_scratch(s);
        s->dead = true;
    }
    if (crash == SIM_POWER)
        sim_power_cut(disk);
}
