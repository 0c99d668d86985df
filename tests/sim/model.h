/*
 * The oracle: a naive broker of arrays and strcmp that is told what every front takes and gives (tap.h), in
 * that order, and judges. It shares no code with the broker. What it knows is three-valued: no, maybe, yes;
 * what is under way is a maybe, and so is what was under way when something broke. Whenever the broker has
 * nothing to do, most maybes are settled, and everything that is owed must have been given.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "talk.h"

struct model;
struct taps;

struct model *model_new(void);
void model_free(struct model *model);
/* Before anything else. */
void model_attach(struct model *model, const struct taps *taps);

void model_opened(struct model *model, uint64_t stream);
void model_client_begun(struct model *model, uint64_t stream, const struct said *said);
void model_client_said(struct model *model, uint64_t stream, const struct said *said);
void model_broker_said(struct model *model, uint64_t stream, const struct said *said);
/* The broker gives the channel up, or the connection (channel 0); what it has still to say is on its way. */
void model_closed(struct model *model, uint64_t stream, unsigned channel);
/* The broker has given back what the consumer had, since it took too long. */
void model_lapsed(struct model *model, uint64_t stream, unsigned channel, const char *tag);
void model_left(struct model *model, uint64_t stream);

/* What time it is, by the clock that the broker is told; before anything else happens at that time. */
void model_time(struct model *model, uint64_t now_ns);
/* The disks are full now. */
void model_no_room(struct model *model);
/* The broker has nothing to do. */
void model_idle(struct model *model);
/* A journal has failed: from now on nothing is made safe there. */
void model_failed(struct model *model);
/* The broker is gone: killed, or it ended as it should (clean). */
void model_down(struct model *model, bool clean);
/* The broker starts on a disk that takes nothing: it may not be able to remember that it ended as it should.
 */
void model_may_mark(struct model *model);

/* The queues that may exist, and whether one is sure to hold a message that can be delivered. For the one who
 * empties them. */
unsigned model_queues(const struct model *model);
const char *model_queue_name(const struct model *model, unsigned i); /* NULL: it is gone, or somebody's own */
/* Whether something is sure to be left that can be consumed. At the end nothing may be. */
bool model_something_left(const struct model *model);
void model_all_empty(const struct model *model);

/* Whether messages may still wait for their time. */
bool model_delays(const struct model *model);

/* What the model has judged, for a line in the log. */
struct model_counts {
    uint64_t messages, delivered, rejected, confirmed, returned, idles;
    uint64_t sure, unsure; /* messages in queues at crashes whose survival was, or was not, demanded */
};
struct model_counts model_counts(const struct model *model);
