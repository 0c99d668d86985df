#include "worker.h"
#include "clock.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EVENTS_MAX      256
#define READ_SIZE       (256u << 10)
#define SLEEP_MAX_NS    (20 * NS_PER_MS)  /* so that a change of phase is seen soon */
#define RETRY_NS        (100 * NS_PER_MS) /* between attempts to reconnect */
#define POLLED_PAUSE_NS NS_PER_MS         /* between looks at a consumer with a rate */
#define OUT_PENDING_MAX (1u << 20) /* bytes of acks the broker did not read; then we stop reading, too */

void worker_init(struct worker *w, const struct options *o, const enum phase *phase)
{
    w->o = o;
    w->phase = phase;
    w->producers = zalloc(o->producers, sizeof *w->producers);
    w->consumers = zalloc(o->consumers, sizeof *w->consumers);
    w->scratch_size = READ_SIZE + CONN_FRAME_MAX; /* a read, behind what was left of a frame */
    w->scratch = zalloc(w->scratch_size, 1);
    w->meter.measure_from_ns = UINT64_MAX;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (w->epoll < 0)
        err(2, "epoll_create1");
}

/* ---- events asked for ---- */
static void watch(struct worker *w, struct conn *c)
{
    bool read = !c->polled && c->out.len < OUT_PENDING_MAX;
    uint32_t want = (read ? (uint32_t)EPOLLIN : 0) | (conn_has_output(c) ? (uint32_t)EPOLLOUT : 0);
    if (c->fd < 0 || want == c->watching)
        return;
    struct epoll_event e = {.events = want, .data.ptr = c};
    if (epoll_ctl(w->epoll, EPOLL_CTL_MOD, c->fd, &e))
        err(2, "epoll_ctl");
    c->watching = want;
}

static void watch_new(struct worker *w, struct conn *c)
{
    struct epoll_event e = {.data.ptr = c};
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &e))
        err(2, "epoll_ctl");
    c->watching = 0;
    buffer_drop(&c->in, c->in_used);
    c->in_used = 0;
}

/* ---- connections lost and found ---- */
static void lost(struct worker *w, struct conn *c)
{
    if (w->o->survive > 0) {
        if (!w->down_since_ns)
            METER_SET(w->down_since_ns, now_ns());
        return;
    }
    if (!w->failed)
        __atomic_store_n(&w->failed, c->why, __ATOMIC_RELEASE);
}

static void read_conn(struct worker *w, struct conn *c, uint64_t now)
{
    int64_t n = conn_receive(c, w->scratch, w->scratch_size), used = 0;
    if (n > 0)
        used = c->role == CONN_PRODUCER ? producer_input((struct producer *)c, w->scratch, (size_t)n, now)
                                        : consumer_input((struct consumer *)c, w->scratch, (size_t)n, now);
    if (n > 0 && used >= 0)
        conn_leave(c, w->scratch + used, (size_t)(n - used));
    c->held = c->polled;
    if (n < 0 || used < 0 || (c->role == CONN_CONSUMER && conn_flush(c)))
        lost(w, c);
}

static int open_conn(struct worker *w, struct conn *c)
{
    int failed =
        c->role == CONN_PRODUCER ? producer_open((struct producer *)c) : consumer_open((struct consumer *)c);
    if (failed)
        return -1;
    watch_new(w, c);
    watch(w, c);
    read_conn(w, c, now_ns()); /* what came together with the last answer */
    return 0;
}

static void give_up(struct worker *w, struct conn *c)
{
    char last[sizeof c->why];
    memcpy(last, c->why, sizeof last);
    conn_fail(c, "the broker stayed away for more than %.0f s; the last attempt: %.500s", w->o->survive,
              last);
    __atomic_store_n(&w->failed, c->why, __ATOMIC_RELEASE);
}

/* Tries all connections that are down; true when none is any more. */
static bool reopen_all(struct worker *w)
{
    struct conn *c = NULL;
    for (size_t i = 0; i < w->consumers_n + w->producers_n; i++) {
        c = i < w->consumers_n ? &w->consumers[i]->conn : &w->producers[i - w->consumers_n]->conn;
        if (c->fd >= 0)
            continue;
        if (open_conn(w, c)) {
            if (now_ns() - w->down_since_ns > (uint64_t)(w->o->survive * 1e9) && !w->failed)
                give_up(w, c);
            return false;
        }
        METER_ADD(w->meter.tally.reconnects, 1);
    }
    return true;
}

static void reconnect(struct worker *w, uint64_t now)
{
    if (!w->down_since_ns || now < w->retry_ns)
        return;
    bool all = reopen_all(w);
    w->retry_ns = all ? 0 : now_ns() + RETRY_NS;
    if (all)
        METER_SET(w->down_since_ns, 0ull);
}

int worker_open(struct worker *w)
{
    for (size_t i = 0; i < w->consumers_n; i++)
        if (open_conn(w, &w->consumers[i]->conn))
            return w->failed = w->consumers[i]->conn.why, -1;
    for (size_t i = 0; i < w->producers_n; i++)
        if (open_conn(w, &w->producers[i]->conn))
            return w->failed = w->producers[i]->conn.why, -1;
    return 0;
}

/* ---- one turn of the loop ---- */

/* What a turn of the loop found out about sleeping. */
struct rest {
    bool busy;        /* something was sent: do not sleep */
    uint64_t wake_ns; /* sleep no longer than until then */
    uint64_t *blame;  /* the counter the time asleep goes to */
};

static void poll_producers(struct worker *w, uint64_t now, struct rest *rest)
{
    for (size_t i = 0; i < w->producers_n; i++) {
        struct producer *p = w->producers[i];
        enum producer_wait wait = PRODUCER_IDLE;
        if (p->conn.fd < 0)
            continue;
        if (producer_poll(p, now, &wait))
            lost(w, &p->conn);
        watch(w, &p->conn);
        if (wait == PRODUCER_READY)
            rest->busy = true;
        else if (wait == PRODUCER_WAITS_SOCKET)
            rest->blame = &w->meter.tally.wait_socket_ns;
        else if (wait == PRODUCER_WAITS_CONFIRM && rest->blame != &w->meter.tally.wait_socket_ns)
            rest->blame = &w->meter.tally.wait_confirm_ns;
        else if (wait == PRODUCER_WAITS_TIME && producer_due_ns(p) < rest->wake_ns)
            rest->wake_ns = producer_due_ns(p);
    }
}

/* Consumers with a rate are read by the clock. */
static void poll_consumers(struct worker *w, uint64_t now, struct rest *rest)
{
    if (w->o->consumer_rate <= 0)
        return;
    for (size_t i = 0; i < w->consumers_n; i++) {
        struct consumer *k = w->consumers[i];
        if (k->conn.fd < 0)
            continue;
        if (now >= consumer_due_ns(k))
            read_conn(w, &k->conn, now);
        watch(w, &k->conn);
        uint64_t due = consumer_due_ns(k);
        uint64_t next = due > now + POLLED_PAUSE_NS ? due : now + POLLED_PAUSE_NS;
        if (next < rest->wake_ns)
            rest->wake_ns = next;
    }
}

static int await_events(struct worker *w, struct epoll_event *events, const struct rest *rest)
{
    uint64_t before = rest->busy ? 0 : now_ns();
    uint64_t pause = w->o->spin || rest->busy || rest->wake_ns <= before ? 0 : rest->wake_ns - before;
    struct timespec t = {(time_t)(pause / NS_PER_S), (long)(pause % NS_PER_S)};
    int n = epoll_pwait2(w->epoll, events, EVENTS_MAX, &t, NULL);
    if (n < 0 && errno != EINTR)
        err(1, "epoll_pwait2");
    if (!rest->busy)
        METER_ADD(*rest->blame, now_ns() - before);
    return n;
}

static void on_event(struct worker *w, struct conn *c, uint32_t events, uint64_t now)
{
    if (c->fd >= 0 && events & EPOLLOUT && conn_flush(c))
        lost(w, c);
    if (c->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_conn(w, c, now);
    watch(w, c);
}

static void turn(struct worker *w)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now = now_ns();
    struct rest rest = {false, now + SLEEP_MAX_NS, &w->meter.tally.wait_other_ns};
    reconnect(w, now);
    poll_producers(w, now, &rest);
    poll_consumers(w, now, &rest);
    int n = await_events(w, events, &rest);
    now = now_ns();
    for (int i = 0; i < n; i++)
        on_event(w, events[i].data.ptr, events[i].events, now);
}

static void enter(struct worker *w, enum phase phase)
{
    for (size_t i = 0; phase >= PHASE_DRAIN && i < w->producers_n; i++)
        w->producers[i]->stopped = true;
    __atomic_store_n(&w->entered, phase, __ATOMIC_RELEASE);
}

static void close_all(struct worker *w)
{
    for (size_t i = 0; i < w->producers_n; i++)
        conn_close(&w->producers[i]->conn);
    for (size_t i = 0; i < w->consumers_n; i++) {
        consumer_ack_rest(w->consumers[i]);
        conn_close(&w->consumers[i]->conn);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    prctl(PR_SET_TIMERSLACK, 1000ul); /* ns; the default of 50 µs would be seen in the latency */
    for (enum phase phase; (phase = __atomic_load_n(w->phase, __ATOMIC_ACQUIRE)) != PHASE_STOP;) {
        if (phase != w->entered)
            enter(w, phase);
        turn(w);
    }
    close_all(w);
    return NULL;
}

void worker_free(struct worker *w)
{
    close(w->epoll);
    free(w->scratch);
    free(w->producers);
    free(w->consumers);
    free(w);
}

void worker_start(struct worker *w, uint64_t start_ns)
{
    for (size_t i = 0; i < w->producers_n; i++) {
        struct producer *p = w->producers[i];
        /* Producers with a rate take turns instead of firing together. */
        p->start_ns = start_ns + (uint64_t)(p->interval_ns * (double)p->index / (double)w->o->producers);
    }
    if (pthread_create(&w->thread, NULL, worker_main, w))
        err(2, "pthread_create");
}
