/* A storm of connections: each logs in, does one small thing, leaves in good order, and comes again, as fast
 * as one thread can (or at a rate). Nothing of it is waited for: all are steps of an epoll loop. */
#ifndef BENCH_CHURN_H
#define BENCH_CHURN_H

#include "meter.h"
#include "options.h"

struct churn;

/* Starts the thread. Returns NULL when the options ask for none; or with a sentence in why. */
struct churn *churn_start(const struct options *o, char *why, size_t why_size);
/* What it counted: churned, churn_failed. Any thread may look. */
const struct tally *churn_tally(const struct churn *c);
/* Ends the thread; connections under way are dropped. */
void churn_stop(struct churn *c);
/* The reason of the last failure, after churn_stop; "" when there was none. */
const char *churn_why(const struct churn *c);
void churn_free(struct churn *c);

#endif
