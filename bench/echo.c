#include "echo.h"
#include "buffer.h"
#include "clock.h"
#include "port.h"

#include "transport/transport.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (256u << 10)
#define EVENTS_MAX 256

enum { TAG_ECHO, TAG_SINK };

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
    (void)signal;
    ended = 1;
}

/* ---- our own TCP ---- */
struct server {
    struct transport *transport;
    uint64_t epoch;
};

struct peer {
    uint64_t stream;
    int tag;
};

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct peer *p = zalloc(1, sizeof *p);
    (void)owner, (void)peer, (void)local;
    *p = (struct peer){stream, tag};
    return p;
}

/* The answer is the same bytes each time, so it may be lent without end. */
static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    static uint8_t answer[64 << 10];
    struct server *s = owner;
    struct peer *p = user;
    s->epoch = epoch;
    if (p->tag == TAG_SINK)
        return bytes.len;
    size_t n = bytes.len - bytes.len % ECHO_BYTES;
    struct iovec iov = {answer, n};
    if (n && s->transport->ops->send(s->transport, p->stream, &iov, 1) != n)
        s->transport->ops->abort(s->transport, p->stream);
    return n;
}

static void on_writable(void *owner, void *user)
{
    (void)owner, (void)user;
}

static void on_closed(void *owner, void *user, int error)
{
    (void)owner, (void)error;
    free(user);
}

int echo_streams(struct port *port)
{
    static struct server s;
    const struct transport_user up = {
        .owner = &s, .accepted = on_accepted, .data = on_data, .writable = on_writable, .closed = on_closed};
    char why[256];
    uint16_t number;
    struct transport *t = s.transport = port_transport(port, &up);
    if (t->ops->listen(t, "0.0.0.0:" ECHO_PORT, TAG_ECHO, &number, why, sizeof why) ||
        t->ops->listen(t, "0.0.0.0:" SINK_PORT, TAG_SINK, &number, why, sizeof why))
        errx(2, "%s", why);
    signal(SIGTERM, on_signal);
    puts("ready");
    fflush(stdout);
    while (!ended) {
        t->ops->poll(t, now_ns());
        t->ops->rx_release(t, s.epoch);
        t->ops->flush(t);
    }
    t->ops->free(t);
    port_close(port);
    return 0;
}

/* ---- the kernel's ---- */
static int listen_on(const char *address, const char *port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
        errx(2, "--to %s: not an IPv4 address", address);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096))
        err(2, "%s:%s", address, port);
    return fd;
}

static void watch(int epoll, int fd, int tag)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
        err(2, "epoll_ctl");
}

static void serve(int fd, int tag, char *bytes)
{
    ssize_t n = recv(fd, bytes, READ_BYTES, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        close(fd);
    else if (n > 0 && tag == TAG_ECHO && send(fd, bytes, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
        close(fd);
}

int echo_sockets(const char *address)
{
    struct epoll_event events[EVENTS_MAX];
    int listener[2] = {listen_on(address, ECHO_PORT), listen_on(address, SINK_PORT)};
    int epoll = epoll_create1(0), one = 1;
    char *bytes = zalloc(READ_BYTES, 1);
    watch(epoll, listener[TAG_ECHO], TAG_ECHO);
    watch(epoll, listener[TAG_SINK], TAG_SINK);
    signal(SIGTERM, on_signal);
    puts("ready");
    fflush(stdout);
    while (!ended) {
        int n = epoll_wait(epoll, events, EVENTS_MAX, 0);
        for (int i = 0; i < n; i++) {
            int fd = (int)(uint32_t)events[i].data.u64, tag = (int)(events[i].data.u64 >> 32);
            if (fd != listener[tag]) {
                serve(fd, tag, bytes);
                continue;
            }
            int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
            if (peer < 0)
                continue;
            setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            watch(epoll, peer, tag);
        }
    }
    free(bytes);
    return 0;
}
