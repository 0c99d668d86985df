/*
 * A write: uring_write → file_for (its descriptor, or the request waits for it to be opened) → launch → one
 * io_uring entry with RWF_DSYNC → poll → on_transfer: all bytes there? (no: the rest is launched) → answered.
 * Segment files are made, renamed and removed by the keeper, whose answers come through the same ring: a read
 * of its eventfd is always under way.
 */
#include "journal/storage_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "journal/directory.h"
#include "journal/keeper.h"
#include "journal/open_files.h"
#include "journal/segment.h"
#include "journal/storage.h"

/* What the user_data of an io_uring entry points to is told by its lowest bits. */
enum entry_kind { ENTRY_REQUEST, ENTRY_OPEN, ENTRY_KEEPER, ENTRY_BITS = 3 };

/* A transfer under way. */
struct request {
    bool is_write;
    int flags; /* RWF_ */
    uint32_t error;
    uint64_t token;
    uint64_t offset; /* of what is left */
    size_t left;     /* bytes */
    struct open_file *file;
    struct request *next; /* in a list: free, waiting for the file, or answered */
    struct iovec *piece;  /* the first that is left */
    unsigned pieces;
    struct iovec iov[STORAGE_IOVS];
};

struct answers {
    struct request *first, **last;
};

/* Made by the thread that starts the broker, then used by the journal's. */
struct storage_uring {
    struct storage storage;
    struct io_uring ring;
    struct directory directory;
    struct keeper *keeper;
    uint64_t keeper_count; /* what the read of its eventfd fills in */
    unsigned busy;         /* requests and keeper's jobs unanswered */
    struct answers answered;
    struct request *free;
    struct open_files files;
    struct request requests[STORAGE_REQUESTS];
};

static struct storage_uring *self(struct storage *storage)
{
    return (struct storage_uring *)storage;
}

/* The ring has more entries than there can be requests, files to open and the keeper: one is always free. */
static struct io_uring_sqe *next_sqe(struct storage_uring *u)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    CHECK(sqe);
    return sqe;
}

static void label(struct io_uring_sqe *sqe, void *owner, enum entry_kind kind)
{
    io_uring_sqe_set_data64(sqe, (uintptr_t)owner | kind);
}

static void answer(struct storage_uring *u, struct request *request, uint32_t error)
{
    request->error = error;
    request->next = NULL;
    *u->answered.last = request;
    u->answered.last = &request->next;
}

/* ---- transfers --------------------------------------------------------------------------------- */

static struct open_file *file_for(struct storage_uring *u, uint64_t segment)
{
    struct open_file *file = open_files_find(&u->files, segment);
    if (file)
        return file;
    if (segment == STORAGE_SCRATCH)
        return open_files_add(&u->files, segment, fcntl(u->directory.scratch, F_DUPFD_CLOEXEC, 0));
    file = open_files_add(&u->files, segment, -1);
    file->opening = true;
    struct io_uring_sqe *sqe = next_sqe(u);
    io_uring_prep_openat(sqe, u->directory.fd, file->name, u->directory.open_flags, 0);
    label(sqe, file, ENTRY_OPEN);
    return file;
}

static void launch(struct storage_uring *u, struct request *request)
{
    struct io_uring_sqe *sqe = next_sqe(u);
    if (request->is_write)
        io_uring_prep_writev2(sqe, request->file->fd, request->piece, request->pieces, request->offset,
                              request->flags);
    else
        io_uring_prep_readv(sqe, request->file->fd, request->piece, request->pieces, request->offset);
    label(sqe, request, ENTRY_REQUEST);
}

static void finish(struct storage_uring *u, struct request *request, uint32_t error)
{
    open_files_release(&u->files, request->file);
    answer(u, request, error);
}

static void advance(struct request *request, size_t bytes)
{
    request->offset += bytes;
    request->left -= bytes;
    while (bytes) {
        size_t n = bytes < request->piece->iov_len ? bytes : request->piece->iov_len;
        request->piece->iov_base = (uint8_t *)request->piece->iov_base + n;
        request->piece->iov_len -= n;
        bytes -= n;
        if (request->piece->iov_len == 0 && request->pieces > 1) {
            request->piece++;
            request->pieces--;
        }
    }
}

/* A short transfer goes on with the block in which it stopped. What is written has been synced as far as it
 * went, because each part carries RWF_DSYNC itself. An error is final. */
static void on_transfer(struct storage_uring *u, struct request *request, int res)
{
    if (res < 0) {
        finish(u, request, (uint32_t)-res);
        return;
    }
    size_t whole = (size_t)res == request->left ? (size_t)res : (size_t)res / BLOCK_BYTES * BLOCK_BYTES;
    CHECK(whole <= request->left);
    if (whole == 0) {
        finish(u, request, request->is_write ? EIO : ENODATA);
        return;
    }
    advance(request, whole);
    if (request->left)
        launch(u, request);
    else
        finish(u, request, 0);
}

/* The file is held while those who waited are served, so that it is not closed in between. */
static void on_open(struct storage_uring *u, struct open_file *file, int res)
{
    struct request *request = file->waiting;
    file->opening = false;
    file->waiting = NULL;
    file->fd = res < 0 ? -1 : res;
    file->users++;
    while (request) {
        struct request *next = request->next;
        if (res < 0)
            finish(u, request, (uint32_t)-res);
        else
            launch(u, request);
        request = next;
    }
    open_files_release(&u->files, file);
}

static struct request *request_new(struct storage_uring *u, uint64_t segment, uint64_t offset, uint64_t token)
{
    CHECK(u->busy < STORAGE_REQUESTS);
    u->busy++;
    struct request *request = u->free;
    u->free = request->next;
    request->token = token;
    request->offset = offset;
    request->file = file_for(u, segment);
    request->file->users++;
    request->piece = request->iov;
    request->flags = 0;
    return request;
}

static void request_start(struct storage_uring *u, struct request *request)
{
    struct open_file *file = request->file;
    request->left = 0;
    for (unsigned i = 0; i < request->pieces; i++)
        request->left += request->iov[i].iov_len;
    if (!file->opening) {
        launch(u, request);
        return;
    }
    request->next = file->waiting;
    file->waiting = request;
}

static void uring_write(struct storage *storage, uint64_t segment, uint64_t offset, const struct iovec *iov,
                        unsigned iovs, enum storage_write_kind kind, uint64_t token)
{
    struct storage_uring *u = self(storage);
    struct request *request = request_new(u, segment, offset, token);
    CHECK(iovs >= 1 && iovs <= STORAGE_IOVS);
    request->is_write = true;
    request->flags = kind == STORAGE_STABLE ? RWF_DSYNC : 0;
    request->pieces = iovs;
    memcpy(request->iov, iov, iovs * sizeof *iov);
    request_start(u, request);
}

static void uring_read(struct storage *storage, uint64_t segment, uint64_t offset, void *bytes, size_t len,
                       uint64_t token)
{
    struct storage_uring *u = self(storage);
    struct request *request = request_new(u, segment, offset, token);
    request->is_write = false;
    request->pieces = 1;
    request->iov[0] = (struct iovec){bytes, len};
    request_start(u, request);
}

/* ---- the keeper -------------------------------------------------------------------------------- */

static void await_keeper(struct storage_uring *u)
{
    struct io_uring_sqe *sqe = next_sqe(u);
    io_uring_prep_read(sqe, keeper_fd(u->keeper), &u->keeper_count, sizeof u->keeper_count, 0);
    label(sqe, u, ENTRY_KEEPER);
    io_uring_submit(&u->ring);
}

/* A keeper's answer takes a request to be polled from. */
static void on_keeper(struct storage_uring *u)
{
    struct keeper_job job;
    while (keeper_hear(u->keeper, &job, 1)) {
        struct request *request = u->free;
        u->free = request->next;
        request->token = job.token;
        if (job.kind == KEEPER_PREPARE && !job.error)
            open_files_add(&u->files, job.segment, job.fd);
        answer(u, request, job.error);
    }
    await_keeper(u);
}

static void uring_prepare(struct storage *storage, uint64_t segment, uint64_t from, uint64_t leave_free,
                          uint64_t token)
{
    struct storage_uring *u = self(storage);
    struct keeper_job job = {
        .kind = KEEPER_PREPARE, .segment = segment, .from = from, .leave_free = leave_free, .token = token};
    CHECK(u->busy < STORAGE_REQUESTS);
    u->busy++;
    open_files_forget(&u->files, segment);
    if (from)
        open_files_forget(&u->files, from);
    keeper_ask(u->keeper, &job);
}

static void uring_remove(struct storage *storage, uint64_t segment, uint64_t token)
{
    struct storage_uring *u = self(storage);
    struct keeper_job job = {.kind = KEEPER_REMOVE, .segment = segment, .token = token};
    CHECK(u->busy < STORAGE_REQUESTS);
    u->busy++;
    open_files_forget(&u->files, segment);
    keeper_ask(u->keeper, &job);
}

/* ---- poll -------------------------------------------------------------------------------------- */

static void uring_submit(struct storage *storage)
{
    io_uring_submit(&self(storage)->ring);
}

static void on_completion(struct storage_uring *u, uint64_t user_data, int res)
{
    void *owner = (void *)(uintptr_t)(user_data & ~(uint64_t)ENTRY_BITS);
    switch ((enum entry_kind)(user_data & ENTRY_BITS)) {
    case ENTRY_REQUEST:
        on_transfer(u, owner, res);
        return;
    case ENTRY_OPEN:
        on_open(u, owner, res);
        return;
    case ENTRY_KEEPER:
        on_keeper(u);
        return;
    case ENTRY_BITS:
        break;
    }
    UNREACHABLE();
}

static void reap(struct storage_uring *u)
{
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        uint64_t user_data = cqe->user_data;
        int res = cqe->res;
        io_uring_cqe_seen(&u->ring, cqe);
        on_completion(u, user_data, res);
    }
    /* Rests of short transfers, what waited for its file, and what the kernel would not take the last time.
     */
    if (io_uring_sq_ready(&u->ring))
        io_uring_submit(&u->ring);
}

static unsigned uring_poll(struct storage *storage, struct storage_done *done, unsigned max)
{
    struct storage_uring *u = self(storage);
    unsigned n = 0;
    reap(u);
    for (; n < max && u->answered.first; n++) {
        struct request *request = u->answered.first;
        u->answered.first = request->next;
        if (!request->next)
            u->answered.last = &u->answered.first;
        done[n] = (struct storage_done){request->token, request->error};
        request->next = u->free;
        u->free = request;
        u->busy--;
    }
    return n;
}

static int uring_wait_fd(const struct storage *storage)
{
    return ((const struct storage_uring *)storage)->ring.ring_fd;
}

static void uring_wait(struct storage *storage)
{
    struct storage_uring *u = self(storage);
    reap(u);
    while (!u->answered.first) {
        struct io_uring_cqe *cqe;
        int error = io_uring_submit_and_wait(&u->ring, 1);
        CHECK(error >= 0 || error == -EINTR || error == -EAGAIN || error == -EBUSY);
        if (io_uring_peek_cqe(&u->ring, &cqe) == 0)
            reap(u);
    }
}

/* ---- at start and end -------------------------------------------------------------------------- */

static int uring_list(struct storage *storage, uint64_t *segments, unsigned max)
{
    return directory_list(&self(storage)->directory, segments, max);
}

static int uring_sync(struct storage *storage, uint64_t segment)
{
    return directory_sync(&self(storage)->directory, segment);
}

static uint64_t uring_room(struct storage *storage)
{
    return directory_room(&self(storage)->directory);
}

static void uring_path(struct storage *storage, uint64_t segment, char path[STORAGE_PATH_BYTES])
{
    directory_path(&self(storage)->directory, segment, path);
}

static void release(struct storage_uring *u)
{
    if (u->keeper)
        keeper_free(u->keeper);
    open_files_close(&u->files);
    directory_close(&u->directory);
    if (u->ring.ring_fd >= 0)
        io_uring_queue_exit(&u->ring);
    free(u);
}

/* The kernel must be done with memory that is the caller's. */
static void uring_close(struct storage *storage)
{
    struct storage_uring *u = self(storage);
    struct storage_done done[STORAGE_REQUESTS];
    while (u->busy) {
        uring_wait(storage);
        uring_poll(storage, done, STORAGE_REQUESTS);
    }
    release(u);
}

static const struct storage_table table = {
    .list = uring_list,
    .sync = uring_sync,
    .room = uring_room,
    .wait = uring_wait,
    .path = uring_path,
    .close = uring_close,
    .write = uring_write,
    .read = uring_read,
    .prepare = uring_prepare,
    .remove = uring_remove,
    .submit = uring_submit,
    .poll = uring_poll,
    .wait_fd = uring_wait_fd,
};

static int open_ring(struct storage_uring *u)
{
    unsigned entries = STORAGE_REQUESTS + OPEN_FILES + 1;
    int error = io_uring_queue_init(entries, &u->ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    if (error == -EINVAL)
        error = io_uring_queue_init(entries, &u->ring, 0);
    if (error)
        u->ring.ring_fd = -1;
    return -error;
}

struct storage *storage_uring_new(const char *data_dir, uint32_t router, char *error, size_t error_size)
{
    struct storage_uring *u = calloc(1, sizeof *u);
    CHECK(u);
    u->storage.table = &table;
    u->ring.ring_fd = -1;
    u->answered.last = &u->answered.first;
    open_files_init(&u->files);
    for (unsigned i = 0; i < STORAGE_REQUESTS; i++) {
        u->requests[i].next = u->free;
        u->free = &u->requests[i];
    }
    if (directory_open(&u->directory, data_dir, router, error, error_size) != 0) {
        release(u);
        return NULL;
    }
    int e = open_ring(u);
    if (!e) {
        u->keeper = keeper_new(u->directory.fd, u->directory.open_flags);
        e = u->keeper ? 0 : errno;
        u->files.keeper = u->keeper;
    }
    if (e) {
        snprintf(error, error_size, "%s: cannot start the disk's %s: %s", u->directory.path,
                 u->ring.ring_fd < 0 ? "io_uring" : "thread", strerror(e));
        release(u);
        return NULL;
    }
    await_keeper(u);
    return &u->storage;
}
