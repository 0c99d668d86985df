/*
 * Short transfers. The kernel is rarely so kind as to make one, so here the transfers are made short on their
 * way to it: the file under test is included with its two ways into io_uring replaced. Built with
 * GANNET_TINY.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

static void short_writev2(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned iovs,
                          uint64_t offset, int flags);
static void short_readv(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned iovs,
                        uint64_t offset);

#define io_uring_prep_writev2 short_writev2
#define io_uring_prep_readv   short_readv
#define storage_uring_new     storage_short_new
#include "journal/storage_uring.c"
#undef io_uring_prep_writev2
#undef io_uring_prep_readv

enum { SIZE = 16 * BLOCK_BYTES, PIECES = 5 };

static struct prng prng;
static size_t most;       /* bytes a transfer moves at most */
static int fail_after;    /* transfers that work, then EBADF; -1: all */
static int flags_missing; /* transfers without RWF_DSYNC */
static unsigned transfers;
static char directory[64];

/* Leaves the first `bytes` of the pieces. The result lives until the next call but 64. */
static unsigned cut(const struct iovec *iov, unsigned iovs, size_t bytes, struct iovec **out)
{
    static struct iovec pool[64][STORAGE_IOVS];
    static unsigned next;
    *out = pool[next++ % 64];
    unsigned n = 0;
    for (; n < iovs && bytes; n++) {
        (*out)[n] = iov[n];
        if ((*out)[n].iov_len > bytes)
            (*out)[n].iov_len = bytes;
        bytes -= (*out)[n].iov_len;
    }
    return n;
}

static int fd_or_none(int fd)
{
    transfers++;
    return fail_after < 0 || fail_after-- > 0 ? fd : -1;
}

static void short_writev2(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned iovs,
                          uint64_t offset, int flags)
{
    struct iovec *less;
    flags_missing += !(flags & RWF_DSYNC);
    unsigned n = cut(iov, iovs, most, &less);
    io_uring_prep_writev2(sqe, fd_or_none(fd), less, n, offset, flags);
}

static void short_readv(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned iovs,
                        uint64_t offset)
{
    struct iovec *less;
    unsigned n = cut(iov, iovs, most, &less);
    io_uring_prep_readv(sqe, fd_or_none(fd), less, n, offset);
}

static struct storage *set_up_storage(void)
{
    char error[600];
    prng_seed(&prng, 3);
    most = SIZE;
    fail_after = -1;
    flags_missing = 0;
    snprintf(directory, sizeof directory, "/tmp/gannet-journal-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    struct storage *storage = storage_short_new(directory, 0, error, sizeof error);
    cr_assert_not_null(storage, "%s", error);
    return storage;
}

static void tear_down_storage(struct storage *storage)
{
    char command[128];
    storage->table->close(storage);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    cr_assert(system(command) == 0);
}

static uint32_t answer_of(struct storage *storage, uint64_t token)
{
    struct storage_done done;
    storage->table->submit(storage);
    while (storage->table->poll(storage, &done, 1) == 0)
        storage->table->wait(storage);
    cr_assert(done.token == token);
    return done.error;
}

/* Writes SIZE bytes in pieces that lie apart. */
static uint32_t write_pieces(struct storage *storage, uint8_t *bytes)
{
    struct iovec iov[PIECES];
    size_t at = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        size_t len = i + 1 < PIECES ? BLOCK_BYTES * (1 + prng_below(&prng, 3)) : SIZE - at;
        iov[i] = (struct iovec){bytes + at, len};
        at += len;
    }
    storage->table->write(storage, 1, BLOCK_BYTES, iov, PIECES, STORAGE_STABLE, 8);
    return answer_of(storage, 8);
}

static uint8_t *pattern(uint8_t seed)
{
    uint8_t *bytes = aligned_alloc(BLOCK_BYTES, SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(seed + i * 13 + i / 256);
    return bytes;
}

static void prepare(struct storage *storage)
{
    storage->table->prepare(storage, 1, 0, 0, 5);
    cr_assert(answer_of(storage, 5) == 0);
}

Test(storage_short, the_rest_of_a_short_transfer_follows)
{
    struct storage *storage = set_up_storage();
    uint8_t *read = aligned_alloc(BLOCK_BYTES, SIZE);
    prepare(storage);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t *bytes = pattern((uint8_t)i);
        most = BLOCK_BYTES + 512 * prng_below(&prng, 100);
        transfers = 0;
        cr_assert(write_pieces(storage, bytes) == 0);
        cr_assert(transfers >= (SIZE + most - 1) / most);
        most = BLOCK_BYTES + 512 * prng_below(&prng, 100);
        memset(read, 0, SIZE);
        storage->table->read(storage, 1, BLOCK_BYTES, read, SIZE, 9);
        cr_assert(answer_of(storage, 9) == 0);
        cr_assert(memcmp(read, bytes, SIZE) == 0, "round %u, %zu at once", i, most);
        free(bytes);
    }
    cr_assert(flags_missing == 0, "each part is synced");
    free(read);
    tear_down_storage(storage);
}

Test(storage_short, a_rest_that_fails_fails_the_write)
{
    struct storage *storage = set_up_storage();
    uint8_t *bytes = pattern(1);
    prepare(storage);
    most = 2 * BLOCK_BYTES;
    fail_after = 3;
    transfers = 0;
    cr_assert(write_pieces(storage, bytes) == EBADF);
    cr_assert(transfers == 4, "and is not tried again");
    free(bytes);
    tear_down_storage(storage);
}

Test(storage_short, a_transfer_that_gets_nowhere_ends)
{
    struct storage *storage = set_up_storage();
    uint8_t *bytes = pattern(1);
    prepare(storage);
    most = 512;
    cr_assert(write_pieces(storage, bytes) == EIO);
    storage->table->read(storage, 1, 0, bytes, BLOCK_BYTES, 9);
    cr_assert(answer_of(storage, 9) == ENODATA);
    free(bytes);
    tear_down_storage(storage);
}
