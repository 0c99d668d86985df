#include "uring_front.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct fake *f = owner;
    f->tag = tag;
    if (f->refuse)
        return NULL;
    struct seen *s = &f->seen[f->accepted++ % STREAMS];
    memset(s, 0, offsetof(struct seen, kept));
    s->stream = stream;
    snprintf(s->peer, sizeof s->peer, "%s", peer);
    snprintf(s->local, sizeof s->local, "%s", local);
    return s;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct fake *f = owner;
    struct seen *s = user;
    s->upcalls++;
    s->offered = bytes.len;
    f->epoch = epoch;
    if (f->pause_on_data)
        f->t->ops->pause(f->t, s->stream);
    size_t used = f->frame ? bytes.len - bytes.len % f->frame : 0;
    for (size_t i = 0; i < used && s->bytes + i < KEEP; i++)
        s->kept[s->bytes + i] = bytes.at[i];
    s->bytes += used;
    return used;
}

static void on_writable(void *owner, void *user)
{
    (void)owner;
    ((struct seen *)user)->writable = true;
}

static void on_closed(void *owner, void *user, int error)
{
    (void)owner;
    struct seen *s = user;
    cr_assert(!s->closed);
    s->closed = true;
    s->error = error;
}

struct fake *fake_new(uint32_t streams_max)
{
    struct fake *f = calloc(1, sizeof *f);
    f->seen = calloc(STREAMS, sizeof *f->seen);
    f->frame = 1;
    char error[256];
    const struct transport_uring_options options = {
        .agent = "front 0", .streams_max = streams_max, .linger_ms = 300};
    const struct transport_user up = {
        .owner = f, .accepted = on_accepted, .data = on_data, .writable = on_writable, .closed = on_closed};
    f->t = transport_uring_new(&options, up, error, sizeof error);
    cr_assert(f->t, "%s", error);
    return f;
}

void fake_free(struct fake *f)
{
    f->t->ops->free(f->t);
    free(f->seen);
    free(f);
}

unsigned turn(struct fake *f, int wait_ms)
{
    unsigned work = f->t->ops->poll(f->t, clock_ns());
    if (!f->lend && f->epoch)
        f->t->ops->rx_release(f->t, f->epoch);
    if (!work) {
        struct pollfd wait = {.fd = f->t->ops->wait_fd(f->t), .events = POLLIN};
        poll(&wait, 1, wait_ms);
    }
    return work;
}

void turn_for(struct fake *f, unsigned ms)
{
    uint64_t end_ns = clock_ns() + ms * 1000000ull;
    while (clock_ns() < end_ns)
        turn(f, 5);
}

uint16_t listen_on(struct fake *f, const char *address, int tag)
{
    char error[256] = "";
    uint16_t port = 0;
    cr_assert_eq(f->t->ops->listen(f->t, address, tag, &port, error, sizeof error), 0, "%s", error);
    cr_assert_neq(port, 0);
    return port;
}

int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
    return fd;
}

void put(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

size_t put_some(int fd, size_t n)
{
    static uint8_t block[64 * 1024];
    size_t done = 0;
    while (done < n) {
        size_t part = n - done < sizeof block ? n - done : sizeof block;
        ssize_t sent = send(fd, block, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            break;
        done += (size_t)sent;
    }
    return done;
}
