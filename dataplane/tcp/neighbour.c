#include "tcp/neighbour.h"

#include <string.h>

#include "base/check.h"

static uint64_t hash_of(const struct neighbours *all, const struct ip_address *address)
{
    return hash_keyed(span_of(address->bytes, sizeof address->bytes), all->secret);
}

static bool is_address(const struct map_node *node, const void *key)
{
    const struct neighbour *neighbour = container_of(node, const struct neighbour, node);
    return memcmp(&neighbour->address, key, sizeof neighbour->address) == 0;
}

void neighbours_init(struct neighbours *all, uint64_t secret)
{
    memset(all, 0, sizeof *all);
    all->secret = secret;
    map_init(&all->map);
    for (uint32_t i = NEIGHBOURS_MAX; i-- > 0; all->free = i + 1) {
        all->entry[i].generation = 1;
        all->entry[i].next_free = all->free;
    }
    for (uint32_t i = NEIGHBOUR_FRAMES; i-- > 0;)
        neighbour_frame_free(all, &all->frame[i]);
}

void neighbours_free(struct neighbours *all)
{
    map_free(&all->map);
    timers_free(&all->timers);
}

void neighbour_frame_free(struct neighbours *all, struct neighbour_frame *frame)
{
    frame->next = all->free_frames;
    all->free_frames = frame;
}

struct neighbour_frame *neighbour_take(struct neighbour *neighbour)
{
    struct neighbour_frame *frame = neighbour->first;
    if (frame) {
        neighbour->first = frame->next;
        neighbour->waiting--;
    }
    return frame;
}

static void forget(struct neighbours *all, struct neighbour *neighbour)
{
    for (struct neighbour_frame *frame; (frame = neighbour_take(neighbour)); all->frames_dropped++)
        neighbour_frame_free(all, frame);
    map_remove(&all->map, &neighbour->node);
    timer_cancel(&all->timers, &neighbour->timer);
    neighbour->state = NEIGHBOUR_FREE;
    /* 0 is what a path has that never had a neighbour. */
    if (++neighbour->generation == 0)
        neighbour->generation = 1;
    neighbour->next_free = all->free;
    all->free = (uint32_t)(neighbour - all->entry) + 1;
    all->count--;
}

struct neighbour *neighbour_find(struct neighbours *all, const struct ip_address *address)
{
    struct map_node *node = map_find(&all->map, hash_of(all, address), is_address, address);
    return node ? container_of(node, struct neighbour, node) : NULL;
}

static bool in_use(const struct neighbour *neighbour, uint64_t now_ns)
{
    return neighbour->state >= NEIGHBOUR_STALE && neighbour->used_ns &&
           now_ns < neighbour->used_ns + NEIGHBOUR_IN_USE_NS;
}

/* Whether a should go rather than b. */
static bool is_worth_less(const struct neighbour *a, const struct neighbour *b, uint64_t now_ns)
{
    bool used = in_use(a, now_ns);
    return used != in_use(b, now_ns) ? !used : a->used_ns < b->used_ns;
}

/*
 * Makes room: of a few entries, begun where the last search ended, the one used longest ago goes. A flood
 * must not cost a look at the whole table for each frame; only traffic of ours looks on until it has found
 * one that isn't in use, and takes one that is when there is no other.
 */
static bool evict(struct neighbours *all, bool ours, uint64_t now_ns)
{
    struct neighbour *least = NULL;
    for (uint32_t i = 0; i < NEIGHBOURS_MAX; i++) {
        bool found = least && !in_use(least, now_ns);
        if (i >= NEIGHBOURS_LOOKED_AT && (found || !ours))
            break;
        struct neighbour *next = &all->entry[all->hand++ % NEIGHBOURS_MAX];
        if (!least || is_worth_less(next, least, now_ns))
            least = next;
    }
    if (!ours && in_use(least, now_ns))
        return false;
    forget(all, least);
    all->evicted++;
    return true;
}

struct neighbour *neighbour_make(struct neighbours *all, const struct ip_address *address, bool ours,
                                 uint64_t now_ns)
{
    if (!all->free && !evict(all, ours, now_ns)) {
        all->refused++;
        return NULL;
    }
    struct neighbour *neighbour = &all->entry[all->free - 1];
    all->free = neighbour->next_free;
    neighbour->state = NEIGHBOUR_ASKED;
    neighbour->asked = 0;
    neighbour->used_ns = 0;
    neighbour->address = *address;
    neighbour->first = neighbour->last = NULL;
    neighbour->waiting = 0;
    map_add(&all->map, &neighbour->node, hash_of(all, address));
    all->count++;
    return neighbour;
}

static void ask(struct neighbours *all, struct neighbour *neighbour, uint64_t now_ns)
{
    neighbour->asked++;
    timer_set(&all->timers, &neighbour->timer, now_ns + NEIGHBOUR_ASK_NS);
}

bool neighbour_use(struct neighbours *all, struct neighbour *neighbour, uint64_t now_ns)
{
    neighbour->used_ns = now_ns + !now_ns;
    if (neighbour->state == NEIGHBOUR_STALE)
        neighbour->state = NEIGHBOUR_PROBED;
    else if (neighbour->state != NEIGHBOUR_ASKED || neighbour->asked)
        return false;
    ask(all, neighbour, now_ns);
    return true;
}

void neighbour_doubt(struct neighbours *all, struct neighbour *neighbour, uint64_t now_ns)
{
    neighbour->state = NEIGHBOUR_STALE;
    neighbour->asked = 0;
    timer_set(&all->timers, &neighbour->timer, now_ns + NEIGHBOUR_STALE_NS);
}

void neighbour_heard(struct neighbours *all, struct neighbour *neighbour, const uint8_t *mac, bool confirmed,
                     uint64_t now_ns)
{
    bool changed = neighbour->state == NEIGHBOUR_ASKED || memcmp(neighbour->mac, mac, 6) != 0;
    memmove(neighbour->mac, mac, 6); /* it may be the very same */
    if (confirmed) {
        neighbour->state = NEIGHBOUR_REACHABLE;
        neighbour->asked = 0;
        neighbour->confirmed_ns = now_ns;
        timer_set(&all->timers, &neighbour->timer, now_ns + NEIGHBOUR_REACHABLE_NS);
    } else if (changed) {
        neighbour_doubt(all, neighbour, now_ns);
    }
}

/* Returns whether it is to be asked; it may be gone otherwise. */
static bool is_due(struct neighbours *all, struct neighbour *neighbour, uint64_t now_ns)
{
    if (neighbour->state == NEIGHBOUR_REACHABLE) {
        neighbour_doubt(all, neighbour, now_ns);
        if (neighbour->used_ns <= neighbour->confirmed_ns)
            return false;
        neighbour->state = NEIGHBOUR_PROBED;
    } else if (neighbour->state == NEIGHBOUR_STALE || neighbour->asked >= NEIGHBOUR_ASKS) {
        forget(all, neighbour);
        return false;
    }
    ask(all, neighbour, now_ns);
    return true;
}

struct neighbour *neighbours_due(struct neighbours *all, uint64_t now_ns)
{
    for (int i = 0; i < NEIGHBOURS_DUE_AT_ONCE; i++) {
        struct timer *timer = timer_due(&all->timers, now_ns);
        if (!timer)
            return NULL;
        struct neighbour *neighbour = container_of(timer, struct neighbour, timer);
        if (is_due(all, neighbour, now_ns))
            return neighbour;
    }
    return NULL;
}

bool neighbour_wait(struct neighbours *all, struct neighbour *neighbour, const struct tx_frame *frame)
{
    struct neighbour_frame *copy = all->free_frames;
    if (!copy || neighbour->waiting >= NEIGHBOUR_WAITING || (frame->flags & TX_TSO) ||
        frame->head_len + (size_t)frame->payload > sizeof copy->bytes)
        return false;
    all->free_frames = copy->next;
    uint8_t *end = put_span(copy->bytes, span_of(frame->head, frame->head_len));
    for (unsigned i = 0; i < frame->pieces; i++)
        end = put_span(end, span_of(frame->piece[i].iov_base, frame->piece[i].iov_len));
    copy->len = (uint16_t)(end - copy->bytes);
    copy->l3_at = frame->l3_at;
    copy->l4_at = frame->l4_at;
    copy->flags = frame->flags;
    copy->next = NULL;
    *(neighbour->first ? &neighbour->last->next : &neighbour->first) = copy;
    neighbour->last = copy;
    neighbour->waiting++;
    return true;
}
