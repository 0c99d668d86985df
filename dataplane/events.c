/*
 * Routers' events: each goes to its connection's codec. If the connection is gone, the front answers itself:
 * a delivery is given back, and what an op has just made for the connection is taken away again.
 */
#include <stdlib.h>

#include "base/check.h"
#include "front_inside.h"

enum { EVENTS_AT_ONCE = 64 };

static void free_parts(struct front *front, unsigned router, struct parts *parts)
{
    for (uint32_t i = 0; parts && i < parts->n; i++)
        front_done(front, router, parts->part[i].page);
    free(parts);
}

static void give_back(struct front *front, unsigned router, const struct event_deliver *d)
{
    if (d->kind == EVENT_DELIVER)
        front_command(front, router)->settle = (struct command_settle){
            .kind = COMMAND_SETTLE, .how = SETTLE_UNSEEN, .count = 1, .queue = d->queue, .seq = d->seq};
    front_done(front, router, d->page);
    free_parts(front, router, d->parts);
}

/* The op came back for a connection that is gone. */
static void undo_op(struct front *front, unsigned router, struct op *op)
{
    if (op->kind == OP_LIST || op->kind == OP_POLICY_SET || op->kind == OP_POLICY_CLEAR ||
        op->kind == OP_POLICY_LIST || op->kind == OP_ACCESS_CHANGE || op->kind == OP_ACCESS_LIST ||
        op->kind == OP_ANNOUNCE ||
        (!op->conn &&
         (op->kind == OP_QUEUE_PURGE || op->kind == OP_QUEUE_DELETE || op->kind == OP_QUEUE_DECLARE))) {
        listing_answer(front, op);
        return;
    }
    bool consumed = op->kind == OP_CONSUME && op->error == ERR_NONE;
    bool attached = op->kind == OP_SESSION_ATTACH && op->error == ERR_NONE;
    bool declared = op->kind == OP_QUEUE_DECLARE && op->error == ERR_NONE && (op->flags & OP_EXCLUSIVE);
    if (!consumed && !declared && !attached) {
        front_free_op(front, op);
        return;
    }
    op->kind = consumed ? OP_CANCEL : attached ? OP_SESSION_DETACH : OP_QUEUE_DELETE;
    op->flags = declared ? OP_OF_OWNER : 0;
    front_command(front, router)->op = (struct command_op){.kind = COMMAND_OP, .op = op};
}

static void undo(struct front *front, unsigned router, const union event *event)
{
    if (event->kind == EVENT_DELIVER || event->kind == EVENT_RETURN)
        give_back(front, router, &event->deliver);
    else if (event->kind == EVENT_OP)
        undo_op(front, router, event->op.op);
}

static void front_on_exchange(struct front *front, unsigned router, struct exchange_update *update)
{
    exchange_table_apply(&front->exchanges, update);
    front_command(front, router)->known =
        (struct command_known){.kind = COMMAND_KNOWN, .update = update->update};
    free(update);
}

static uint64_t conn_of(const union event *event)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_DELIVER:
    case EVENT_RETURN:
        return event->deliver.conn;
    case EVENT_CONFIRM:
        return event->confirm.conn;
    case EVENT_CANCEL:
        return event->cancel.conn;
    case EVENT_OP:
        return event->op.op->conn;
    default:
        UNREACHABLE();
    }
}

static void front_on_event(struct front *front, unsigned router, const union event *event)
{
    if (event->kind == EVENT_EXCHANGE) {
        front_on_exchange(front, router, event->exchange.update);
        return;
    }
    if (event->kind == EVENT_ACCESS) {
        front_on_access(front, router, event->access.update);
        return;
    }
    if (event->kind == EVENT_GATE) {
        front->gate[router] = event->gate.shut;
        return;
    }
    if (event->kind == EVENT_CONFIRM && !(event->confirm.flags & CONFIRM_REFUSED))
        stat_add(&front->stats.confirmed, event->confirm.count);
    struct host *host = slots_get(&front->conns, conn_of(event));
    if (!host) {
        undo(front, router, event);
        return;
    }
    if (event->kind == EVENT_OP && event->op.op->kind == OP_ROOM) {
        front_on_room(host, event->op.op);
        return;
    }
    bool waited = host->waits;
    host->codec->event(host->state, host, router, event);
    front_touch(host);
    if (host->waits && !waited)
        front_park(host);
    if (event->kind != EVENT_OP)
        return;
    host->ops--;
    if (host->op_paused) {
        host->op_paused = false;
        front_resume(host);
    }
}

unsigned front_take_events(struct front *front)
{
    const void *entries;
    unsigned work = 0;
    for (unsigned r = 0; r < front->options.routers; r++) {
        struct ring *ring = front->options.from_router[r];
        for (unsigned n, total = 0; total < RING_SLOTS && (n = ring_peek(ring, EVENTS_AT_ONCE, &entries));
             total += n) {
            const union event *events = entries;
            for (unsigned i = 0; i < n; i++)
                front_on_event(front, r, &events[i]);
            ring_release(ring, n);
            front->turn.events = true;
            work += n;
        }
    }
    return work;
}

/* Commands that no router took, events that nobody will hear: what they own is freed. */
static void free_event(const union event *event)
{
    if (event->kind == EVENT_DELIVER || event->kind == EVENT_RETURN)
        free(event->deliver.parts);
    if (event->kind == EVENT_EXCHANGE)
        free(event->exchange.update);
    if (event->kind == EVENT_ACCESS)
        free(event->access.update);
}

void front_drain(struct front *front)
{
    union event event;
    union command command;
    for (unsigned r = 0; r < front->options.routers; r++) {
        while (ring_take(front->options.from_router[r], &event, 1)) {
            if (event.kind == EVENT_OP)
                front_free_op(front, event.op.op);
            else
                free_event(&event);
        }
        do {
            link_flush(&front->router[r]);
            while (ring_take(front->options.to_router[r], &command, 1))
                if (command.kind == COMMAND_OP)
                    front_free_op(front, command.op.op);
        } while (link_pending(&front->router[r]));
    }
}
