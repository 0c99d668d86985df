#include "router/gaps.h"

#include <stdlib.h>

#include "base/check.h"

struct gap_range {
    struct map_node by_end;
    struct gap gap;
};

void gaps_init(struct gaps *gaps)
{
    map_init(&gaps->by_end);
}

static bool ends_at(const struct map_node *node, const void *to)
{
    return container_of(node, struct gap_range, by_end)->gap.to == *(const uint64_t *)to;
}

/* The range that ends with this number. */
static struct gap_range *find(const struct gaps *gaps, uint64_t to)
{
    struct map_node *node = map_find(&gaps->by_end, hash_id(to), ends_at, &to);
    return node ? container_of(node, struct gap_range, by_end) : NULL;
}

static void drop(struct gaps *gaps, struct gap_range *range)
{
    map_remove(&gaps->by_end, &range->by_end);
    free(range);
}

static void free_range(struct map_node *node, void *owner)
{
    drop(owner, container_of(node, struct gap_range, by_end));
}

void gaps_free(struct gaps *gaps)
{
    map_each(&gaps->by_end, free_range, gaps);
    map_free(&gaps->by_end);
}

struct interval {
    struct gaps *gaps;
    uint64_t from, to;
};

static void drop_if_inside(struct map_node *node, void *owner)
{
    const struct interval *i = owner;
    struct gap_range *range = container_of(node, struct gap_range, by_end);
    if (range->gap.to >= i->from && range->gap.to <= i->to)
        drop(i->gaps, range);
}

/* A replay may find what a checkpoint repeats. A range may be long, and there may be many. */
static void drop_inside(struct gaps *gaps, uint64_t from, uint64_t to)
{
    struct gap_range *range;
    if (to - from > gaps->by_end.count) {
        map_each(&gaps->by_end, drop_if_inside, &(struct interval){gaps, from, to});
        return;
    }
    for (uint64_t at = to; at >= from; at--)
        if ((range = find(gaps, at)))
            drop(gaps, range);
}

void gaps_add(struct gaps *gaps, uint64_t from, uint64_t to, enum gap_reason reason)
{
    drop_inside(gaps, from, to);
    struct gap_range *range = calloc(1, sizeof *range);
    CHECK(range);
    range->gap = (struct gap){.from = from, .to = to, .reason = reason};
    map_add(&gaps->by_end, &range->by_end, hash_id(to));
}

void gaps_join(struct gaps *gaps, uint64_t seq)
{
    struct gap_range *range = find(gaps, seq), *before = range ? find(gaps, range->gap.from - 1) : NULL;
    if (!before || before->gap.reason != range->gap.reason)
        return;
    range->gap.from = before->gap.from;
    drop(gaps, before);
}

uint32_t gaps_before(const struct gaps *gaps, uint64_t seq, struct gap gap[GAPS_MAX])
{
    uint32_t n = 0;
    for (struct gap_range *range; seq > 1 && (range = find(gaps, seq - 1)); seq = range->gap.from) {
        if (n && gap[n - 1].reason == range->gap.reason) {
            gap[n - 1].from = range->gap.from;
        } else if (n < GAPS_MAX) {
            gap[n++] = range->gap;
        } else {
            gap[n - 1].from = range->gap.from;
            gap[n - 1].reason = GAP_SEVERAL;
        }
    }
    return n;
}

bool gaps_end_at(const struct gaps *gaps, uint64_t seq)
{
    return find(gaps, seq);
}

void gaps_drop_before(struct gaps *gaps, uint64_t seq)
{
    for (struct gap_range *range; seq > 1 && (range = find(gaps, seq - 1));) {
        seq = range->gap.from;
        drop(gaps, range);
    }
}

struct visit {
    void (*visit)(const struct gap *gap, void *owner);
    void *owner;
};

static void visit_range(struct map_node *node, void *owner)
{
    const struct visit *v = owner;
    v->visit(&container_of(node, struct gap_range, by_end)->gap, v->owner);
}

void gaps_each(struct gaps *gaps, void (*visit)(const struct gap *gap, void *owner), void *owner)
{
    struct visit v = {visit, owner};
    map_each(&gaps->by_end, visit_range, &v);
}
