/* What the exchange types (spec 3.1.3) and topics promise, computed from the options: which queue must get
 * whose messages. */
#ifndef BENCH_ROUTING_H
#define BENCH_ROUTING_H

#include "options.h"

/* False for exchange types we know nothing about; then loss cannot be judged. */
bool routing_known(const struct options *o);
/* True when the messages of that producer must reach that queue; both count from 0. */
bool routing_matches(const struct options *o, uint64_t producer, uint64_t queue);
/* Topic patterns: words with dots between, * is any one word, # any number of them. */
bool routing_topic_matches(const char *pattern, const char *key);
/* How many of the first `sent` messages of a matching producer are for that queue. */
uint64_t routing_share(const struct options *o, uint64_t queue, uint64_t sent);

/* Where subscribers each get every message (o->fanned), each has a queue of its own, named by its number.
 * Otherwise consumers share out the queues in turn, so the first ones have consumers. */
static inline uint64_t routing_queues(const struct options *o)
{
    return o->fanned ? o->consumers : o->queues;
}
static inline uint64_t routing_queue_of(const struct options *o, uint64_t consumer)
{
    return o->fanned ? consumer : consumer % o->queues;
}
static inline uint64_t routing_queues_consumed(const struct options *o)
{
    return o->consumers < routing_queues(o) ? o->consumers : routing_queues(o);
}

#endif
