/*
 * A consumer's time to answer (x-consumer-timeout): when a delivery has been with it for longer, the consumer
 * is cancelled and the front gives back all it has.
 *
 * Times are kept for periods, not for messages: a period is a twelfth of the time, and a delivery's entry
 * says which one it went out in (entry->period). A period is over its time when its youngest delivery is, so
 * a consumer is cancelled no sooner than the time says, and at most a twelfth of it later. Costs a few steps
 * for a delivery and for its end; a consumer without a time to answer pays a branch for each.
 *
 * The time is the one in the consumer's arguments, else the queue's; 0 is none. What a channel keeps of a
 * consumer that its client has cancelled, and what it got by basic.get, has no time to be answered in.
 */
#pragma once

#include <stdint.h>

#include "router/alarm.h"

struct consumer;
struct entry;
struct op;
struct queue;
struct router;

/* As many as entry->period can say. 0 is for what went out before the consumer had a time. */
enum { LAPSE_PERIODS = 16 };

/* Owned by its consumer. */
struct lapse {
    struct consumer *consumer;
    struct alarm alarm; /* set while anything is out */
    uint64_t time_ns;   /* to answer in; 0: any */
    uint8_t current;    /* the period that deliveries are counted in; those after it, around, are older */
    struct lapse_period {
        uint64_t first_ns, last_ns; /* when its deliveries went out */
        uint32_t out;               /* that are not answered */
    } period[LAPSE_PERIODS];
};

/* The consumer is new, or what is said of its queue has changed. */
void lapse_apply(struct router *router, struct consumer *consumer);
/* For all consumers of a queue. */
void lapses_apply(struct router *router, struct queue *queue);
void lapse_free(struct router *router, struct consumer *consumer);
/* The entry goes out to the consumer, which has a lapse. */
void lapse_begin(struct router *router, struct consumer *consumer, struct entry *entry);
/* `count` deliveries of the consumer, which has a lapse, are about to be settled. */
void lapse_end(struct consumer *consumer, struct queue *queue, uint64_t seq, uint32_t count);
