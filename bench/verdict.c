#include "verdict.h"

#include <stdio.h>

#define FULL      0.85 /* a core used this much counts as full: the rest is lost to noise */
#define REACHED   0.98 /* so does a rate reached this far */
#define TOO_SHORT 0.3  /* seconds; the kernel counts CPU time in steps of 10 ms */
#define MOSTLY    0.3  /* a wait this long is worth a word */

const char *verdict_name(enum bottleneck b)
{
    static const char *const names[] = {"none", "broker", "client", "both", "machine", "waiting", "unknown"};
    return names[b];
}

static double share(uint64_t from, uint64_t to, uint64_t of)
{
    return of && to > from ? (double)(to - from) / (double)of : 0;
}

static bool rate_reached(const struct result *r)
{
    const struct options *o = r->o;
    double wanted = o->rate * (double)o->producers * r->seconds;
    bool received = !o->consumers || !r->audit.loss_checked ||
                    (double)r->whole.fresh >= REACHED * (double)r->audit.expected;
    return o->rate > 0 && (double)r->measured.sent >= REACHED * wanted && received;
}

static enum bottleneck judge(const struct verdict *v, const struct result *r)
{
    bool client = v->client_busy >= FULL, broker = v->broker_busy >= FULL;
    if (rate_reached(r))
        return BOTTLENECK_NONE;
    if (r->seconds < TOO_SHORT)
        return BOTTLENECK_UNKNOWN;
    if (client || broker)
        return client && broker ? BOTTLENECK_BOTH : client ? BOTTLENECK_CLIENT : BOTTLENECK_BROKER;
    if (v->machine_idle < 1 - FULL)
        return BOTTLENECK_MACHINE;
    return r->end.broker_known ? BOTTLENECK_WAITING : BOTTLENECK_UNKNOWN;
}

void verdict_make(struct verdict *v, const struct result *r)
{
    const struct usage *a = &r->begin, *b = &r->end;
    uint64_t wall = b->wall_ns - a->wall_ns, threads_ns = wall * r->o->threads;
    *v = (struct verdict){
        .client_busy = share(a->client_busiest_ns, b->client_busiest_ns, wall),
        .client_cores = share(a->client_cpu_ns, b->client_cpu_ns, wall),
        .machine_idle = share(a->idle_ns, b->idle_ns, b->machine_ns - a->machine_ns),
        .waited_socket = share(0, r->measured.wait_socket_ns, threads_ns),
        .waited_confirm = share(0, r->measured.wait_confirm_ns, threads_ns),
    };
    /* A thread that spins is busy all the time: what it did meanwhile is another matter. */
    double waited = v->waited_socket + v->waited_confirm + share(0, r->measured.wait_other_ns, threads_ns);
    if (r->o->spin || r->o->transport == TRANSPORT_DPDK)
        v->client_busy = v->client_busy > waited ? v->client_busy - waited : 0;
    if (a->broker_known && b->broker_known) {
        v->broker_cores = share(a->broker_cpu_ns, b->broker_cpu_ns, wall);
        v->broker_busy = share(a->broker_busiest_ns, b->broker_busiest_ns, wall);
        if (r->broker_cpus && v->broker_cores / r->broker_cpus > v->broker_busy)
            v->broker_busy = v->broker_cores / r->broker_cpus;
    }
    v->bottleneck = judge(v, r);
}

static const char *conclusion(enum bottleneck b, const struct result *r)
{
    switch (b) {
    case BOTTLENECK_NONE:
        return "There was no bottleneck: the rate asked for was reached";
    case BOTTLENECK_BROKER:
        return "The broker was the bottleneck";
    case BOTTLENECK_CLIENT:
        return "The client was the bottleneck, so the broker can do more: try --threads, or cores of its own";
    case BOTTLENECK_BOTH:
        return "Both sides were at their limit, so the broker may do a little more: try --threads, or more "
               "cores";
    case BOTTLENECK_MACHINE:
        return "The machine was the bottleneck: no CPU was left; take cores for each side, or fewer programs";
    case BOTTLENECK_UNKNOWN:
        return r->seconds < TOO_SHORT
                   ? "This was too short to tell the bottleneck"
                   : "The client was not the bottleneck: the broker, its disk or the network was, or "
                     "too little was in flight (--broker-pid tells more)";
    default:
        return "No CPU was the bottleneck: both sides waited, for the disk, the network, or because too "
               "little was in "
               "flight (--confirm, --qos)";
    }
}

void verdict_write(const struct verdict *v, const struct result *r, char *text, size_t size)
{
    char broker[96] = "not known without --broker-pid", waits[128] = "";
    if (r->begin.broker_known && r->end.broker_known)
        snprintf(broker, sizeof broker, "%.0f %% of what it may use, %.2f cores in all", 100 * v->broker_busy,
                 v->broker_cores);
    if (v->waited_socket > MOSTLY || v->waited_confirm > MOSTLY)
        snprintf(waits, sizeof waits, "; the client waited %.0f %% of the time for %s",
                 100 * (v->waited_socket > v->waited_confirm ? v->waited_socket : v->waited_confirm),
                 v->waited_socket > v->waited_confirm ? "the broker to read" : "confirms");
    snprintf(text, size, "%s (busiest client thread %.0f %% of a core; broker %s%s).",
             conclusion(v->bottleneck, r), 100 * v->client_busy, broker, waits);
}
