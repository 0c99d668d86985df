#include "base/timer.h"

#include <stdlib.h>

#include "base/check.h"

static void put(struct timers *timers, size_t i, struct timer *timer)
{
    timers->heap[i] = timer;
    timer->place = i + 1;
}

static void up(struct timers *timers, size_t i, struct timer *timer)
{
    for (; i && timers->heap[(i - 1) / 2]->at > timer->at; i = (i - 1) / 2)
        put(timers, i, timers->heap[(i - 1) / 2]);
    put(timers, i, timer);
}

static void down(struct timers *timers, size_t i, struct timer *timer)
{
    for (size_t child; (child = 2 * i + 1) < timers->count; i = child) {
        if (child + 1 < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timers->heap[child]->at >= timer->at)
            break;
        put(timers, i, timers->heap[child]);
    }
    put(timers, i, timer);
}

void timers_free(struct timers *timers)
{
    free(timers->heap);
}

void timer_set(struct timers *timers, struct timer *timer, uint64_t at_ns)
{
    timer_cancel(timers, timer);
    if (timers->count == timers->room) {
        timers->room = timers->room ? 2 * timers->room : 64;
        timers->heap = realloc(timers->heap, timers->room * sizeof *timers->heap);
        CHECK(timers->heap);
    }
    timer->at = at_ns;
    up(timers, timers->count++, timer);
}

void timer_cancel(struct timers *timers, struct timer *timer)
{
    if (!timer->place)
        return;
    size_t i = timer->place - 1;
    struct timer *last = timers->heap[--timers->count];
    timer->place = 0;
    if (last == timer)
        return;
    if (i && timers->heap[(i - 1) / 2]->at > last->at)
        up(timers, i, last);
    else
        down(timers, i, last);
}

struct timer *timer_due(struct timers *timers, uint64_t now_ns)
{
    if (!timers->count || timers->heap[0]->at > now_ns)
        return NULL;
    struct timer *timer = timers->heap[0];
    timer_cancel(timers, timer);
    return timer;
}

uint64_t timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->at : UINT64_MAX;
}
