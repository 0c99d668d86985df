/* Timers: a heap of nodes that live inside what waits, by the time they are due. Not thread-safe: each agent
 * has its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t at;  /* ns */
    size_t place; /* in the heap + 1; 0: not set */
};

struct timers {
    struct timer **heap;
    size_t count, room;
};

void timers_free(struct timers *timers);
/* Sets or moves the timer. */
void timer_set(struct timers *timers, struct timer *timer, uint64_t at_ns);
/* Does nothing if it isn't set. */
void timer_cancel(struct timers *timers, struct timer *timer);
/* Takes off one that is due by now; NULL if none is. */
struct timer *timer_due(struct timers *timers, uint64_t now_ns);
/* When the next one is due, UINT64_MAX if there is none. */
uint64_t timers_next(const struct timers *timers);
