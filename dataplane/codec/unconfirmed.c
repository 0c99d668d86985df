#include "codec/unconfirmed.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define FIRST_ROOM 64u

static struct pending *entry(const struct unconfirmed *c, uint64_t seq)
{
    return &c->ring[(c->head + (uint32_t)(seq - c->first)) & (c->room - 1)];
}

void unconfirmed_init(struct unconfirmed *c, uint64_t first_seq)
{
    *c = (struct unconfirmed){.first = first_seq, .next = first_seq, .told_from = UINT64_MAX};
}

void unconfirmed_free(struct unconfirmed *c, unconfirmed_decided *decided, void *owner)
{
    for (uint32_t i = 0; i < c->kept_count; i++)
        decided(owner, &c->kept[i], true);
    free(c->kept);
    free(c->ring);
    c->kept = NULL;
    c->ring = NULL;
    c->kept_count = c->kept_room = c->room = 0;
    c->unanswered = 0;
    c->first = c->next;
}

/* ---- published ------------------------------------------------------------------------------------- */

static void grow(struct unconfirmed *c)
{
    uint32_t room = c->room ? 2 * c->room : FIRST_ROOM;
    struct pending *ring = malloc(room * sizeof *ring);
    CHECK(ring);
    uint32_t count = (uint32_t)(c->next - c->first);
    for (uint32_t i = 0; i < count; i++)
        ring[i] = c->ring[(c->head + i) & (c->room - 1)];
    free(c->ring);
    c->ring = ring;
    c->room = room;
    c->head = 0;
}

static void push(struct unconfirmed *c, struct pending pending)
{
    if (c->next - c->first == c->room)
        grow(c);
    c->next++;
    *entry(c, c->next - 1) = pending;
}

void unconfirmed_add(struct unconfirmed *c, unsigned routers, bool wanted)
{
    uint8_t flags = (wanted ? PENDING_WANTED : 0) | (routers > 1 ? PENDING_SHARED : 0);
    push(c, (struct pending){(uint8_t)routers, flags});
    c->unanswered++;
}

void unconfirmed_skip(struct unconfirmed *c)
{
    if (c->first == c->next)
        c->first = ++c->next;
    else
        push(c, (struct pending){0, 0});
}

/* ---- answered -------------------------------------------------------------------------------------- */

static void decide(struct unconfirmed *c, uint64_t seq, bool routed, unconfirmed_decided *decided,
                   void *owner)
{
    for (uint32_t i = 0; i < c->kept_count; i++) {
        if (c->kept[i].seq != seq)
            continue;
        struct kept_return kept = c->kept[i];
        c->kept[i] = c->kept[--c->kept_count];
        decided(owner, &kept, routed);
        return;
    }
}

static void complete(struct unconfirmed *c, uint64_t seq)
{
    c->unanswered--;
    if (seq < c->told_from)
        c->told_from = seq;
    if (seq > c->told_to)
        c->told_to = seq;
}

static void refuse(struct unconfirmed *c, struct pending *p, uint64_t seq)
{
    p->flags |= PENDING_REFUSED;
    c->refused |= seq >= c->refused_from;
}

static void answer_one(struct unconfirmed *c, uint64_t seq, uint8_t flags, unconfirmed_decided *decided,
                       void *owner)
{
    struct pending *p = entry(c, seq);
    if (!p->waiting)
        return;
    if (flags & CONFIRM_REFUSED)
        refuse(c, p, seq);
    if (!(flags & CONFIRM_UNROUTED))
        p->flags |= PENDING_ROUTED;
    if (flags & CONFIRM_ELSEWHERE)
        p->flags |= PENDING_ELSEWHERE;
    if (--p->waiting)
        return;
    if ((p->flags & (PENDING_ROUTED | PENDING_ELSEWHERE)) == PENDING_ELSEWHERE)
        refuse(c, p, seq);
    complete(c, seq);
    if (p->flags & PENDING_KEPT)
        decide(c, seq, p->flags & PENDING_ROUTED, decided, owner);
}

/* Leaves behind what nobody is to be told of, so that it isn't remembered until the next take. */
static void trim(struct unconfirmed *c)
{
    while (c->first < c->next) {
        struct pending *p = entry(c, c->first);
        if (p->waiting || (p->flags & (PENDING_WANTED | PENDING_TOLD)) == PENDING_WANTED)
            return;
        c->first++;
        c->head = (c->head + 1) & (c->room - 1);
    }
}

void unconfirmed_answer(struct unconfirmed *c, uint64_t seq, uint32_t count, uint8_t flags,
                        unconfirmed_decided *decided, void *owner)
{
    uint64_t end = seq + count;
    if (seq < c->first)
        seq = c->first;
    if (end > c->next)
        end = c->next;
    for (; seq < end; seq++)
        answer_one(c, seq, flags, decided, owner);
    trim(c);
}

bool unconfirmed_keep(struct unconfirmed *c, unsigned router, const struct event_deliver *event)
{
    uint64_t seq = event->tag;
    if (seq < c->first || seq >= c->next || !(entry(c, seq)->flags & PENDING_SHARED))
        return false;
    if (c->kept_count == c->kept_room) {
        uint32_t room = c->kept_room ? 2 * c->kept_room : 8;
        struct kept_return *kept = realloc(c->kept, room * sizeof *kept);
        CHECK(kept);
        c->kept = kept;
        c->kept_room = room;
    }
    entry(c, seq)->flags |= PENDING_KEPT;
    c->kept[c->kept_count++] = (struct kept_return){seq, router, *event};
    return true;
}

/* ---- told ------------------------------------------------------------------------------------------ */

static bool to_tell(const struct pending *p)
{
    return !p->waiting && (p->flags & (PENDING_WANTED | PENDING_TOLD)) == PENDING_WANTED;
}

/* All from the first on that are answered alike: one acknowledgement. */
static bool take_run(struct unconfirmed *c, struct confirmed *confirmed)
{
    uint32_t told = 0;
    for (; c->first < c->next; c->first++, c->head = (c->head + 1) & (c->room - 1)) {
        struct pending *p = entry(c, c->first);
        if (p->waiting)
            break;
        if (!to_tell(p))
            continue;
        bool refused = p->flags & PENDING_REFUSED;
        if (told && refused != confirmed->refused)
            break;
        *confirmed = (struct confirmed){c->first, told++ > 0, refused};
    }
    return told > 0;
}

/* One that is answered while one before it isn't. */
static bool take_single(struct unconfirmed *c, struct confirmed *confirmed)
{
    if (c->told_from < c->first)
        c->told_from = c->first;
    for (; c->told_from <= c->told_to && c->told_from < c->next; c->told_from++) {
        struct pending *p = entry(c, c->told_from);
        if (!to_tell(p))
            continue;
        p->flags |= PENDING_TOLD;
        *confirmed = (struct confirmed){c->told_from++, false, p->flags & PENDING_REFUSED};
        return true;
    }
    c->told_from = UINT64_MAX;
    c->told_to = 0;
    return false;
}

bool unconfirmed_take(struct unconfirmed *c, struct confirmed *confirmed)
{
    return take_run(c, confirmed) || take_single(c, confirmed);
}
