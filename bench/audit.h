/* Compares what was sent and confirmed with what came out, after the run. */
#ifndef BENCH_AUDIT_H
#define BENCH_AUDIT_H

#include "consumer.h"
#include "ledger.h"
#include "producer.h"
#include "result.h"

/* Messages that have to come out of the queues with consumers, all together, by what was sent up to now. */
uint64_t audit_expected(const struct options *o, const struct producer *producers);
/* Fills r->audit from the producers, the ledgers of all queues, and r->whole. */
void audit_make(struct result *r, const struct producer *producers, const struct ledger *ledgers);

#endif
