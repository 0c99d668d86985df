#include "router/reservation.h"

#include <string.h>

#include "router/agent.h"
#include "router/shape.h"

#define LOOK_NS 50000000u /* between looks at what is left of reservations, and at who waits for them */

static uint64_t used(const struct queue *queue)
{
    const struct index *index = &queue->index;
    return index->bytes + (index->ready + index->out) * RESERVATION_MESSAGE_BYTES;
}

/* One more, for what the log holds besides. */
static uint64_t segments_for(uint64_t bytes)
{
    return bytes ? bytes / SEGMENT_BYTES + 2 : 0;
}

static uint64_t left_of_all(const struct router *router)
{
    const uint64_t most = UINT64_C(1) << 60;
    uint64_t left = 0;
    for (const struct shape *s = router->reservations.first; s && left < most; s = s->reservation.next) {
        uint64_t has = used(s->queue);
        left += s->reservation.bytes > has ? s->reservation.bytes - has : 0;
    }
    return left;
}

/* Asks the journal to put aside what is left of all. False: it is too busy, or has failed. */
static bool put_aside(struct router *router)
{
    struct reservations *r = &router->reservations;
    uint64_t segments = segments_for(left_of_all(router));
    struct journal_command command = {.kind = JOURNAL_ASIDE, .lsn = segments};
    if (r->asked || ring_put(router->options.to_journal, &command, 1) == 0)
        return false;
    r->aside = segments;
    return r->asked = true;
}

/* ---- who waits ----------------------------------------------------------------------------------- */

/* Whether all durable queues that the publish would come to have room left in their reservations. What is
 * retained or delayed goes to queues of the router's own, which have none. */
static bool has_room(struct router *router, const struct op *op)
{
    struct command_publish publish;
    memcpy(&publish, op->arguments.at, sizeof publish);
    publish.bytes = op->arguments.at + sizeof publish;
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, publish.exchange);
    struct publishing p = {.publish = &publish, .vhost = e ? e->vhost : 0};
    struct numbering numbering;
    if (!(router->gate & GATE_DURABLE))
        return true;
    if (!(router->gate & GATE_RESERVED) || publish.protocol & ORIGIN_RETAIN || (e && e->delayed))
        return false;
    publish_read_numbering(&p, &numbering);
    publish_match(router, e, &p);
    for (size_t i = 0; i < p.to.count; i++) {
        const struct queue *queue = queue_of(p.to.list[i]);
        uint64_t bytes = queue->shape ? queue->shape->reservation.bytes : 0;
        if (queue->durable && used(queue) + publish.total_len + RESERVATION_MESSAGE_BYTES > bytes)
            return false;
    }
    return true;
}

static void answer(struct router *router, struct op *op)
{
    op->got = has_room(router, op);
    router_answer_now(router, op);
}

void reservation_on_room(struct router *router, struct op *op)
{
    struct reservations *r = &router->reservations;
    if (!op->got) { /* for the first time */
        answer(router, op);
        return;
    }
    op->next = r->rooms;
    r->rooms = op;
    if (!r->look.timer.place)
        alarm_set(router, &r->look, router->now_ns + LOOK_NS);
}

static void on_look(struct router *router, struct alarm *alarm)
{
    struct reservations *r = &router->reservations;
    struct op *op = r->rooms;
    r->rooms = NULL;
    for (struct op *next; op; op = next) {
        next = op->next;
        answer(router, op);
    }
    if (segments_for(left_of_all(router)) != r->aside)
        put_aside(router);
    if (r->first || r->rooms)
        alarm_set(router, alarm, router->now_ns + LOOK_NS);
}

void reservations_init(struct router *router)
{
    router->reservations.look.ring = on_look;
}

void reservations_start(struct router *router)
{
    put_aside(router);
    if (router->reservations.first)
        alarm_set(router, &router->reservations.look, 0);
}

/* ---- queues -------------------------------------------------------------------------------------- */

static void unlist(struct reservation *reservation)
{
    if (!reservation->at)
        return;
    *reservation->at = reservation->next;
    if (reservation->next)
        reservation->next->reservation.at = reservation->at;
    *reservation = (struct reservation){0};
}

void reservation_apply(struct router *router, struct queue *queue, const struct settings *settings)
{
    struct reservations *r = &router->reservations;
    struct reservation *own = &queue->shape->reservation;
    uint64_t bytes = settings && queue->durable ? settings->value[SETTING_RESERVATION] : NO_LIMIT;
    unlist(own);
    if (bytes != NO_LIMIT) {
        *own = (struct reservation){.bytes = bytes, .next = r->first, .at = &r->first};
        if (r->first)
            r->first->reservation.at = &own->next;
        r->first = queue->shape;
    }
    if ((r->first || r->aside) && !router->recovering && !r->look.timer.place)
        alarm_set(router, &r->look, router->now_ns);
}

bool reservation_holds(struct router *router, struct op *op, const struct settings *settings)
{
    struct reservations *r = &router->reservations;
    uint64_t bytes = settings->value[SETTING_RESERVATION];
    if (bytes == NO_LIMIT || router->store.failed)
        return false;
    if (!op->got) {
        struct op **end = &r->declares;
        while (*end)
            end = &(*end)->next;
        op->next = NULL;
        *end = op;
        return true;
    }
    uint64_t left = left_of_all(router), most = r->aside + r->more;
    if (segments_for(left + bytes) <= most)
        return false;
    uint64_t has = most > 1 ? (most - 1) * SEGMENT_BYTES : 0;
    router_refuse(router, op, ERR_PRECONDITION_FAILED,
                  "cannot declare queue '%.*s' in vhost '%s': 'x-disk-reservation' is %llu bytes, but the "
                  "disk of router %u "
                  "has no more than %llu left to reserve",
                  op->name.len, op->name.bytes, router_vhost_name(router, op->vhost),
                  (unsigned long long)bytes, router->options.index,
                  (unsigned long long)(has > left ? has - left : 0));
    return true;
}

/* Each that is made leaves less to the next. */
void reservation_on_set(struct router *router, uint64_t more)
{
    struct reservations *r = &router->reservations;
    struct op *op = r->declares;
    r->asked = false;
    r->more = more;
    r->declares = NULL;
    for (struct op *next; op; op = next) {
        next = op->next;
        op->got = true;
        router_on_op(router, op);
    }
}

void reservation_poll(struct router *router)
{
    struct reservations *r = &router->reservations;
    if (r->declares && !r->asked)
        put_aside(router);
}
