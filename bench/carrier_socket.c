/* Kernel sockets: an epoll set, and one buffer that all connections of a thread receive into. */
#include "buffer.h"
#include "carrier.h"
#include "clock.h"
#include "conn.h"
#include "options.h"
#include "tls.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000
#define EVENTS_MAX         256
#define SCRATCH_SIZE       (CARRIER_READ_SIZE + CONN_FRAME_MAX) /* a read, behind what was left of a frame */
#define OUT_PENDING_MAX    (1u << 20) /* bytes of acks the broker did not read; then we stop reading, too */

struct carrier_socket {
    struct carrier base;
    int epoll;
    uint8_t *scratch;
    size_t scratch_size;
};

static struct carrier_socket *of(struct carrier *carrier)
{
    return (struct carrier_socket *)carrier;
}

/* ---- opening ---- */
static bool wait_for(struct conn *c, bool to_send, int timeout_ms)
{
    if (!to_send && tls_holds(c))
        return true;
    struct pollfd p = {.fd = c->fd, .events = to_send ? POLLOUT : POLLIN};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* One address has some 28,000 ports: connections take local addresses in turn, beginning with the peer's own,
 * which is what the kernel does on the loopback. */
static int bind_source(const struct conn *c, const struct sockaddr *to)
{
    static _Atomic uint32_t turn;
    int one = 1;
    if (c->o->sources <= 1 || to->sa_family != AF_INET)
        return 0;
    struct sockaddr_in from;
    memcpy(&from, to, sizeof from);
    from.sin_port = 0;
    from.sin_addr.s_addr = htonl(ntohl(from.sin_addr.s_addr) + (uint32_t)(turn++ % c->o->sources));
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(c->fd, (const struct sockaddr *)&from, sizeof from) ? errno : 0;
}

int carrier_socket_begin(struct conn *c, const struct sockaddr *to, unsigned len)
{
    int one = 1;
    c->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return errno;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int error = bind_source(c, to);
    if (error)
        return error;
    return connect(c->fd, to, len) ? errno : 0;
}

static int connect_one(struct conn *c, const struct addrinfo *a)
{
    socklen_t len = sizeof(int);
    int error = carrier_socket_begin(c, a->ai_addr, a->ai_addrlen);
    if (error != EINPROGRESS)
        return error;
    if (!wait_for(c, true, CONNECT_TIMEOUT_MS))
        return ETIMEDOUT;
    return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}

static void socket_drop(struct conn *c)
{
    tls_end(c);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

static int socket_connect(struct carrier *carrier, struct conn *c, const struct uri *u)
{
    (void)carrier;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int error = getaddrinfo(u->host, u->port, &hints, &list);
    c->fd = -1;
    if (error)
        return conn_fail(c, "host %s is not known (%s); correct --uri", u->host, gai_strerror(error));
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        error = connect_one(c, a);
        if (!error)
            break;
        socket_drop(c);
    }
    freeaddrinfo(list);
    if (error)
        return conn_refused(c, u, error);
    return u->tls ? tls_begin(c, u) : 0;
}

/* ---- during set-up ---- */
static int64_t socket_send(struct conn *c, const uint8_t *bytes, size_t n, bool lasting)
{
    (void)lasting;
    ssize_t sent = c->tls ? tls_send(c, bytes, n) : send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : conn_broke(c, errno);
}

static ssize_t receive_to(struct conn *c, uint8_t *to, size_t room)
{
    return c->tls ? tls_receive(c, to, room) : recv(c->fd, to, room, MSG_DONTWAIT);
}

static int socket_receive(struct conn *c)
{
    buffer_reserve(&c->in, 65536);
    ssize_t n = receive_to(c, c->in.data + c->in.len, c->in.cap - c->in.len);
    if (n > 0)
        c->in.len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) ? 0 : -1;
}

/* ---- while the load runs ---- */
static void socket_watch(struct conn *c)
{
    bool read = !c->polled && c->out.len < OUT_PENDING_MAX;
    uint32_t want = (read ? (uint32_t)EPOLLIN : 0) | (conn_has_output(c) ? (uint32_t)EPOLLOUT : 0);
    if (!c->is_open || want == c->watching)
        return;
    struct epoll_event e = {.events = want, .data.ptr = c};
    if (epoll_ctl(of(c->carrier)->epoll, EPOLL_CTL_MOD, c->fd, &e))
        err(2, "epoll_ctl");
    c->watching = want;
}

static void socket_adopt(struct conn *c)
{
    struct epoll_event e = {.data.ptr = c};
    if (epoll_ctl(of(c->carrier)->epoll, EPOLL_CTL_ADD, c->fd, &e))
        err(2, "epoll_ctl");
    c->watching = 0;
    c->held = true;
}

/* Bytes of scratch to receive into. A message that is larger than the usual room gets as much as it needs. */
static size_t make_room(struct carrier_socket *s, const struct conn *c)
{
    size_t room = c->wanted + CARRIER_READ_SIZE > SCRATCH_SIZE ? c->wanted + CARRIER_READ_SIZE : SCRATCH_SIZE;
    if (room > s->scratch_size) {
        s->scratch = realloc(s->scratch, room);
        if (!s->scratch)
            err(2, "a message of %zu bytes", c->wanted);
        s->scratch_size = room;
    }
    return room;
}

/* Receives behind the bytes left over from last time. Returns how many there are to look at, 0 for none, -1
 * on failure. */
static int64_t receive(struct conn *c)
{
    size_t held = c->in.len, room = make_room(of(c->carrier), c);
    uint8_t *scratch = of(c->carrier)->scratch;
    if (held)
        memcpy(scratch, c->in.data, held);
    /* No room is left only while -R holds back what is here already. */
    ssize_t n = held < room ? receive_to(c, scratch + held, room - held) : 0;
    if (n > 0)
        return (int64_t)held + n;
    if (held >= room || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return c->held ? (int64_t)held : 0;
    return conn_ended(c, n ? errno : 0);
}

static void socket_look(struct conn *c, uint64_t now)
{
    struct carrier *carrier = c->carrier;
    int64_t n = receive(c), used = 0;
    const uint8_t *scratch = of(carrier)->scratch;
    if (n > 0)
        used = carrier->user.input(carrier->user.owner, c, scratch, (size_t)n, now);
    if (n > 0 && used >= 0) {
        c->in.len = 0;
        buffer_put(&c->in, scratch + used, (size_t)(n - used));
    }
    c->held = c->polled;
    if (n < 0 || used < 0 || (c->role == CONN_CONSUMER && conn_flush(c)))
        carrier->user.lost(carrier->user.owner, c);
}

static void on_event(struct carrier *carrier, struct conn *c, uint32_t events, uint64_t now)
{
    if (c->is_open && events & EPOLLOUT && conn_flush(c))
        carrier->user.lost(carrier->user.owner, c);
    if (c->is_open && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        do
            socket_look(c, now);
        while (c->is_open && !c->polled && tls_holds(c));
    socket_watch(c);
}

static unsigned socket_turn(struct carrier *carrier, uint64_t pause_ns)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec t = {(time_t)(pause_ns / NS_PER_S), (long)(pause_ns % NS_PER_S)};
    int n = epoll_pwait2(of(carrier)->epoll, events, EVENTS_MAX, &t, NULL);
    if (n < 0 && errno != EINTR)
        err(1, "epoll_pwait2");
    uint64_t now = carrier->woke_ns = now_ns();
    for (int i = 0; i < n; i++)
        on_event(carrier, events[i].data.ptr, events[i].events, now);
    return n > 0 ? (unsigned)n : 0;
}

static void socket_free(struct carrier *carrier)
{
    close(of(carrier)->epoll);
    free(of(carrier)->scratch);
    free(carrier);
}

static const struct carrier_ops socket_ops = {
    .connect = socket_connect,
    .drop = socket_drop,
    .close = socket_drop,
    .send = socket_send,
    .wait = wait_for,
    .receive = socket_receive,
    .adopt = socket_adopt,
    .watch = socket_watch,
    .look = socket_look,
    .turn = socket_turn,
    .free = socket_free,
};

struct carrier *carrier_socket_new(void)
{
    struct carrier_socket *s = zalloc(1, sizeof *s);
    s->base.ops = &socket_ops;
    s->scratch = zalloc(SCRATCH_SIZE, 1);
    s->scratch_size = SCRATCH_SIZE;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        err(2, "epoll_create1");
    return &s->base;
}
