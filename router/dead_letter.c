#include "router/dead_letter.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "router/agent.h"
#include "router/delay.h"
#include "router/deliver.h"
#include "router/large.h"
#include "router/properties.h"
#include "router/repost.h"
#include "router/shape.h"
#include "router/table_out.h"

#ifndef GANNET_TINY
enum { ASKED_AT_ONCE = 256 };
#else
enum { ASKED_AT_ONCE = 4 };
#endif

#define RETRY_NS UINT64_C(1000000000)

void dead_letter_add(struct router *router, struct queue *queue, uint64_t seq, struct entry *entry,
                     enum death_reason reason)
{
    deliver_reset(router, queue);
    if (entry->state == ENTRY_READY) {
        index_deliver(&queue->index, seq, entry);
        router->turn.out++;
    }
    *fifo_add(&queue->shape->dead.line) = (struct dying){.seq = seq, .reason = (uint8_t)reason};
    queue_wake(router, queue);
}

struct copy_target *copy_target_new(uint32_t vhost, struct span queue, uint64_t handle)
{
    struct copy_target *target = calloc(1, sizeof *target);
    CHECK(target);
    target->refs = 1;
    target->vhost = vhost;
    target->handle = handle;
    name_set(&target->queue, queue);
    return target;
}

void copy_target_drop(struct copy_target *target)
{
    if (target && --target->refs == 0)
        free(target);
}

void dead_letter_copy(struct router *router, struct queue *queue, uint64_t seq, struct copy_target *target)
{
    target->refs++;
    *fifo_add(&queue->shape->dead.line) = (struct dying){.seq = seq, .copy = target};
    queue_wake(router, queue);
}

void dead_letters_free(struct dead_letters *d)
{
    for (size_t i = 0; i < d->line.count; i++)
        copy_target_drop(fifo_at(&d->line, i)->copy);
    fifo_free(&d->line);
    fifo_free(&d->stuck);
}

bool dead_letter_due(const struct router *router, const struct queue *queue)
{
    const struct dead_letters *d = &queue->shape->dead;
    return d->sent < d->line.count && d->sent < ASKED_AT_ONCE && !router->store.full && !router->stopping;
}

void dead_letter_retry(struct router *router, struct queue *queue)
{
    struct dead_letters *d = &queue->shape->dead;
    for (struct dying *dying; (dying = fifo_oldest(&d->stuck)); fifo_drop_oldest(&d->stuck)) {
        struct dying again = *dying;
        *fifo_add(&d->line) = again;
    }
    queue_wake(router, queue);
}

/* ---- going --------------------------------------------------------------------------------------- */

/* The keys of the CC header, as a list (command_copies). Returns its end. */
static uint8_t *put_copies(uint8_t *to, struct span headers)
{
    struct field cc, item;
    if (table_find(headers, "CC", &cc) && cc.type == 'A')
        while (array_next(&cc.value, &item))
            if (item.type == 'S')
                to = put_long_str(to, item.value);
    return to;
}

/* A body in several pages, in one piece. malloc'd. */
static uint8_t *join(struct router *router, struct queue *queue, const struct message *m, size_t *len)
{
    const struct large *large = queue->fetching.gathering;
    struct span rest = message_body(m);
    *len = rest.len;
    for (uint32_t i = 0; i < large->parts; i++)
        *len += large->part[i].length;
    uint8_t *body = malloc(*len + 1), *to = body;
    CHECK(body);
    for (uint32_t i = 0; i < large->parts; i++) {
        uint64_t at = large->part[i].position;
        const struct message *part = store_bytes(&router->store, store_page(&router->store, at), at);
        to = put_span(to, message_body(part));
    }
    put_span(to, rest);
    return body;
}

/* With the copies that its CC header asks for, whose list has room behind the properties. */
static struct reposted send_off(struct router *router, struct queue *queue, struct repost *r, uint64_t number)
{
    struct properties p;
    uint8_t *copies = (uint8_t *)(uintptr_t)r->properties.at + r->properties.len;
    if (properties_read(r->properties, &p))
        r->copies = span_of(copies, (size_t)(put_copies(copies, p.headers) - copies));
    return repost(router, r, (struct ticket){queue->handle, number});
}

static bool is_tried_again(const struct queue *queue)
{
    return queue->shape->settings.value[SETTING_DEAD_STRATEGY] == STRATEGY_AT_LEAST_ONCE;
}

/* The message stays, and goes to that queue as it is. */
static void copy_leaves(const struct queue *queue, const struct message *m, const struct copy_target *target,
                        struct repost *r)
{
    r->vhost = target->vhost;
    r->only = name_span(&target->queue);
    r->only_handle = target->handle;
    r->exchange = message_exchange(m);
    r->key = message_key(m);
    r->properties = message_properties(m);
    r->arrived_ms = message_arrival(m);
    r->protocol = m->protocol | (queue->stream ? ORIGIN_STORED : 0); /* retain.h */
}

/* Publishes it. marks: where to write the properties, behind them the copies. */
static struct reposted send(struct router *router, struct queue *queue, const struct message *m,
                            struct span body, uint8_t *marks, const struct dying *dying, uint64_t number)
{
    const struct settings *s = &queue->shape->settings;
    bool rekeyed = settings_has(s, SETTING_DEAD_KEY);
    struct repost r = {
        .properties = {marks, 0},
        .body = body,
        .protocol = m->protocol & (uint8_t)~ORIGIN_RETAIN,
        .persistent = m->flags & MESSAGE_PERSISTENT,
    };
    if (dying->copy) {
        copy_leaves(queue, m, dying->copy, &r);
        return repost(router, &r, (struct ticket){queue->handle, number});
    }
    if (queue->shape->delay) {
        delay_leave(router, queue, m, marks, &r);
        return send_off(router, queue, &r, number);
    }
    struct death death = {
        .queue = name_span(&queue->name),
        .reason = dying->reason,
        .time_s = router_wall_ms(router) / 1000,
        .exchange = message_exchange(m),
        .key = message_key(m),
        .rekeyed = rekeyed,
    };
    size_t len = death_mark(marks, message_properties(m), &death);
    if (!settings_has(s, SETTING_DEAD_EXCHANGE))
        return (struct reposted){.routed = true}; /* a policy has been changed meanwhile */
    if (len > PROPERTIES_MAX) {
        log_line(LOG_WARNING, "router",
                 "a dead letter of queue '%.*s' is dropped: its headers leave no room for x-death",
                 queue->name.len, queue->name.bytes);
        return (struct reposted){.routed = true};
    }
    r.vhost = queue->vhost;
    r.exchange = s->text[SETTING_DEAD_EXCHANGE];
    r.key = rekeyed ? s->text[SETTING_DEAD_KEY] : message_key(m);
    r.properties.len = len;
    r.dead = true;
    r.whole = is_tried_again(queue);
    return rekeyed ? repost(router, &r, (struct ticket){queue->handle, number})
                   : send_off(router, queue, &r, number);
}

static struct reposted publish(struct router *router, struct queue *queue, const struct head *head,
                               const struct dying *dying, uint64_t number)
{
    const struct message *m = head->message;
    struct span properties = message_properties(m), body = message_body(m);
    uint8_t *marks = malloc(2 * death_room(properties)), *joined = NULL;
    CHECK(marks);
    store_pin(head->page); /* publishing may close pages */
    if (head->entry->large) {
        size_t len;
        joined = join(router, queue, m, &len);
        body = span_of(joined, len);
    }
    struct reposted result = send(router, queue, m, body, marks, dying, number);
    store_unpin(&router->store, head->page->at, 1);
    deliver_reset(router, queue);
    free(joined);
    free(marks);
    return result;
}

/* ---- gone ---------------------------------------------------------------------------------------- */

/* All have answered for the row at this place of the line. */
static void settle(struct router *router, struct queue *queue, size_t place)
{
    struct shape *shape = queue->shape;
    struct dead_letters *d = &shape->dead;
    struct dying *row = fifo_at(&d->line, place), dying = *row;
    bool must = is_tried_again(queue);
    struct entry *entry = index_at(&queue->index, dying.seq);
    row->done = true;
    if (dying.copy)
        return;
    if (entry && (dying.routed || !must)) {
        queue_kill(router, queue, dying.seq, entry);
    } else if (entry) { /* to be tried again later; meanwhile others pass it by */
        *fifo_add(&d->stuck) = (struct dying){.seq = dying.seq, .reason = dying.reason};
        if (!shape->retry.timer.place)
            alarm_set(router, &shape->retry, router->now_ns + RETRY_NS);
    }
}

static void trim(struct dead_letters *d)
{
    for (struct dying *dying; (dying = fifo_oldest(&d->line)) && dying->done; d->first++, d->sent--) {
        copy_target_drop(dying->copy);
        fifo_drop_oldest(&d->line);
    }
}

/* Publishes the next in line. */
static void go(struct router *router, struct queue *queue, const struct head *head)
{
    struct dead_letters *d = &queue->shape->dead;
    size_t place = d->sent++;
    struct dying dying = *fifo_at(&d->line, place);
    struct reposted result = publish(router, queue, head, &dying, d->first + place);
    struct dying *row = fifo_at(&d->line, place);
    row->waits = (uint8_t)result.asked;
    row->routed = result.routed;
    if (!row->waits)
        settle(router, queue, place);
}

bool dead_letter_run(struct router *router, struct queue *queue, unsigned most)
{
    struct dead_letters *d = &queue->shape->dead;
    /* A letter that comes to this very queue may be delivered at once, and have it wait for a page. */
    for (; most && !queue->waiting && dead_letter_due(router, queue); most--) {
        struct head head = {.seq = fifo_at(&d->line, d->sent)->seq};
        head.entry = index_at(&queue->index, head.seq);
        enum fetch found = head.entry ? deliver_fetch(router, queue, &head) : FETCH_DAMAGED;
        if (found == FETCH_WAIT)
            queue->waiting = true;
        if (found == FETCH_WAIT || found == FETCH_BUSY)
            return false;
        if (found == FETCH_THERE) {
            go(router, queue, &head);
        } else { /* gone with a purge, or it can't be read: then it stays as it is */
            if (head.entry)
                deliver_damaged(router, queue, &head);
            fifo_at(&d->line, d->sent++)->done = true;
        }
        trim(d);
    }
    return true;
}

void dead_letter_answered(struct router *router, uint64_t handle, uint64_t number, bool routed)
{
    struct queue *queue = slots_get(&router->queues, handle);
    struct dead_letters *d = queue && queue->shape ? &queue->shape->dead : NULL;
    if (!d || number < d->first || number - d->first >= d->line.count || checkpoint_is_closed(router))
        return;
    struct dying *row = fifo_at(&d->line, number - d->first);
    row->routed |= routed;
    if (--row->waits)
        return;
    settle(router, queue, number - d->first);
    trim(d);
    queue_wake(router, queue);
}
