/* The happy path: connections are opened, workers started (PHASE_LOAD), the warm-up passes, the measured time
 * begins and ends; producers stop (PHASE_DRAIN) and what is under way arrives; workers close (PHASE_STOP);
 * audit. */
#include "run.h"
#include "audit.h"
#include "churn.h"
#include "clock.h"
#include "idle.h"
#include "live.h"
#include "port.h"
#include "routing.h"
#include "worker.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#define TICK_NS (20 * NS_PER_MS)

struct run {
    const struct options *o;
    struct result *r;
    enum phase phase;
    struct worker **workers;
    struct producer *producers;
    struct consumer *consumers;
    struct ledger *ledgers; /* of each queue */
    struct port *port;      /* NULL: sockets carry the connections */
    struct idle idle;
    struct churn *churn; /* NULL: no storm */

    bool started;                   /* the worker threads exist */
    uint64_t start_ns, measure_ns;  /* measure_ns: 0 while warming up */
    bool measured;                  /* the end of the measured time is in r */
    struct tally now, at_measure;   /* sums over the workers */
    uint64_t progress, progress_ns; /* a sum that moves while anything does, and when it did */
    struct live *live;
};

static volatile sig_atomic_t interrupts;

static void on_signal(int signal)
{
    if (interrupts++)
        _Exit(128 + signal);
}

/* ---- the parts of a run ---- */

/* All consumers of a queue live in one thread, because they share its ledger; producers fill up from the
 * other end. */
static void deal_out(struct run *run)
{
    const struct options *o = run->o;
    for (uint64_t i = 0; i < o->consumers; i++) {
        uint64_t queue = routing_queue_of(o, i);
        struct worker *w = run->workers[queue % o->threads];
        consumer_init(&run->consumers[i], o, &w->meter, w->carrier, (uint32_t)i, run->r->run);
        run->consumers[i].ledger = &run->ledgers[queue];
        run->consumers[i].producers = run->producers;
        w->consumers[w->consumers_n++] = &run->consumers[i];
    }
    for (uint64_t i = 0; i < o->producers; i++) {
        struct worker *w = run->workers[o->threads - 1 - i % o->threads];
        producer_init(&run->producers[i], o, &w->meter, w->carrier, (uint32_t)i, run->r->run);
        w->producers[w->producers_n++] = &run->producers[i];
    }
}

/* A connection each: the usual limit of 1,024 files would be met soon. */
static void allow_files(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
    }
}

static void run_init(struct run *run, const struct options *o, struct port *port, struct result *r)
{
    *run = (struct run){.o = o, .r = r, .port = port, .live = zalloc(1, sizeof *run->live)};
    r->o = o;
    r->run = o->run;
    run->producers = zalloc(o->producers, sizeof *run->producers);
    run->consumers = zalloc(o->consumers, sizeof *run->consumers);
    run->ledgers = zalloc(routing_queues(o), sizeof *run->ledgers);
    run->workers = zalloc(o->threads, sizeof *run->workers);
    for (uint64_t i = 0; i < o->threads; i++) {
        run->workers[i] = zalloc(1, sizeof **run->workers);
        worker_init(run->workers[i], o, &run->phase,
                    run->port ? carrier_stream_new(run->port) : carrier_socket_new());
    }
    deal_out(run);
    allow_files();
}

static void run_free(struct run *run)
{
    for (uint64_t i = 0; i < run->o->producers; i++)
        producer_free(&run->producers[i]);
    for (uint64_t i = 0; i < run->o->consumers; i++)
        consumer_free(&run->consumers[i]);
    idle_free(&run->idle);
    if (run->churn)
        churn_free(run->churn);
    for (uint64_t i = 0; i < routing_queues(run->o); i++)
        ledger_free(&run->ledgers[i]);
    for (uint64_t i = 0; i < run->o->threads; i++)
        worker_free(run->workers[i]);
    free(run->producers);
    free(run->consumers);
    free(run->ledgers);
    free(run->workers);
    free(run->live);
}

/* The first connection is where a broker that isn't up yet is waited for. */
static int make_topology(struct run *run)
{
    uint64_t end = now_ns() + (uint64_t)(run->o->wait * 1e9);
    while (run->o->protocol->make(run->o, run->workers[0]->carrier, run->r->why, sizeof run->r->why)) {
        if (now_ns() >= end)
            return -1;
        usleep(20000);
    }
    run->r->why[0] = '\0';
    return 0;
}

static int run_open(struct run *run)
{
    if (make_topology(run))
        return -1;
    for (uint64_t i = 0; i < run->o->threads; i++)
        if (worker_open(run->workers[i])) {
            snprintf(run->r->why, sizeof run->r->why, "%s", run->workers[i]->failed);
            return -1;
        }
    return idle_open(&run->idle, run->o, run->workers, run->r->why, sizeof run->r->why);
}

/* ---- looking at the workers ---- */
static void sum_up(struct run *run)
{
    run->now = (struct tally){0};
    for (uint64_t i = 0; i < run->o->threads; i++)
        tally_add(&run->now, &run->workers[i]->meter.tally);
    if (run->churn)
        tally_add(&run->now, churn_tally(run->churn));
}

static const char *failure(const struct run *run)
{
    for (uint64_t i = 0; i < run->o->threads; i++) {
        const char *why = __atomic_load_n(&run->workers[i]->failed, __ATOMIC_ACQUIRE);
        if (why)
            return why;
    }
    return NULL;
}

static bool any_down(const struct run *run)
{
    for (uint64_t i = 0; i < run->o->threads; i++)
        if (__atomic_load_n(&run->workers[i]->down_since_ns, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* Seconds since anything moved. An outage that --survive lives through is no standstill. */
static double standstill(struct run *run, uint64_t now)
{
    const struct tally *t = &run->now;
    uint64_t progress = t->sent + t->resent + t->received + t->confirmed + t->reconnects;
    if (progress != run->progress || any_down(run)) {
        run->progress = progress;
        run->progress_ns = now;
    }
    return (double)(now - run->progress_ns) / 1e9;
}

static uint64_t busiest_worker_ns(const struct run *run)
{
    uint64_t most = 0;
    for (uint64_t i = 0; i < run->o->threads; i++) {
        clockid_t id;
        if (pthread_getcpuclockid(run->workers[i]->thread, &id))
            continue;
        uint64_t ns = clock_ns(id);
        most = ns > most ? ns : most;
    }
    return most;
}

static uint64_t last_activity(const struct run *run)
{
    uint64_t last = run->measure_ns + 1;
    for (uint64_t i = 0; i < run->o->threads; i++) {
        const struct meter *m = &run->workers[i]->meter;
        const uint64_t *const marks[] = {&m->last_sent_ns, &m->last_received_ns, &m->last_confirmed_ns};
        for (int k = 0; k < 3; k++) {
            uint64_t ns = __atomic_load_n(marks[k], __ATOMIC_RELAXED);
            last = ns > last ? ns : last;
        }
    }
    return last;
}

static void sum_latency(const struct run *run, struct histogram *latency, struct histogram *confirm, int from)
{
    histogram_clear(latency);
    histogram_clear(confirm);
    for (uint64_t i = 0; i < run->o->threads; i++)
        for (int k = from; k < 2; k++) {
            histogram_add(latency, &run->workers[i]->meter.latency[k]);
            histogram_add(confirm, &run->workers[i]->meter.confirm_latency[k]);
        }
}

/* ---- the measured time ---- */
static void begin_measuring(struct run *run, uint64_t now)
{
    run->measure_ns = now;
    run->at_measure = run->now;
    usage_read(&run->r->begin, run->o->broker_pid);
    run->r->begin.client_busiest_ns = run->started ? busiest_worker_ns(run) : 0;
    for (uint64_t i = 0; i < run->o->threads; i++)
        METER_SET(run->workers[i]->meter.measure_from_ns, now);
}

static void end_measuring(struct run *run, uint64_t end)
{
    struct result *r = run->r;
    run->measured = true;
    r->measured = run->now;
    tally_subtract(&r->measured, &run->at_measure);
    r->seconds = (double)(end - run->measure_ns) / 1e9;
    usage_read(&r->end, run->o->broker_pid);
    r->end.client_busiest_ns = busiest_worker_ns(run);
    r->broker_gone = run->o->broker_pid && !memory_read(&r->broker_memory, run->o->broker_pid);
    r->broker_cpus = usage_cpus(run->o->broker_pid);
}

/* ---- when a phase is over ---- */
static bool consumers_finished(const struct run *run)
{
    const struct options *o = run->o;
    return o->consumer_messages && o->consumers && run->now.received >= o->consumers * o->consumer_messages;
}

static bool time_is_up(const struct run *run, uint64_t now)
{
    return run->o->seconds > 0 && run->measure_ns &&
           now - run->measure_ns >= (uint64_t)(run->o->seconds * 1e9);
}

static bool load_is_over(struct run *run, uint64_t now)
{
    const struct options *o = run->o;
    if (interrupts || failure(run) || consumers_finished(run) || time_is_up(run, now))
        return true;
    if (o->producers)
        return o->producer_messages && run->now.sent >= o->producers * o->producer_messages;
    return o->consumers && !(o->seconds > 0) && standstill(run, now) > o->drain;
}

static bool all_entered(const struct run *run, enum phase phase)
{
    for (uint64_t i = 0; i < run->o->threads; i++)
        if (__atomic_load_n(&run->workers[i]->entered, __ATOMIC_ACQUIRE) < phase)
            return false;
    return true;
}

static bool all_arrived(const struct run *run)
{
    const struct options *o = run->o;
    const struct tally *t = &run->now;
    if (o->confirms && t->confirmed + (o->survive > 0 ? 0 : t->nacked) < t->sent)
        return false;
    if (!o->consumers || !o->producers || consumers_finished(run))
        return true;
    /* Some of what was refused may arrive nevertheless; the standstill decides on the rest. */
    return routing_known(o) && t->fresh + t->unreadable >= audit_expected(o, run->producers);
}

static bool drain_is_over(struct run *run, uint64_t now)
{
    if (failure(run))
        return true;
    return all_entered(run, PHASE_DRAIN) && (all_arrived(run) || standstill(run, now) > run->o->drain);
}

static void set_phase(struct run *run, enum phase phase)
{
    __atomic_store_n(&run->phase, phase, __ATOMIC_RELEASE);
}

static void tick(struct run *run, uint64_t now)
{
    sum_up(run);
    if (!run->measure_ns && (double)(now - run->start_ns) >= run->o->warmup * 1e9)
        begin_measuring(run, now);
    if (run->phase == PHASE_LOAD && load_is_over(run, now)) {
        if (!run->measure_ns)
            begin_measuring(run, now);
        if (time_is_up(run, now))
            end_measuring(run, now);
        set_phase(run, PHASE_DRAIN);
    }
    if (run->phase == PHASE_DRAIN && drain_is_over(run, now)) {
        if (!run->measured)
            end_measuring(run, last_activity(run));
        set_phase(run, PHASE_STOP);
    }
}

static void watch_workers(struct run *run)
{
    struct live *l = run->live;
    struct timespec pause = {0, (long)TICK_NS};
    *l = (struct live){.o = run->o,
                       .to = run->o->json ? stderr : stdout,
                       .started_ns = run->start_ns,
                       .printed_ns = run->start_ns};
    while (run->phase != PHASE_STOP) {
        nanosleep(&pause, NULL);
        uint64_t now = now_ns();
        tick(run, now);
        if (!run->o->quiet && now - l->printed_ns >= NS_PER_S) {
            sum_latency(run, &l->latency, &l->confirm, 0);
            live_line(l, now, &run->now);
        }
    }
}

static void run_finish(struct run *run)
{
    struct result *r = run->r;
    const char *why = failure(run);
    for (uint64_t i = 0; i < run->o->threads; i++)
        pthread_join(run->workers[i]->thread, NULL);
    if (run->churn)
        churn_stop(run->churn);
    sum_up(run);
    r->whole = run->now;
    r->idle = run->idle.up;
    r->interrupted = interrupts > 0;
    sum_latency(run, &r->latency, &r->confirm_latency, 1);
    if (why)
        snprintf(r->why, sizeof r->why, "%s", why);
    else if (run->churn && r->whole.churn_failed)
        snprintf(r->why, sizeof r->why, "%.600s", churn_why(run->churn));
    audit_make(r, run->producers, run->ledgers);
    char cleanup[640];
    if (run->o->remove && !why &&
        run->o->protocol->remove(run->o, run->workers[0]->carrier, cleanup, sizeof cleanup))
        fprintf(stderr, "gannet-bench: the queues were left behind: %s\n", cleanup);
}

static void run_start(struct run *run)
{
    run->start_ns = run->progress_ns = now_ns();
    if (run->o->warmup <= 0)
        begin_measuring(run, run->start_ns);
    for (uint64_t i = 0; i < run->o->threads; i++)
        worker_start(run->workers[i], run->start_ns);
    run->started = true;
}

static int start_churn(struct run *run)
{
    run->churn = churn_start(run->o, run->r->why, sizeof run->r->why);
    return *run->r->why ? -1 : 0;
}

/* 0, or -1 with why. */
static int open_port(const struct options *o, struct port **port, char *why, size_t why_size)
{
    const struct port_options p = {.eal = o->eal,
                                   .name = o->dpdk_port ? o->dpdk_port : "",
                                   .address = o->address,
                                   .mtu = o->mtu ? o->mtu : 1500,
                                   .buffers = o->buffers ? o->buffers : 8192,
                                   .connections = o->producers + o->consumers + 16};
    *port = NULL;
    if (o->transport == TRANSPORT_DPDK)
        *port = port_open(&p, why, why_size);
    return o->transport == TRANSPORT_DPDK && !*port ? -1 : 0;
}

int run_load(const struct options *o, struct result *r)
{
    struct run run;
    struct port *port;
    if (open_port(o, &port, r->why, sizeof r->why))
        return -1;
    run_init(&run, o, port, r);
    int failed = run_open(&run) || start_churn(&run) ? -1 : 0;
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        run_start(&run);
        watch_workers(&run);
        run_finish(&run);
    }
    run_free(&run);
    if (port)
        port_close(port);
    return failed;
}
