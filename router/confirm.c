#include "router/confirm.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"

void confirms_free(struct confirms *confirms)
{
    free(confirms->rows);
}

static struct confirm *last(struct confirms *c)
{
    return c->count ? &c->rows[(c->head + c->count - 1) & c->mask] : NULL;
}

static struct confirm *add(struct confirms *c)
{
    if (!c->rows || c->count > c->mask) {
        size_t room = c->rows ? 2 * (c->mask + 1) : 64;
        struct confirm *rows = malloc(room * sizeof *rows);
        CHECK(rows);
        for (size_t i = 0; i < c->count; i++)
            rows[i] = c->rows[(c->head + i) & c->mask];
        free(c->rows);
        *c = (struct confirms){.rows = rows, .mask = room - 1, .count = c->count};
    }
    return &c->rows[(c->head + c->count++) & c->mask];
}

void confirm_when_safe(struct router *router, unsigned front, uint64_t conn, uint16_t channel, uint64_t seq)
{
    uint64_t lsn = store_lsn(&router->store);
    struct confirm *row = last(&router->confirms);
    /* Only rows that go to disk in one write are joined: the first must not wait for a later one. */
    if (row && row->conn == conn && row->channel == channel && row->front == front &&
        row->seq + row->count == seq && row->lsn > router->store.handed) {
        row->count++;
        row->lsn = lsn;
        return;
    }
    *add(&router->confirms) = (struct confirm){lsn, conn, seq, 1, (uint16_t)front, channel};
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
    struct confirms *c = &router->confirms;
    unsigned sent = 0;
    for (; c->count; sent++) {
        struct confirm *row = &c->rows[c->head];
        bool safe = row->lsn <= router->store.safe;
        if ((!safe && !router->store.failed) || !link_open(&router->front[row->front], 1))
            break;
        send(router, row->front,
             (struct event_confirm){.flags = safe ? 0 : CONFIRM_REFUSED,
                                    .channel = row->channel,
                                    .count = row->count,
                                    .conn = row->conn,
                                    .seq = row->seq});
        c->head = (c->head + 1) & c->mask;
        c->count--;
    }
    return sent;
}
