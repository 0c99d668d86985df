/*
 * Our TCP as a process on a network interface of Linux: each of its connections sends so many bytes, checks
 * those that come, and ends as it is told to. What became of each is a line on stdout, the last one is of the
 * whole stack.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/span.h"
#include "device_fd.h"
#include "pattern.h"
#include "peer_options.h"
#include "tcp/device_dpdk.h"
#include "tcp/device_pcap.h"
#include "transport/transport.h"
#include "transport/transport_tcp.h"

enum {
    PIECES = 4,
    NAP_NS = 20000,  /* between two looks at a device that nobody can wait for */
    MS_NS = 1000000, /* nanoseconds in a millisecond */
    END_MS = 3000,   /* at most, until the other side has our last word */
};

struct peer {
    struct peer_options options;
    struct device *device, *faults, *outer; /* faults: the wrapper, or NULL */
    struct dpdk_port *port;
    struct stack *stack;
    struct transport *transport;
    uint64_t now_ns, epoch;
    uint32_t ended;
    struct stream *paused;
};

struct stream {
    struct peer *peer;
    uint64_t id, sent, received, resume_ns;
    bool open, closing, has_paused;
    struct stream *next; /* with paused */
};

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- a connection -------------------------------------------------------------------------------------- */

static void ended(struct stream *s, const char *how, int error)
{
    struct stream **at = &s->peer->paused;
    while (*at && *at != s)
        at = &(*at)->next;
    if (*at)
        *at = (*at)->next;
    printf("%s sent=%llu received=%llu error=%s\n", how, (unsigned long long)s->sent,
           (unsigned long long)s->received, error ? strerrorname_np(error) : "0");
    fflush(stdout);
    s->peer->ended++;
    free(s);
}

/* Nothing lent ever changes, so it is no matter when it is given back. */
static void send_more(struct stream *s)
{
    const struct transport_ops *ops = s->peer->transport->ops;
    const struct peer_options *o = &s->peer->options;
    uint64_t limit = o->echo ? s->received : o->send;
    while (s->sent < limit) {
        struct iovec iov[PIECES];
        uint64_t at = s->sent;
        int n = 0;
        for (; n < PIECES && at < limit; n++) {
            struct span piece = pattern_at(o->listen ? FROM_LISTENING : FROM_CONNECTING, at);
            size_t len = limit - at < piece.len ? limit - at : piece.len;
            iov[n] = (struct iovec){(void *)(uintptr_t)piece.at, len};
            at += len;
        }
        size_t taken = ops->send(s->peer->transport, s->id, iov, n);
        s->sent += taken;
        if (s->sent != at)
            break;
    }
}

/* Returns true when it is gone. */
static bool perhaps_end(struct stream *s)
{
    const struct peer_options *o = &s->peer->options;
    struct transport *t = s->peer->transport;
    if (s->closing || o->end == END_LAST || s->sent < o->send || s->received < o->receive)
        return false;
    s->closing = true;
    if (o->end == END_FIRST) {
        t->ops->close(t, s->id);
        return false;
    }
    t->ops->abort(t, s->id);
    ended(s, "aborted", 0);
    return true;
}

static struct stream *stream_new(struct peer *peer)
{
    struct stream *s = calloc(1, sizeof *s);
    CHECK(s);
    s->peer = peer;
    return s;
}

static void *on_accepted(void *owner, uint64_t id, int tag, const char *from, const char *local)
{
    (void)tag, (void)from, (void)local;
    struct stream *s = stream_new(owner);
    s->id = id;
    s->open = true;
    /* Upcalls of this one begin after this: what there is to send is sent at the end of the turn. */
    s->resume_ns = 1;
    s->next = s->peer->paused;
    s->peer->paused = s;
    return s;
}

static void on_connected(void *owner, void *user)
{
    (void)owner;
    struct stream *s = user;
    s->open = true;
    send_more(s);
    perhaps_end(s);
}

static void pause_reading(struct stream *s)
{
    struct peer *peer = s->peer;
    s->has_paused = true;
    s->resume_ns = peer->now_ns + peer->options.pause_ms * (uint64_t)MS_NS;
    s->next = peer->paused;
    peer->paused = s;
    peer->transport->ops->pause(peer->transport, s->id);
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct peer *peer = owner;
    struct stream *s = user;
    enum pattern_way way = peer->options.listen ? FROM_CONNECTING : FROM_LISTENING;
    peer->epoch = epoch;
    if (!pattern_is(way, s->received, bytes))
        errx(2, "damaged between byte %llu and %llu", (unsigned long long)s->received,
             (unsigned long long)(s->received + bytes.len));
    s->received += bytes.len;
    if (s->resume_ns != 1 && peer->options.pause_at && !s->has_paused &&
        s->received >= peer->options.pause_at)
        pause_reading(s);
    if (peer->options.echo)
        send_more(s);
    perhaps_end(s);
    return bytes.len;
}

static void on_writable(void *owner, void *user)
{
    (void)owner;
    struct stream *s = user;
    if (!s->open || s->closing)
        return;
    send_more(s);
    perhaps_end(s);
}

static void on_closed(void *owner, void *user, int error)
{
    (void)owner;
    ended(user, "closed", error);
}

/* ---- start --------------------------------------------------------------------------------------------- */

static void open_device(struct peer *peer)
{
    const struct peer_options *o = &peer->options;
    const uint8_t mac[6] = {0x02, 0x67, 0x6e, 0, (uint8_t)(o->seed >> 8), (uint8_t)o->seed};
    char error[512], prefix[32];
    if (strncmp(o->device, "dpdk:", 5) == 0) {
        const struct dpdk_port_options port = {.name = "", .queues = 1, .mtu = o->mtu, .buffers = 8192};
        snprintf(prefix, sizeof prefix, "peer-%d", (int)getpid());
        if (!dpdk_start(o->device + 5, prefix, 1, error, sizeof error))
            errx(1, "%s", error);
        peer->port = dpdk_port_open(&port, error, sizeof error);
        if (!peer->port)
            errx(1, "%s", error);
        peer->device = dpdk_port_device(peer->port, 0);
    } else {
        peer->device = device_fd_open(o->device, mac, o->mtu);
    }
    if (o->faults.lost_ppm || o->faults.duplicated_ppm || o->faults.overtaken_ppm || o->faults.delay_ns)
        peer->faults = device_faults_new(peer->device, &o->faults);
    peer->outer = peer->faults ? peer->faults : peer->device;
    if (o->pcap && !(peer->outer = device_pcap_new(peer->outer, o->pcap, clock_ns, error, sizeof error)))
        errx(1, "%s", error);
}

static void start(struct peer *peer)
{
    const struct peer_options *o = &peer->options;
    char error[256];
    uint16_t port;
    open_device(peer);
    struct stack_options stack = {
        .tcp = o->tcp,
        .ip = {.device = peer->outer, .mtu = o->mtu, .seed = o->seed, .addresses = o->addresses}};
    memcpy(stack.ip.address, o->address, sizeof o->address);
    peer->stack = stack_new(&stack);
    peer->transport = transport_tcp_new(peer->stack, (struct transport_user){.owner = peer,
                                                                             .accepted = on_accepted,
                                                                             .data = on_data,
                                                                             .connected = on_connected,
                                                                             .writable = on_writable,
                                                                             .closed = on_closed});
    if (o->listen &&
        peer->transport->ops->listen(peer->transport, o->listen, 0, &port, error, sizeof error) != 0)
        errx(1, "%s", error);
    printf("ready\n");
    fflush(stdout);
}

/* When there is a line on stdin: the other side has come up. */
static void connect_all(struct peer *peer)
{
    char error[256];
    while (getchar() != '\n' && !feof(stdin))
        ;
    for (uint32_t i = 0; i < peer->options.connections; i++) {
        struct stream *s = stream_new(peer);
        s->id = peer->transport->ops->connect(peer->transport, peer->options.connect, s, error, sizeof error);
        if (!s->id)
            errx(1, "%s", error);
    }
}

/* ---- the turn ------------------------------------------------------------------------------------------ */

static uint64_t resume_due(struct peer *peer)
{
    uint64_t next_ns = UINT64_MAX;
    for (struct stream **at = &peer->paused, *s; (s = *at);) {
        if (s->resume_ns > peer->now_ns) {
            next_ns = s->resume_ns < next_ns ? s->resume_ns : next_ns;
            at = &s->next;
            continue;
        }
        *at = s->next;
        bool accepted = s->resume_ns == 1;
        s->resume_ns = 0;
        if (accepted)
            on_writable(peer, s);
        else
            peer->transport->ops->resume(peer->transport, s->id);
    }
    return next_ns;
}

static void wait_for_work(struct peer *peer, uint64_t until_ns)
{
    if (peer->port) {
        nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
        return;
    }
    uint64_t now_ns = clock_ns(), most_ns = 100 * (uint64_t)MS_NS;
    uint64_t ns = until_ns <= now_ns ? 0 : until_ns - now_ns < most_ns ? until_ns - now_ns : most_ns;
    ppoll(&(struct pollfd){device_fd_number(peer->device), POLLIN, 0}, 1,
          &(struct timespec){.tv_nsec = (long)ns}, NULL);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void turn(struct peer *peer)
{
    peer->now_ns = clock_ns();
    if (peer->faults)
        device_faults_advance(peer->faults, peer->now_ns);
    unsigned work = peer->transport->ops->poll(peer->transport, peer->now_ns);
    uint64_t next_ns = resume_due(peer);
    peer->transport->ops->rx_release(peer->transport, peer->epoch);
    peer->transport->ops->flush(peer->transport);
    if (work)
        return;
    next_ns = least(next_ns, stack_deadline(peer->stack));
    if (peer->faults)
        next_ns = least(next_ns, device_faults_deadline(peer->faults));
    wait_for_work(peer, next_ns);
}

static void say_stats(struct peer *peer)
{
    const struct tcp_stats *s = tcp_stats(stack_tcp(peer->stack));
    const struct ip_stats *ip = ip_stats(stack_ip(peer->stack));
    if (peer->faults) {
        const struct device_faults_stats *f = device_faults_stats(peer->faults);
        printf("wire passed=%llu lost=%llu duplicated=%llu overtaken=%llu\n", (unsigned long long)f->passed,
               (unsigned long long)f->lost, (unsigned long long)f->duplicated,
               (unsigned long long)f->overtaken);
    }
    printf("stats segments_in=%llu segments_out=%llu retransmitted=%llu rto=%llu tlp=%llu fast=%llu "
           "spurious=%llu "
           "zero_windows=%llu keepalives=%llu sum=%llu connections=%u resets_in=%llu out_of_order=%llu\n",
           (unsigned long long)s->segments_in, (unsigned long long)s->segments_out,
           (unsigned long long)s->retransmitted, (unsigned long long)s->rto, (unsigned long long)s->tlp,
           (unsigned long long)s->fast_recoveries, (unsigned long long)s->spurious,
           (unsigned long long)s->zero_windows, (unsigned long long)s->keepalives,
           (unsigned long long)(ip->dropped_sum + s->sum_errors), s->connections,
           (unsigned long long)s->resets_in, (unsigned long long)s->out_of_order);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct peer peer;
    peer_options_parse(&peer.options, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    start(&peer);
    turn(&peer);
    if (peer.options.connect)
        connect_all(&peer);
    while (peer.ended < peer.options.connections)
        turn(&peer);
    uint64_t end_ns = clock_ns() + END_MS * (uint64_t)MS_NS;
    while (clock_ns() < end_ns && tcp_stats(stack_tcp(peer.stack))->connections)
        turn(&peer);
    do
        turn(&peer);
    while (peer.faults && device_faults_deadline(peer.faults) != UINT64_MAX && clock_ns() < end_ns);
    say_stats(&peer);
    peer.transport->ops->free(peer.transport);
    stack_free(peer.stack);
    peer.outer->ops->close(peer.outer);
    if (peer.port)
        dpdk_port_close(peer.port);
    return 0;
}
