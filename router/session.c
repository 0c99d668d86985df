#include "router/session.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/policy_effect.h"
#include "router/repost.h"
#include "router/retain.h"
#include "router/shape.h"
#include "router/table_out.h"

#define NEVER     UINT32_MAX
#define SECOND_NS 1000000000ull

struct session {
    struct map_node by_name;
    struct alarm delay; /* of the will */
    uint32_t vhost;
    unsigned front;
    uint64_t conn; /* who has it; 0: nobody */
    bool told;     /* he has been told to leave */
    struct op *waiting, **waiting_end;
    struct will *will; /* owned: to be published when the delay is over */
    uint8_t len;
    uint8_t name[]; /* of the queue */
};

/* ---- by name -------------------------------------------------------------------------------------- */

struct key {
    uint32_t vhost;
    struct span name;
};

static bool is_named(const struct map_node *node, const void *key)
{
    const struct session *s = container_of(node, struct session, by_name);
    const struct key *k = key;
    return s->vhost == k->vhost && span_equal(span_of(s->name, s->len), k->name);
}

static struct session *find(struct router *router, struct key key)
{
    struct map_node *node = map_find(&router->sessions, hash_keyed(key.name, key.vhost), is_named, &key);
    return node ? container_of(node, struct session, by_name) : NULL;
}

/* ---- wills ------------------------------------------------------------------------------------------ */

static void publish(struct router *router, struct session *s)
{
    const struct will *will = s->will;
    struct span exchange = span_of(will->bytes, will->exchange_len);
    struct span key = span_of(exchange.at + exchange.len, will->key_len);
    struct span properties = span_of(key.at + key.len, will->properties_len);
    const struct repost r = {
        .vhost = s->vhost,
        .exchange = exchange,
        .key = key,
        .properties = properties,
        .body = span_of(properties.at + properties.len, will->body_len),
        .protocol = will->protocol,
        .persistent = will->persistent,
    };
    repost(router, &r, (struct ticket){0});
}

static void will_end(struct router *router, struct session *s, bool said)
{
    if (!s->will)
        return;
    alarm_cancel(router, &s->delay);
    if (said)
        publish(router, s);
    free(s->will);
    s->will = NULL;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void forget(struct router *router, struct session *s)
{
    map_remove(&router->sessions, &s->by_name);
    free(s);
}

static void on_delay(struct router *router, struct alarm *alarm)
{
    struct session *s = container_of(alarm, struct session, delay);
    will_end(router, s, true);
    forget(router, s);
}

static struct session *add(struct router *router, struct key key)
{
    struct session *s = calloc(1, sizeof *s + key.name.len);
    CHECK(s);
    s->vhost = key.vhost;
    s->delay.ring = on_delay;
    s->waiting_end = &s->waiting;
    s->len = (uint8_t)key.name.len;
    put_span(s->name, key.name);
    map_add(&router->sessions, &s->by_name, hash_keyed(key.name, key.vhost));
    return s;
}

static void free_one(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct session *s = container_of(node, struct session, by_name);
    will_end(router, s, false);
    if (s->waiting) {
        *router->waiting_end = s->waiting;
        router->waiting_end = s->waiting_end;
    }
    forget(router, s);
}

void sessions_free(struct router *router)
{
    map_each(&router->sessions, free_one, router);
    map_free(&router->sessions);
}

/* ---- the queue ----------------------------------------------------------------------------------------- */

static struct queue *queue_of_session(struct router *router, const struct session *s)
{
    return catalog_queue(&router->catalog, s->vhost, span_of(s->name, s->len));
}

static size_t bytes_of(const struct binding *b)
{
    return 1 + b->key.len + 4 + b->arguments.len;
}

/* What a session_binding_next reads. */
static struct span list_bindings(const struct queue *queue)
{
    size_t len = 0;
    for (const struct binding *b = queue->destination.bindings; b; b = b->for_destination)
        len += bytes_of(b);
    if (!len)
        return (struct span){0};
    uint8_t *list = malloc(len), *at = list;
    CHECK(list);
    for (const struct binding *b = queue->destination.bindings; b; b = b->for_destination) {
        at = put_span(put_u8(at, (uint8_t)b->key.len), b->key);
        at = put_span(put_be32(at, (uint32_t)b->arguments.len), b->arguments);
    }
    return span_of(list, len);
}

/* What says how long the queue stays when it is unused: a table of `room` bytes. */
enum { EXPIRY_BYTES = 32 };

static struct span put_expiry(uint8_t *table, uint32_t expiry_s)
{
    uint8_t *end = table;
    if (expiry_s != NEVER)
        end = put_field_long(end, "x-expires", (int64_t)expiry_s * 1000);
    return span_of(table, (size_t)(end - table));
}

static void set_expiry(struct router *router, struct queue *queue, uint32_t expiry_s)
{
    uint8_t table[EXPIRY_BYTES];
    struct span arguments = put_expiry(table, expiry_s);
    if (span_equal(arguments, queue->arguments))
        return;
    free((void *)(uintptr_t)queue->arguments.at);
    queue->arguments = span_copy(arguments);
    queue_reshape(router, queue);
    if (queue->number && !router->store.failed)
        persist_queue(router, queue);
}

/* Of one that outlives its connections. */
static struct queue *make_queue(struct router *router, struct op *op)
{
    uint8_t table[EXPIRY_BYTES];
    op->arguments = span_copy(put_expiry(table, op->expiry_s));
    op->flags |= OP_DURABLE;
    struct queue *queue = router_make_queue(router, op);
    free((void *)(uintptr_t)op->arguments.at);
    op->arguments = (struct span){0}; /* of the answer: there are no bindings */
    return queue;
}

/* ---- attach, detach --------------------------------------------------------------------------------------
 */

/* Nobody has it: it is the op's, unless that is refused. A will that waits isn't said to who comes back in
 * time, but is if the session ends here. */
static bool take(struct router *router, struct session *s, struct op *op)
{
    struct queue *queue = queue_of_session(router, s);
    bool anew = op->flags & OP_SESSION_ANEW;
    will_end(router, s, anew);
    if (queue && anew) {
        router_delete_queue(router, queue);
        queue = NULL;
    }
    if (!queue && op->expiry_s && router->store.failed) {
        router_refuse(router, op, ERR_INTERNAL, "the journal of router %u has failed: no session can be kept",
                      router->options.index);
        return false;
    }
    if (!queue && op->expiry_s && !router_queue_counts(router, op))
        return false;
    if (queue && op->expiry_s)
        set_expiry(router, queue, op->expiry_s);
    op->got = queue;
    if (queue)
        op->arguments = list_bindings(queue);
    else if (op->expiry_s)
        queue = make_queue(router, op);
    s->front = op->front;
    s->conn = op->conn;
    s->told = false;
    op->number = queue ? queue->number : 0;
    router_answer(router, op);
    return true;
}

/* Nobody has it, and nobody will. */
static void forget_unused(struct router *router, struct session *s)
{
    if (!s->conn && !s->will)
        forget(router, s);
}

static void session_attach(struct router *router, struct op *op)
{
    struct key key = {op->vhost, name_span(&op->name)};
    struct session *s = find(router, key);
    if (!s)
        s = add(router, key);
    if (!s->conn) {
        if (!take(router, s, op))
            forget_unused(router, s);
        return;
    }
    if (!s->told)
        router_event(router, s->front)->cancel =
            (struct event_cancel){.kind = EVENT_CANCEL, .flags = CANCEL_SESSION, .conn = s->conn};
    s->told = true;
    op->next = NULL;
    *s->waiting_end = op;
    s->waiting_end = &op->next;
}

/* The session's end is the will's time, at the latest ([MQTT-3.1.3-9]). */
static void leave_will(struct router *router, struct session *s, struct op *op)
{
    uint32_t delay_s = op->will->delay_s < op->expiry_s ? op->will->delay_s : op->expiry_s;
    s->will = op->will;
    op->will = NULL;
    if (delay_s)
        alarm_set(router, &s->delay, router->now_ns + delay_s * SECOND_NS);
    else
        will_end(router, s, true);
}

/* The first of those who wait for it that isn't refused. */
static void next(struct router *router, struct session *s)
{
    bool taken = false;
    while (s->waiting && !taken) {
        struct op *op = s->waiting;
        s->waiting = op->next;
        if (!s->waiting)
            s->waiting_end = &s->waiting;
        taken = take(router, s, op);
    }
    if (!s->waiting) {
        forget_unused(router, s);
        return;
    }
    router_event(router, s->front)->cancel =
        (struct event_cancel){.kind = EVENT_CANCEL, .flags = CANCEL_SESSION, .conn = s->conn};
    s->told = true;
}

static void session_detach(struct router *router, struct op *op)
{
    struct session *s = find(router, (struct key){op->vhost, name_span(&op->name)});
    if (s && s->conn == op->conn && s->front == op->front) {
        struct queue *queue = queue_of_session(router, s);
        s->conn = 0;
        if (queue && !op->expiry_s)
            router_delete_queue(router, queue);
        else if (queue)
            set_expiry(router, queue, op->expiry_s);
        if (op->will)
            leave_will(router, s, op);
        next(router, s);
    }
    router_answer(router, op);
}

void session_on_op(struct router *router, struct op *op)
{
    switch (op->kind) {
    case OP_SESSION_ATTACH:
        session_attach(router, op);
        return;
    case OP_SESSION_DETACH:
        session_detach(router, op);
        return;
    case OP_RELEASE:
        sender_release(router, op);
        return;
    case OP_ANNOUNCE:
        retain_announce(router, op);
        return;
    default:
        UNREACHABLE();
    }
}
