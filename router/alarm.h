/*
 * What a router does when a time has come: a timer and whom it wakes. An alarm lives inside what waits; it is
 * rung once, by router_poll, at or after its time, and may be set again by the one it wakes.
 */
#pragma once

#include "base/timer.h"

struct router;

struct alarm {
    struct timer timer;
    void (*ring)(struct router *router, struct alarm *alarm);
};

/* Sets or moves it. at_ns: as now_ns. */
void alarm_set(struct router *router, struct alarm *alarm, uint64_t at_ns);
void alarm_cancel(struct router *router, struct alarm *alarm);
/* Rings those that are due. Returns how many. */
unsigned alarm_poll(struct router *router);
