/*
 * A timing wheel: timers that are set and cancelled in constant time, however many there are, at the price of
 * being up to WHEEL_TICK_NS late. Nodes live inside what waits. Not thread-safe: each agent has its own.
 *
 * Four levels of 256 slots; a slot of one level is as long as the whole level below. A node lies in the
 * lowest level whose slots tell its time from now, and moves down when now comes to its slot. So an occupied
 * lower level is always due before all that is above it, and finding the next node takes a look at a bitmap.
 */
#pragma once

#include <stdint.h>

enum { WHEEL_LEVELS = 4, WHEEL_SLOTS = 256, WHEEL_TICK_SHIFT = 13 };
#define WHEEL_TICK_NS (1u << WHEEL_TICK_SHIFT)

struct wheel_node {
    struct wheel_node *next, **link; /* link: what points to this one; NULL: not set */
    uint64_t at;                     /* tick */
};

struct wheel {
    uint64_t now;                 /* tick */
    struct wheel_node *due, *far; /* far: behind the next boundary of the top level */
    uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
    struct wheel_node *slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

/* Zeroed memory is a wheel whose time is 0; this one's is now_ns. */
void wheel_init(struct wheel *wheel, uint64_t now_ns);
/* Sets or moves the node. */
void wheel_set(struct wheel *wheel, struct wheel_node *node, uint64_t at_ns);
/* Does nothing if it isn't set. */
void wheel_cancel(struct wheel *wheel, struct wheel_node *node);
/* Takes off one that is due by now, NULL if none is. now_ns never goes back. */
struct wheel_node *wheel_due(struct wheel *wheel, uint64_t now_ns);
/* When to ask again: not after the next node is due (but perhaps before). UINT64_MAX: none is set. */
uint64_t wheel_next(struct wheel *wheel);
