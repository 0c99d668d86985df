#include "router/lanes.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/index.h"

struct lanes *lanes_new(uint8_t highest)
{
    struct lanes *lanes = calloc(1, sizeof *lanes);
    CHECK(lanes);
    lanes->highest = highest;
    lanes->lane = calloc((size_t)highest + 1, sizeof *lanes->lane);
    CHECK(lanes->lane);
    return lanes;
}

void lanes_free(struct lanes *lanes)
{
    if (!lanes)
        return;
    for (unsigned i = 0; i <= lanes->highest; i++) {
        fifo_free(&lanes->lane[i].fresh);
        seq_heap_free(&lanes->lane[i].back);
    }
    free(lanes->lane);
    free(lanes);
}

void lanes_add(struct lanes *lanes, uint8_t priority, uint64_t seq, bool fresh)
{
    unsigned i = priority < lanes->highest ? priority : lanes->highest;
    if (fresh)
        *fifo_add(&lanes->lane[i].fresh) = seq;
    else
        seq_heap_push(&lanes->lane[i].back, seq);
    lanes->used[i / 64] |= UINT64_C(1) << i % 64;
}

/* The highest lane that isn't empty; -1 if all are. */
static int top(const struct lanes *lanes)
{
    for (int w = LANES / 64 - 1; w >= 0; w--)
        if (lanes->used[w])
            return w * 64 + 63 - __builtin_clzll(lanes->used[w]);
    return -1;
}

static bool is_ready(const struct index *index, uint64_t seq)
{
    const struct entry *entry = index_at(index, seq);
    return entry && entry->state == ENTRY_READY;
}

/* Takes off what isn't READY any more. False: nothing is left. */
static bool clean(struct lane *lane, const struct index *index)
{
    while (lane->fresh.count && !is_ready(index, *fifo_oldest(&lane->fresh)))
        fifo_drop_oldest(&lane->fresh);
    while (lane->back.count && !is_ready(index, lane->back.seq[0]))
        seq_heap_pop(&lane->back);
    return lane->fresh.count || lane->back.count;
}

bool lanes_head(struct lanes *lanes, const struct index *index, uint64_t *seq)
{
    for (int i; (i = top(lanes)) >= 0; lanes->used[i / 64] &= ~(UINT64_C(1) << i % 64)) {
        struct lane *lane = &lanes->lane[i];
        if (!clean(lane, index))
            continue;
        uint64_t fresh = lane->fresh.count ? *fifo_oldest(&lane->fresh) : UINT64_MAX;
        uint64_t back = lane->back.count ? lane->back.seq[0] : UINT64_MAX;
        *seq = fresh < back ? fresh : back;
        return true;
    }
    return false;
}

void lanes_drop(struct lanes *lanes, uint64_t seq)
{
    int i = top(lanes);
    struct lane *lane = i >= 0 ? &lanes->lane[i] : NULL;
    if (lane && lane->fresh.count && *fifo_oldest(&lane->fresh) == seq)
        fifo_drop_oldest(&lane->fresh);
    else if (lane && lane->back.count && lane->back.seq[0] == seq)
        seq_heap_pop(&lane->back);
}
