/* What has come out of one queue: a set of sequence numbers for every source (a producer of some run).
 * Owner: the worker thread that carries all consumers of that queue. */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include "body.h"
#include "seen.h"

#include <stddef.h>
#include <stdint.h>

struct source {
    uint32_t producer, run;
    struct seen seen;
};

struct ledger {
    struct source *sources; /* in the order in which they were first seen */
    uint32_t n, cap;
    uint32_t *by_producer; /* index into sources, plus one, of the source last seen for a producer number */
};

uint32_t ledger_find_slow(struct ledger *l, uint32_t producer, uint32_t run);
/* The source, or NULL when nothing of it came. */
const struct source *ledger_look(const struct ledger *l, uint32_t producer, uint32_t run);
void ledger_free(struct ledger *l);

/* Index of the source in l->sources; it is added when new. */
static inline uint32_t ledger_find(struct ledger *l, uint32_t producer, uint32_t run)
{
    if (l->by_producer) {
        uint32_t at = l->by_producer[producer];
        if (at && l->sources[at - 1].run == run)
            return at - 1;
    }
    return ledger_find_slow(l, producer, run);
}

#endif
