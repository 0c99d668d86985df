/*
 * A checkpoint: the durable state as records, so that a replay can begin with them. It is written a little
 * with each poll while the state goes on changing: first all exchanges, queues and bindings in one go, then
 * the producers and what each queue holds, a range of sequence numbers at a time. A range is true at its own
 * place in the log, and the records behind it change it from there on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct router;

struct checkpoint {
    bool running, last; /* last: of a clean end, followed by CLEAN */
    uint64_t from;      /* LSN a replay starts from */
    uint64_t end;       /* LSN behind its last record; 0 while it is being written */
    uint32_t producer;  /* producers are saved up to this slot, */
    bool producers;     /* and that is all of them */
    uint32_t sender;    /* the same of senders */
    bool senders;
    uint32_t slot;     /* the queue under way, by its slot, */
    uint64_t seq;      /* and where in it */
    bool keys;         /* of a last-value queue: its entries are saved, its keys are under way */
    uint64_t written;  /* bytes of the last that was completed */
    uint64_t given_up; /* there was no room for the last that was begun, with so many messages; else 0 */
};

/* Begins one if enough has been written since the last, goes on with the one under way. Returns the work
 * done. */
unsigned checkpoint_poll(struct router *router);
/* How much the log must grow until the next one is begun; 0: one is under way. */
uint64_t checkpoint_waits(const struct router *router);
/* The last record of a clean end has been written: nothing may follow it. */
bool checkpoint_is_closed(const struct router *router);
/* Begins one now, the last of a clean end, or ends without where there is no room for it. False: one is under
 * way. */
bool checkpoint_last(struct router *router);
