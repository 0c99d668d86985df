/* Connections that do nothing, and subscriptions that match nothing: what a broker must carry beside its
 * work. They are opened before the load begins, by the main thread; then each belongs to a worker's carrier.
 */
#ifndef BENCH_IDLE_H
#define BENCH_IDLE_H

#include "conn.h"
#include "worker.h"

struct idle {
    struct conn *conns;
    uint64_t n, up;
};

/* Opens all connections, makes the subscriptions (o->filters, shared out evenly), gives them to the workers'
 * carriers. 0, or -1 with a sentence in why. */
int idle_open(struct idle *idle, const struct options *o, struct worker **workers, char *why,
              size_t why_size);
/* Reads what a broker sends to a connection that asked for nothing. Bytes used, or -1 with c->why. */
int64_t idle_input(struct conn *c, const uint8_t *bytes, size_t n);
/* Ends them all at once. */
void idle_free(struct idle *idle);

#endif
