#include "base/slots.h"

#include <stdlib.h>

#include "base/check.h"

static uint32_t take(struct slots *slots)
{
    if (slots->free) {
        uint32_t i = slots->free - 1;
        slots->free = slots->slot[i].next_free;
        return i;
    }
    if (slots->count == slots->room) {
        slots->room = slots->room ? 2 * slots->room : 16;
        slots->slot = realloc(slots->slot, slots->room * sizeof *slots->slot);
        CHECK(slots->slot);
    }
    slots->slot[slots->count] = (struct slot){.generation = 1};
    return slots->count++;
}

uint64_t slots_add(struct slots *slots, void *thing)
{
    uint32_t i = take(slots);
    slots->slot[i].thing = thing;
    return (uint64_t)slots->slot[i].generation << 32 | i;
}

void slots_remove(struct slots *slots, uint64_t handle)
{
    uint32_t i = (uint32_t)handle;
    CHECK(slots_get(slots, handle));
    slots->slot[i].thing = NULL;
    /* A slot whose generations are used up is never used again. */
    if (++slots->slot[i].generation == 0)
        return;
    slots->slot[i].next_free = slots->free;
    slots->free = i + 1;
}

void slots_free(struct slots *slots)
{
    free(slots->slot);
    *slots = (struct slots){0};
}
