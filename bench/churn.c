#include "churn.h"
#include "clock.h"
#include "conn.h"

#include <err.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define PAUSE_MS   20
#define PATIENCE   (10 * NS_PER_S) /* for one whole life of a connection */

/* What the connection waits for. */
enum stage { STAGE_NONE, STAGE_WELCOME, STAGE_ERRAND, STAGE_END };

struct visitor {
    struct conn conn; /* first, so that it can be cast */
    enum stage stage;
    uint64_t begun_ns;
};

struct churn {
    const struct options *o;
    pthread_t thread;
    bool stop; /* atomic */
    int epoll;
    struct carrier *carrier; /* for what conn.c asks of it; its loop isn't used */
    struct addrinfo *address;
    struct visitor *visitors;
    uint64_t from_ns, begun; /* for the rate */
    struct tally tally;
    char why[640];
};

/* ---- one life ---- */
static void fail(struct churn *h, struct visitor *v)
{
    memcpy(h->why, v->conn.why, sizeof h->why);
    METER_ADD(h->tally.churn_failed, 1);
    conn_drop(&v->conn);
    v->stage = STAGE_NONE;
}

static int connect_visitor(struct churn *h, struct visitor *v)
{
    struct conn *c = &v->conn;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = v};
    int error = carrier_socket_begin(c, h->address->ai_addr, h->address->ai_addrlen);
    if (error && error != EINPROGRESS)
        return conn_refused(c, &h->o->uri, error);
    if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, c->fd, &e))
        err(2, "epoll_ctl");
    c->is_open = true;
    c->protocol->greet(c, &h->o->uri);
    return error ? 0 : conn_flush(c);
}

static void begin(struct churn *h, struct visitor *v, uint64_t now)
{
    v->stage = STAGE_WELCOME;
    v->begun_ns = now;
    h->begun++;
    if (connect_visitor(h, v))
        fail(h, v);
}

/* What has come brings it to the next stage. */
static int advance(struct churn *h, struct visitor *v, const struct incoming *in)
{
    struct conn *c = &v->conn;
    if (v->stage == STAGE_WELCOME && in->kind == INCOMING_WELCOME) {
        v->stage = STAGE_ERRAND;
        c->protocol->errand(c, h->o->churn_subscribe);
    } else if (v->stage == STAGE_ERRAND && (in->kind == INCOMING_CONFIRM || in->kind == INCOMING_DONE ||
                                            in->kind == INCOMING_SUBSCRIBED)) {
        v->stage = STAGE_END;
        c->protocol->goodbye(c);
        return conn_flush(c);
    }
    return 0;
}

/* Reads all that is there. 1: the peer has closed. */
static int read_all(struct churn *h, struct visitor *v)
{
    struct conn *c = &v->conn;
    struct incoming in;
    for (;;) {
        size_t before = c->in.len;
        if (c->carrier->ops->receive(c))
            return 1;
        if (c->in.len == before)
            return 0;
        for (int64_t n = 1; c->in_used < c->in.len && n; c->in_used += (size_t)n) {
            n = c->protocol->read(c, c->in.data + c->in_used, c->in.len - c->in_used, &in);
            if (n < 0 || (n && advance(h, v, &in)))
                return -1;
        }
        buffer_drop(&c->in, c->in_used);
        c->in_used = 0;
    }
}

static void on_event(struct churn *h, struct visitor *v, uint32_t events)
{
    struct conn *c = &v->conn;
    int end = 0;
    if (v->stage == STAGE_NONE)
        return;
    if (events & EPOLLERR && v->stage == STAGE_WELCOME)
        end = conn_refused(c, &h->o->uri, ECONNREFUSED);
    else if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        end = read_all(h, v);
    if (!end && conn_has_output(c))
        end = conn_flush(c);
    if (end && v->stage == STAGE_END) {
        METER_ADD(h->tally.churned, 1);
        conn_drop(c);
        v->stage = STAGE_NONE;
    } else if (end) {
        if (end > 0)
            conn_ended(c, 0);
        fail(h, v);
    }
}

/* ---- the loop ---- */

/* True when the rate allows one more. */
static bool is_due(const struct churn *h, uint64_t now)
{
    double seconds = (double)(now - h->from_ns) / 1e9;
    return h->o->churn_rate <= 0 || (double)h->begun < seconds * h->o->churn_rate + 1;
}

/* Those who are gone come again; those who waited too long are given up. Returns how many wait for the rate.
 */
static uint64_t tend(struct churn *h, uint64_t now)
{
    uint64_t waiting = 0;
    for (uint64_t i = 0; i < h->o->churn; i++) {
        struct visitor *v = &h->visitors[i];
        if (v->stage == STAGE_NONE && is_due(h, now)) {
            begin(h, v, now);
        } else if (v->stage == STAGE_NONE) {
            waiting++;
        } else if (now - v->begun_ns > PATIENCE) {
            conn_fail(&v->conn, "the broker gave a churning connection no answer for %d s",
                      (int)(PATIENCE / NS_PER_S));
            fail(h, v);
        }
    }
    return waiting;
}

static void *churn_main(void *arg)
{
    struct churn *h = arg;
    struct epoll_event events[EVENTS_MAX];
    h->from_ns = now_ns();
    while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
        uint64_t waiting = tend(h, now_ns());
        int n = epoll_wait(h->epoll, events, EVENTS_MAX, waiting ? 1 : PAUSE_MS);
        for (int i = 0; i < n; i++)
            on_event(h, events[i].data.ptr, events[i].events);
    }
    return NULL;
}

struct churn *churn_start(const struct options *o, char *why, size_t why_size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (!o->churn)
        return NULL;
    struct churn *h = zalloc(1, sizeof *h);
    h->o = o;
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    h->carrier = carrier_socket_new();
    int error = getaddrinfo(o->uri.host, o->uri.port, &hints, &h->address);
    if (error) {
        snprintf(why, why_size, "host %s is not known (%s); correct --uri", o->uri.host, gai_strerror(error));
        churn_free(h);
        return NULL;
    }
    h->visitors = zalloc(o->churn, sizeof *h->visitors);
    for (uint64_t i = 0; i < o->churn; i++)
        conn_init(&h->visitors[i].conn, o, CONN_CHURN, (uint32_t)i + 1, h->carrier);
    if (pthread_create(&h->thread, NULL, churn_main, h))
        err(2, "pthread_create");
    return h;
}

const struct tally *churn_tally(const struct churn *c)
{
    return &c->tally;
}

void churn_stop(struct churn *c)
{
    __atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
    pthread_join(c->thread, NULL);
}

const char *churn_why(const struct churn *c)
{
    return c->why;
}

void churn_free(struct churn *c)
{
    for (uint64_t i = 0; c->visitors && i < c->o->churn; i++)
        conn_free(&c->visitors[i].conn);
    if (c->address)
        freeaddrinfo(c->address);
    c->carrier->ops->free(c->carrier);
    close(c->epoll);
    free(c->visitors);
    free(c);
}
