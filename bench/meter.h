/* What one worker thread counts while the load runs. Only that thread writes; the reporting thread reads
 * whenever it likes, hence the relaxed atomics (plain moves on every machine we run on). */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include "histogram.h"

#include <stdint.h>

/* One row a counter, all in messages unless the name says otherwise. */
#define METER_COUNTERS(X)                                                                                    \
    X(sent)            /* published for the first time */                                                    \
    X(resent)          /* published again after a lost connection or a refusal (--survive) */                \
    X(confirmed)       /* different messages confirmed by basic.ack */                                       \
    X(nacked)          /* refused by basic.nack */                                                           \
    X(returned)        /* came back as unroutable (basic.return) */                                          \
    X(blocked)         /* connection.blocked notices */                                                      \
    X(received)        /* deliveries of any kind */                                                          \
    X(fresh)           /* of those: this run's messages seen for the first time on their queue */            \
    X(foreign)         /* of those: from earlier runs, left in the queue */                                  \
    X(redelivered)     /* of those: flagged redelivered */                                                   \
    X(again_flagged)   /* seen before, and flagged redelivered: allowed */                                   \
    X(again_resent)    /* seen before, and sent twice by us: allowed */                                      \
    X(duplicated)      /* seen before, and neither: a fault */                                               \
    X(misordered)      /* older than what this consumer had from that producer before */                     \
    X(damaged)         /* the body is not what was sent, but its head says which message it is */            \
    X(unreadable)      /* not even that */                                                                   \
    X(reconnects)      /* connections opened again (--survive) */                                            \
    X(forgotten)       /* publishers' sessions that were to go on and were not there (QoS 2) */              \
    X(churned)         /* connections that came, did one thing and went (--churn) */                         \
    X(churn_failed)    /* of those: they did not get so far */                                               \
    X(wait_socket_ns)  /* asleep while a producer waited for the broker to read */                           \
    X(wait_confirm_ns) /* asleep while a producer had all its confirms in flight */                          \
    X(wait_other_ns)   /* asleep because of the rate asked for, or for messages to come */

struct tally {
#define X(name) uint64_t name;
    METER_COUNTERS(X)
#undef X
};

#define METER_ADD(counter, n) __atomic_store_n(&(counter), (counter) + (n), __ATOMIC_RELAXED)
#define METER_SET(mark, ns)   __atomic_store_n(&(mark), (ns), __ATOMIC_RELAXED)

struct meter {
    struct tally tally;
    uint64_t last_sent_ns, last_received_ns, last_confirmed_ns;
    uint64_t measure_from_ns; /* set by the reporting thread when the warm-up ends; until then UINT64_MAX */
    /* Index 1 holds messages meant to be sent at measure_from_ns or later, index 0 those of the warm-up. */
    struct histogram latency[2], confirm_latency[2];
};

static inline void meter_duration(struct meter *m, struct histogram pair[2], uint64_t now,
                                  uint64_t duration_ns)
{
    uint64_t from = __atomic_load_n(&m->measure_from_ns, __ATOMIC_RELAXED);
    histogram_record(&pair[now - duration_ns >= from], duration_ns);
}

/* to += from, for another thread's tally. */
void tally_add(struct tally *to, const struct tally *from);
/* to -= what */
void tally_subtract(struct tally *to, const struct tally *what);

#endif
