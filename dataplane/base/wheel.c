#include "base/wheel.h"

#include <stddef.h>
#include <string.h>

static const uint64_t span_ticks = UINT64_C(1) << 8 * WHEEL_LEVELS;

static unsigned slot_of(uint64_t tick, unsigned level)
{
    return tick >> 8 * level & (WHEEL_SLOTS - 1);
}

static void push(struct wheel_node **list, struct wheel_node *node)
{
    node->next = *list;
    node->link = list;
    if (node->next)
        node->next->link = &node->next;
    *list = node;
}

/* The level is that of the highest byte in which the time differs from now. */
static void place(struct wheel *wheel, struct wheel_node *node)
{
    uint64_t differs = node->at ^ wheel->now;
    if (node->at <= wheel->now) {
        push(&wheel->due, node);
        return;
    }
    unsigned level = (63u - (unsigned)__builtin_clzll(differs)) / 8;
    if (level >= WHEEL_LEVELS) {
        push(&wheel->far, node);
        return;
    }
    unsigned slot = slot_of(node->at, level);
    push(&wheel->slot[level][slot], node);
    wheel->occupied[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

void wheel_init(struct wheel *wheel, uint64_t now_ns)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->now = now_ns >> WHEEL_TICK_SHIFT;
}

void wheel_set(struct wheel *wheel, struct wheel_node *node, uint64_t at_ns)
{
    wheel_cancel(wheel, node);
    node->at = (at_ns >> WHEEL_TICK_SHIFT) + ((at_ns & (WHEEL_TICK_NS - 1)) != 0);
    place(wheel, node);
}

void wheel_cancel(struct wheel *wheel, struct wheel_node *node)
{
    if (!node->link)
        return;
    *node->link = node->next;
    if (node->next)
        node->next->link = node->link;
    /* The last of a slot: its bit goes too. */
    if (!node->next && node->link >= &wheel->slot[0][0] &&
        node->link < &wheel->slot[0][0] + WHEEL_LEVELS * WHEEL_SLOTS) {
        size_t i = (size_t)(node->link - &wheel->slot[0][0]);
        wheel->occupied[i / WHEEL_SLOTS][i % WHEEL_SLOTS / 64] &= ~(UINT64_C(1) << i % 64);
    }
    node->link = NULL;
}

/* The first occupied slot of the lowest occupied level, or what is too far for all. Returns the list; NULL:
 * there is none. tick: when it begins. */
static struct wheel_node **first(struct wheel *wheel, uint64_t *tick)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned word = 0; word < WHEEL_SLOTS / 64; word++) {
            uint64_t bits = wheel->occupied[level][word];
            if (!bits)
                continue;
            unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits);
            uint64_t above = ~(uint64_t)0 << 8 * (level + 1);
            *tick = (wheel->now & above) | (uint64_t)slot << 8 * level;
            return &wheel->slot[level][slot];
        }
    *tick = (wheel->now | (span_ticks - 1)) + 1;
    return wheel->far ? &wheel->far : NULL;
}

/* Its nodes find their places anew, seen from the time it begins. */
static void cascade(struct wheel *wheel, struct wheel_node **slot, uint64_t tick)
{
    struct wheel_node *list = *slot;
    *slot = NULL;
    if (slot != &wheel->far) {
        size_t i = (size_t)(slot - &wheel->slot[0][0]);
        wheel->occupied[i / WHEEL_SLOTS][i % WHEEL_SLOTS / 64] &= ~(UINT64_C(1) << i % 64);
    }
    wheel->now = tick;
    for (struct wheel_node *node = list, *next; node; node = next) {
        next = node->next;
        place(wheel, node);
    }
}

struct wheel_node *wheel_due(struct wheel *wheel, uint64_t now_ns)
{
    uint64_t now = now_ns >> WHEEL_TICK_SHIFT, tick;
    struct wheel_node **slot;
    while (!wheel->due && (slot = first(wheel, &tick)) && tick <= now)
        cascade(wheel, slot, tick);
    struct wheel_node *node = wheel->due;
    if (node)
        wheel_cancel(wheel, node);
    else if (now > wheel->now)
        wheel->now = now;
    return node;
}

uint64_t wheel_next(struct wheel *wheel)
{
    uint64_t tick;
    if (wheel->due)
        return wheel->now << WHEEL_TICK_SHIFT;
    return first(wheel, &tick) ? tick << WHEEL_TICK_SHIFT : UINT64_MAX;
}
