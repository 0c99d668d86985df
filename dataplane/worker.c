#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/ring.h"
#include "journal/storage.h"
#include "transport/transport.h"

enum {
    FDS_MAX = 1 + FRONTS_MAX * FRONT_PORTS_MAX + ROUTERS_MAX,
    IDLE_TURNS = 20,     /* turns without work before a worker sleeps */
    SLEEP_MS_MAX = 1000, /* a bound for what no timer bounds */
    POLL_US = 50, /* sleep of a thread with a transport that nothing wakes for: it looks again after that */
    CROWDED_US = 50, /* sleep while a ring to somebody else has little room: nobody tells when it has more */
};

/* Rings from this worker's agents to another's. */
struct route {
    struct worker *to;
    struct ring **ring;
    unsigned rings;
};

struct worker {
    struct workers *all;
    const struct plan *plan;
    pthread_t thread;
    bool started;
    char name[16];
    struct ring **incoming; /* from other workers */
    unsigned incomings;
    struct route *routes;
    unsigned route_count;
    struct pollfd fds[FDS_MAX]; /* the eventfd first */
    nfds_t fd_count;
    enum worker_step begun;
    unsigned idle;
    bool login;     /* it has the login agent, and nothing else: the others must not wait for that */
    bool must_poll; /* a transport of its has no descriptor to wait for */

    /* Written by this worker, read by the others. */
    _Alignas(64) atomic_bool asleep;
    atomic_int reached; /* enum worker_step */
};

struct workers {
    struct worker_options options;
    struct worker *worker;
    unsigned count;
    atomic_int asked; /* enum worker_step */
};

/* ---- waking ---------------------------------------------------------------------------------------- */

static void wake(struct worker *w)
{
    uint64_t one = 1;
    /* Fails only if it was written to 2^64 times already. */
    (void)!write(w->fds[0].fd, &one, sizeof one);
}

static bool anything(struct ring *const *rings, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ring_waiting(rings[i]))
            return true;
    return false;
}

static void wake_others(struct worker *w)
{
    if (w->route_count == 0)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < w->route_count; i++) {
        struct route *route = &w->routes[i];
        if (atomic_load_explicit(&route->to->asleep, memory_order_relaxed) &&
            anything(route->ring, route->rings))
            wake(route->to);
    }
}

static bool crowded(const struct worker *w)
{
    for (unsigned i = 0; i < w->route_count; i++)
        for (unsigned j = 0; j < w->routes[i].rings; j++)
            if (ring_room(w->routes[i].ring[j]) < RING_SLOTS / 8)
                return true;
    return false;
}

/* ---- sleeping -------------------------------------------------------------------------------------- */

static uint64_t deadline(const struct worker *w)
{
    const struct broker *broker = w->all->options.broker;
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < w->plan->front_count; i++) {
        uint64_t at = front_deadline(broker->front[w->plan->front[i]]);
        first = at < first ? at : first;
    }
    for (unsigned i = 0; i < w->plan->router_count; i++) {
        uint64_t at = router_deadline(broker->router[w->plan->router[i]]);
        first = at < first ? at : first;
    }
    return first;
}

static struct timespec how_long(const struct worker *w, uint64_t now_ns)
{
    uint64_t at = deadline(w), ns = at > now_ns ? at - now_ns : 0;
    if (ns > SLEEP_MS_MAX * 1000000ull)
        ns = SLEEP_MS_MAX * 1000000ull;
    if (ns > POLL_US * 1000ull && w->must_poll)
        ns = POLL_US * 1000ull;
    if (ns > CROWDED_US * 1000ull && crowded(w))
        ns = CROWDED_US * 1000ull;
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static void nap(struct worker *w, uint64_t now_ns)
{
    uint64_t count;
    atomic_store_explicit(&w->asleep, true, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (!anything(w->incoming, w->incomings) && (int)w->begun == atomic_load(&w->all->asked)) {
        struct timespec most = how_long(w, now_ns);
        ppoll(w->fds, w->fd_count, &most, NULL);
    }
    atomic_store_explicit(&w->asleep, false, memory_order_relaxed);
    if (w->fds[0].revents & POLLIN)
        (void)!read(w->fds[0].fd, &count, sizeof count);
    w->fds[0].revents = 0;
}

/* ---- the turn -------------------------------------------------------------------------------------- */

/* Agents take turns, each at its own time: what one has taken isn't the next one's. */
static unsigned turn(struct worker *w, uint64_t now_ns)
{
    const struct broker *broker = w->all->options.broker;
    const struct plan *plan = w->plan;
    unsigned work = 0, done;
    for (unsigned i = 0; i < plan->front_count; i++) {
        work += done = front_poll(broker->front[plan->front[i]], now_ns);
        now_ns = done ? w->all->options.clock_ns() : now_ns;
    }
    for (unsigned i = 0; i < plan->router_count; i++) {
        struct router *router = broker->router[plan->router[i]];
        work += done = router_poll(router, now_ns);
        if (done)
            router_turned(router, now_ns = w->all->options.clock_ns());
    }
    for (unsigned i = 0; i < plan->journal_count; i++)
        work += journal_poll(broker->journal[plan->journal[i]], now_ns);
    return w->login ? logins_poll(broker->logins) : work;
}

static void begin(struct worker *w, enum worker_step step)
{
    const struct broker *broker = w->all->options.broker;
    for (unsigned i = 0; step == STEP_FRONTS && i < w->plan->front_count; i++)
        front_stop(broker->front[w->plan->front[i]], "shutdown");
    for (unsigned i = 0; step == STEP_ROUTERS && i < w->plan->router_count; i++)
        router_stop(broker->router[w->plan->router[i]]);
    w->begun = step;
    w->idle = 0; /* there is work now, though this turn had none */
}

static bool done(const struct worker *w)
{
    const struct broker *broker = w->all->options.broker;
    bool all = true;
    for (unsigned i = 0; w->begun == STEP_FRONTS && i < w->plan->front_count; i++)
        all &= front_stopped(broker->front[w->plan->front[i]]);
    for (unsigned i = 0; w->begun == STEP_ROUTERS && i < w->plan->router_count; i++)
        all &= router_stopped(broker->router[w->plan->router[i]]);
    for (unsigned i = 0; w->begun == STEP_JOURNALS && i < w->plan->journal_count; i++)
        all &= journal_idle(broker->journal[w->plan->journal[i]]);
    return all;
}

/* Does what the main thread asks, step by step. */
static void follow(struct worker *w)
{
    enum worker_step asked = (enum worker_step)atomic_load_explicit(&w->all->asked, memory_order_acquire);
    if (w->begun != asked)
        begin(w, asked);
    if ((int)w->begun != atomic_load_explicit(&w->reached, memory_order_relaxed) && done(w))
        atomic_store(&w->reached, (int)w->begun);
}

static void pin(const struct worker *w)
{
    pthread_setname_np(pthread_self(), w->name);
    if (w->plan->core == ANY_CORE)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)w->plan->core, &set);
    /* Checked by placement_make; if the core has gone since, the kernel's choice is as good. */
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    const struct worker_options *options = &w->all->options;
    pin(w);
    /* Sleeps that short would be twice as long with the kernel's usual slack of 50 us. */
    if (w->must_poll)
        prctl(PR_SET_TIMERSLACK, 1000ul);
    if (options->enter && w->plan->front_count)
        options->enter();
    while (w->begun != STEP_END) {
        uint64_t now_ns = options->clock_ns();
        unsigned work = turn(w, now_ns);
        follow(w);
        if (work) {
            wake_others(w);
            w->idle = 0;
        } else if ((!options->busy_poll || w->login) && ++w->idle > IDLE_TURNS) {
            nap(w, now_ns);
        }
    }
    return NULL;
}

/* ---- composition ----------------------------------------------------------------------------------- */

static bool has(const uint8_t *agents, unsigned n, unsigned index)
{
    return n && memchr(agents, (int)index, n);
}

static bool runs(const struct worker *w, struct agent agent)
{
    const struct plan *plan = w->plan;
    switch (agent.kind) {
    case AGENT_FRONT:
        return has(plan->front, plan->front_count, agent.index);
    case AGENT_ROUTER:
        return has(plan->router, plan->router_count, agent.index);
    case AGENT_JOURNAL:
        return has(plan->journal, plan->journal_count, agent.index);
    case AGENT_LOGIN:
        return w->login;
    }
    UNREACHABLE();
}

static void ring_add(struct ring ***rings, unsigned *n, struct ring *ring)
{
    *rings = realloc(*rings, (*n + 1) * sizeof **rings);
    CHECK(*rings);
    (*rings)[(*n)++] = ring;
}

static struct route *route_to(struct worker *from, struct worker *to)
{
    for (unsigned i = 0; i < from->route_count; i++)
        if (from->routes[i].to == to)
            return &from->routes[i];
    from->routes = realloc(from->routes, (from->route_count + 1) * sizeof *from->routes);
    CHECK(from->routes);
    from->routes[from->route_count] = (struct route){.to = to};
    return &from->routes[from->route_count++];
}

static struct worker *runner(struct workers *all, struct agent agent)
{
    for (unsigned i = 0; i < all->count; i++)
        if (runs(&all->worker[i], agent))
            return &all->worker[i];
    UNREACHABLE();
}

static void connect_rings(struct workers *all)
{
    const struct broker *broker = all->options.broker;
    for (unsigned i = 0; i < broker->ring_count; i++) {
        const struct broker_ring *ring = &broker->rings[i];
        struct worker *from = runner(all, ring->from), *to = runner(all, ring->to);
        if (from == to)
            continue;
        struct route *route = route_to(from, to);
        ring_add(&route->ring, &route->rings, ring->ring);
        ring_add(&to->incoming, &to->incomings, ring->ring);
    }
}

static void watch(struct worker *w, int fd)
{
    if (fd >= 0)
        w->fds[w->fd_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static const struct plan no_plan = {.core = ANY_CORE};

static void worker_init(struct workers *all, unsigned index)
{
    struct worker *w = &all->worker[index];
    const struct worker_options *options = &all->options;
    w->all = all;
    w->login = index == options->placement->threads;
    w->plan = w->login ? &no_plan : &options->placement->plan[index];
    if (w->login)
        snprintf(w->name, sizeof w->name, "gannet-login");
    else
        snprintf(w->name, sizeof w->name, "gannet-%u", index % 1000);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(fd >= 0);
    watch(w, fd);
    for (unsigned i = 0; i < w->plan->front_count; i++) {
        const struct front *front = options->broker->front[w->plan->front[i]];
        struct transport *transport;
        for (unsigned port = 0; (transport = front_transport(front, port)); port++) {
            int descriptor = transport->ops->wait_fd(transport);
            watch(w, descriptor);
            w->must_poll |= descriptor < 0;
        }
    }
    for (unsigned i = 0; i < w->plan->journal_count; i++) {
        struct storage *storage = options->storage[w->plan->journal[i]];
        watch(w, storage->table->wait_fd(storage));
    }
}

struct workers *workers_new(const struct worker_options *options)
{
    struct workers *all = calloc(1, sizeof *all);
    CHECK(all);
    all->options = *options;
    all->count = options->placement->threads + 1;
    all->worker = aligned_alloc(_Alignof(struct worker), all->count * sizeof *all->worker);
    CHECK(all->worker);
    memset(all->worker, 0, all->count * sizeof *all->worker);
    for (unsigned i = 0; i < all->count; i++)
        worker_init(all, i);
    connect_rings(all);
    return all;
}

bool workers_start(struct workers *workers, char *error, size_t error_size)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *w = &workers->worker[i];
        int failed = pthread_create(&w->thread, NULL, run, w);
        if (failed) {
            snprintf(error, error_size, "cannot start a thread: %s", strerror(failed));
            return false;
        }
        w->started = true;
    }
    return true;
}

void workers_ask(struct workers *workers, enum worker_step step)
{
    atomic_store(&workers->asked, (int)step);
    for (unsigned i = 0; i < workers->count; i++)
        wake(&workers->worker[i]);
}

bool workers_reached(const struct workers *workers, enum worker_step step)
{
    for (unsigned i = 0; i < workers->count; i++)
        if (atomic_load(&workers->worker[i].reached) != (int)step)
            return false;
    return true;
}

void workers_wake_front(struct workers *workers, unsigned front)
{
    wake(runner(workers, (struct agent){AGENT_FRONT, (uint8_t)front}));
}

void workers_free(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *w = &workers->worker[i];
        if (w->started)
            pthread_join(w->thread, NULL);
        close(w->fds[0].fd);
        for (unsigned j = 0; j < w->route_count; j++)
            free(w->routes[j].ring);
        free(w->routes);
        free(w->incoming);
    }
    free(workers->worker);
    free(workers);
}
