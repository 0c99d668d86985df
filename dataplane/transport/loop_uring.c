#include "transport/loop_uring.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

enum { SUBMISSIONS = 256, COMPLETIONS = 4096, HEARD_MAX = 256 };

struct loop {
    struct io_uring ring;
    bool enabled;
    struct __kernel_timespec after; /* read by the kernel at the submission; one is under way at a time */
};

/* Completions are made when the thread next enters the kernel, rather than by interrupting it. (Made even
 * later, with DEFER_TASKRUN, they do not wake a thread that sleeps in poll(2) on the ring.) The ring begins
 * disabled, so that the thread that enables it is the one it belongs to. */
static int open_ring(struct io_uring *ring)
{
    const unsigned always = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
    const unsigned wanted =
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    struct io_uring_params params = {.flags = always | wanted, .cq_entries = COMPLETIONS};
    int result = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    if (result != -EINVAL)
        return result;
    params = (struct io_uring_params){.flags = always, .cq_entries = COMPLETIONS};
    return io_uring_queue_init_params(SUBMISSIONS, ring, &params);
}

struct loop *loop_new(char *error, size_t error_size)
{
    struct loop *loop = calloc(1, sizeof *loop);
    CHECK(loop);
    int result = open_ring(&loop->ring);
    if (result == 0)
        return loop;
    snprintf(error, error_size, "the kernel gives no io_uring: %s (Linux 6.1 or newer; see sysctl %s)",
             strerror(-result), "kernel.io_uring_disabled");
    free(loop);
    return NULL;
}

void loop_free(struct loop *loop)
{
    io_uring_queue_exit(&loop->ring);
    free(loop);
}

/* liburing 2.3 declares io_uring_enable_rings and forgot to export it: the system call does the same. */
static void enable(struct loop *loop)
{
    if (!loop->enabled)
        CHECK(syscall(__NR_io_uring_register, loop->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) ==
              0);
    loop->enabled = true;
}

static struct io_uring_sqe *submission(struct loop *loop)
{
    struct io_uring_sqe *sqe;
    while (!(sqe = io_uring_get_sqe(&loop->ring)))
        loop_submit(loop);
    return sqe;
}

void loop_accept(struct loop *loop, int fd, uint64_t name)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = name;
}

void loop_watch(struct loop *loop, int fd, int events, uint64_t name)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_poll_add(sqe, fd, (unsigned)events);
    sqe->user_data = name;
}

void loop_after(struct loop *loop, unsigned ms, uint64_t name)
{
    loop->after = (struct __kernel_timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_timeout(sqe, &loop->after, 0, 0);
    sqe->user_data = name;
}

void loop_kick(struct loop *loop, uint64_t name)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_nop(sqe);
    sqe->user_data = name;
}

void loop_cancel(struct loop *loop, uint64_t name, uint64_t own)
{
    struct io_uring_sqe *sqe = submission(loop);
    io_uring_prep_cancel64(sqe, name, 0);
    sqe->user_data = own;
}

void loop_submit(struct loop *loop)
{
    if (!io_uring_sq_ready(&loop->ring))
        return;
    enable(loop);
    io_uring_submit(&loop->ring);
}

unsigned loop_hear(struct loop *loop, struct loop_event *events, unsigned max)
{
    struct io_uring_cqe *cqes[HEARD_MAX];
    enable(loop);
    unsigned n = io_uring_peek_batch_cqe(&loop->ring, cqes, max < HEARD_MAX ? max : HEARD_MAX);
    for (unsigned i = 0; i < n; i++)
        events[i] = (struct loop_event){
            .name = cqes[i]->user_data, .result = cqes[i]->res, .more = cqes[i]->flags & IORING_CQE_F_MORE};
    io_uring_cq_advance(&loop->ring, n);
    return n;
}

int loop_fd(const struct loop *loop)
{
    return loop->ring.ring_fd;
}
