#include "router/confirm.h"

#include "base/check.h"
#include "router/agent.h"
#include "router/repost.h"

void confirm_when_safe(struct router *router, unsigned front, uint64_t conn, uint16_t channel, uint64_t seq,
                       uint8_t flags)
{
    uint64_t lsn = store_lsn(&router->store);
    struct confirm *row =
        router->confirms.count ? fifo_at(&router->confirms, router->confirms.count - 1) : NULL;
    /* Only rows that go to disk in one write are joined: the first must not wait for a later one. */
    if (row && row->conn == conn && row->channel == channel && row->front == front && row->flags == flags &&
        row->seq + row->count == seq && row->lsn > router->store.handed) {
        row->count++;
        row->lsn = lsn;
        return;
    }
    *fifo_add(&router->confirms) = (struct confirm){lsn, conn, seq, 1, flags, (uint16_t)front, channel};
}

void confirm_to_router(struct router *router, unsigned peer, struct ticket ticket)
{
    *fifo_add(&router->confirms) = (struct confirm){.lsn = store_lsn(&router->store),
                                                    .conn = ticket.queue,
                                                    .seq = ticket.row,
                                                    .count = 1,
                                                    .front = (uint16_t)(FRONTS_MAX + peer)};
}

static void send(struct router *router, unsigned front, struct event_confirm confirm)
{
    struct event_confirm *before = link_last(&router->front[front]);
    confirm.kind = EVENT_CONFIRM;
    if (before && before->kind == EVENT_CONFIRM && before->conn == confirm.conn &&
        before->channel == confirm.channel && before->flags == confirm.flags &&
        before->seq + before->count == confirm.seq) {
        before->count += confirm.count;
        return;
    }
    router_event(router, front)->confirm = confirm;
}

void confirm_now(struct router *router, unsigned front, uint64_t conn, uint16_t channel, uint64_t seq,
                 uint8_t flags)
{
    send(router, front,
         (struct event_confirm){.flags = flags, .channel = channel, .count = 1, .conn = conn, .seq = seq});
}

unsigned confirm_poll(struct router *router)
{
    unsigned sent = 0;
    for (struct confirm *row; (row = fifo_oldest(&router->confirms)); sent++) {
        bool safe = row->lsn <= router->store.safe;
        if (!safe && !router->store.failed)
            break;
        if (row->front >= FRONTS_MAX) {
            if (safe)
                repost_answer(router, row->front - FRONTS_MAX, (struct ticket){row->conn, row->seq}, true);
            fifo_drop_oldest(&router->confirms);
            continue;
        }
        if (!link_open(&router->front[row->front], 1))
            break;
        send(router, row->front,
             (struct event_confirm){.flags = (uint8_t)(row->flags | (safe ? 0 : CONFIRM_REFUSED)),
                                    .channel = row->channel,
                                    .count = row->count,
                                    .conn = row->conn,
                                    .seq = row->seq});
        fifo_drop_oldest(&router->confirms);
    }
    return sent;
}
