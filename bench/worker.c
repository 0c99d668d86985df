#include "worker.h"
#include "clock.h"
#include "idle.h"
#include "port.h"

#include <err.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define SLEEP_MAX_NS    (20 * NS_PER_MS)  /* so that a change of phase is seen soon */
#define RETRY_NS        (100 * NS_PER_MS) /* between attempts to reconnect */
#define POLLED_PAUSE_NS NS_PER_MS         /* between looks at a consumer with a rate */

/* ---- what comes ---- */
static int64_t on_input(void *owner, struct conn *c, const uint8_t *bytes, size_t n, uint64_t now)
{
    (void)owner;
    if (c->role == CONN_IDLE)
        return idle_input(c, bytes, n);
    return c->role == CONN_PRODUCER ? producer_input((struct producer *)c, bytes, n, now)
                                    : consumer_input((struct consumer *)c, bytes, n, now);
}

static void watch(struct conn *c)
{
    if (c->carrier->ops->watch)
        c->carrier->ops->watch(c);
}

/* ---- connections lost and found ---- */
static void lost(void *owner, struct conn *c)
{
    struct worker *w = owner;
    if (w->o->survive > 0 && c->role != CONN_IDLE) {
        if (!w->down_since_ns)
            METER_SET(w->down_since_ns, now_ns());
        return;
    }
    if (!w->failed)
        __atomic_store_n(&w->failed, c->why, __ATOMIC_RELEASE);
}

static int open_conn(struct conn *c)
{
    int failed =
        c->role == CONN_PRODUCER ? producer_open((struct producer *)c) : consumer_open((struct consumer *)c);
    if (failed)
        return -1;
    conn_adopt(c);
    watch(c);
    c->carrier->ops->look(c, now_ns()); /* what came together with the last answer */
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
        if (c->is_open)
            continue;
        if (open_conn(c)) {
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
        if (open_conn(&w->consumers[i]->conn))
            return w->failed = w->consumers[i]->conn.why, -1;
    for (size_t i = 0; i < w->producers_n; i++)
        if (open_conn(&w->producers[i]->conn))
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
        if (!p->conn.is_open)
            continue;
        if (producer_poll(p, now, &wait))
            lost(w, &p->conn);
        watch(&p->conn);
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
        if (!k->conn.is_open)
            continue;
        if (now >= consumer_due_ns(k))
            w->carrier->ops->look(&k->conn, now);
        watch(&k->conn);
        uint64_t due = consumer_due_ns(k);
        uint64_t next = due > now + POLLED_PAUSE_NS ? due : now + POLLED_PAUSE_NS;
        if (next < rest->wake_ns)
            rest->wake_ns = next;
    }
}

/* What comes is dealt with. The time in which nothing came is somebody's to answer for. */
static void await_events(struct worker *w, const struct rest *rest)
{
    struct carrier *carrier = w->carrier;
    uint64_t before = rest->busy ? 0 : now_ns();
    bool spin = w->o->spin || carrier->spins || rest->busy || rest->wake_ns <= before;
    carrier->ops->turn(carrier, spin ? 0 : rest->wake_ns - before);
    if (!rest->busy && carrier->woke_ns)
        METER_ADD(*rest->blame, carrier->woke_ns - before);
}

static void turn(struct worker *w)
{
    uint64_t now = now_ns();
    struct rest rest = {false, now + SLEEP_MAX_NS, &w->meter.tally.wait_other_ns};
    reconnect(w, now);
    poll_producers(w, now, &rest);
    poll_consumers(w, now, &rest);
    await_events(w, &rest);
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
    if (w->carrier->spins)
        port_enter_thread();
    prctl(PR_SET_TIMERSLACK, 1000ul); /* ns; the default of 50 µs would be seen in the latency */
    for (enum phase phase; (phase = __atomic_load_n(w->phase, __ATOMIC_ACQUIRE)) != PHASE_STOP;) {
        if (phase != w->entered)
            enter(w, phase);
        turn(w);
    }
    close_all(w);
    return NULL;
}

void worker_init(struct worker *w, const struct options *o, const enum phase *phase, struct carrier *carrier)
{
    w->o = o;
    w->phase = phase;
    w->producers = zalloc(o->producers, sizeof *w->producers);
    w->consumers = zalloc(o->consumers, sizeof *w->consumers);
    w->meter.measure_from_ns = UINT64_MAX;
    w->carrier = carrier;
    carrier->user = (struct carrier_user){w, on_input, lost};
}

void worker_free(struct worker *w)
{
    w->carrier->ops->free(w->carrier);
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
