/* Handles: names of live things that are never reused. A handle is a slot (low 32 bits) and the slot's
 * generation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct slots {
    struct slot {
        void *thing; /* NULL: free */
        uint32_t generation;
        uint32_t next_free; /* index + 1 */
    } * slot;
    uint32_t count, room, free; /* free: index + 1 of the first free slot, 0 for none */
};

/* Never 0. */
uint64_t slots_add(struct slots *slots, void *thing);
void slots_remove(struct slots *slots, uint64_t handle);
void slots_free(struct slots *slots);

/* NULL: what the handle named is gone. Any value may be asked for. */
static inline void *slots_get(const struct slots *slots, uint64_t handle)
{
    uint32_t i = (uint32_t)handle;
    if (i >= slots->count || slots->slot[i].generation != handle >> 32)
        return NULL;
    return slots->slot[i].thing;
}

/* A walk in steps, between which things come and go: a thing keeps its slot, so that each that is there all
 * the time is seen once. Returns the first thing in slot *at or behind it, and sets *at behind that; NULL:
 * there is none (then *at is slots->count), or *steps, which counts slots looked at down, is 0. */
static inline void *slots_walk(const struct slots *slots, uint64_t *at, unsigned *steps)
{
    while (*at < slots->count && *steps) {
        --*steps;
        void *thing = slots->slot[(*at)++].thing;
        if (thing)
            return thing;
    }
    return NULL;
}
