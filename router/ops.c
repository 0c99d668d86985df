/*
 * Everything a client asks of a router that is not on the message path: queues, their bindings and consumers.
 * Each op comes back once; one that changed something durable, or something others must know, comes back when
 * that is so (router_answer).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/arguments.h"
#include "router/consumer.h"
#include "router/default_type.h"
#include "router/hidden.h"
#include "router/history.h"
#include "router/image.h"
#include "router/policy_effect.h"
#include "router/retain.h"
#include "router/session.h"
#include "router/shape.h"
#include "router/stream.h"

#define NAME(n) (n).len, (n).bytes

/* ---- answering --------------------------------------------------------------------------------- */

void router_answer_now(struct router *router, struct op *op)
{
    router_event(router, op->front)->op = (struct event_op){.kind = EVENT_OP, .op = op};
}

static uint64_t told(const struct router *router)
{
    return is_registrar(router) ? router->registrar.number : router->told;
}

static uint64_t known(const struct router *router)
{
    return is_registrar(router) ? router->registrar.known : router->known;
}

void router_answer(struct router *router, struct op *op)
{
    if (is_registrar(router))
        registrar_poll(router);
    persist_settled_flush(router);
    op->lsn = store_lsn(&router->store);
    if (router->store.failed || op->lsn <= router->first_lsn)
        op->lsn = 0;
    op->update = told(router);
    op->next = NULL;
    *router->waiting_end = op;
    router->waiting_end = &op->next;
}

unsigned router_answer_waiting(struct router *router)
{
    unsigned answered = 0;
    for (struct op *op; (op = router->waiting); answered++) {
        bool safe = op->lsn <= router->store.safe;
        if ((!safe && !router->store.failed) || op->update > known(router) ||
            !link_open(&router->front[op->front], 1))
            break;
        if (!safe && op->error == ERR_NONE && (op->flags & OP_DURABLE)) {
            op->error = ERR_INTERNAL;
            snprintf(op->text, sizeof op->text,
                     "the journal of router %u has failed: this was not made durable", router->options.index);
        }
        router->waiting = op->next;
        if (!router->waiting)
            router->waiting_end = &router->waiting;
        router_answer_now(router, op);
    }
    return answered;
}

void router_refuse(struct router *router, struct op *op, enum error error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(op->text, sizeof op->text, format, args);
    va_end(args);
    op->error = error;
    router_answer(router, op);
}

void router_may_not(struct router *router, struct op *op)
{
    op->error = ERR_ACCESS_REFUSED;
    router_answer(router, op);
}

/* ---- finding ------------------------------------------------------------------------------------ */

static void what_queue(const struct router *router, const struct op *op, char *text, size_t size)
{
    snprintf(text, size, "queue '%.*s' in vhost '%s'", NAME(op->name), router_vhost_name(router, op->vhost));
}

static bool is_locked(const struct queue *queue, const struct op *op)
{
    return queue->exclusive && (queue->owner_front != op->front || queue->owner_conn != op->conn);
}

static void refuse_locked(struct router *router, struct op *op)
{
    char what[NAME_MAX_BYTES * 2 + 64];
    what_queue(router, op, what, sizeof what);
    router_refuse(
        router, op, ERR_RESOURCE_LOCKED,
        "cannot obtain exclusive access to locked %s. It could be originally declared on another connection "
        "or the exclusive property value does not match that of the original declaration.",
        what);
}

/* The queue that the op names and may use; NULL: there is none or it is another connection's, and the op is
 * answered. */
static struct queue *queue_for(struct router *router, struct op *op)
{
    struct queue *queue = catalog_queue(&router->catalog, op->vhost, name_span(&op->name));
    if (!queue)
        router_refuse(router, op, ERR_NOT_FOUND, "no queue '%.*s' in vhost '%s'", NAME(op->name),
                      router_vhost_name(router, op->vhost));
    else if (is_locked(queue, op))
        refuse_locked(router, op);
    else
        return queue;
    return NULL;
}

/* What streams don't do. */
static bool refuse_stream(struct router *router, struct op *op, const struct queue *queue, const char *method)
{
    char what[NAME_MAX_BYTES * 2 + 64];
    what_queue(router, op, what, sizeof what);
    if (queue->stream)
        router_refuse(router, op, ERR_NOT_IMPLEMENTED, "%s not supported by %s queues %s", method,
                      queue->stream->image ? "last-value" : "stream", what);
    return queue->stream;
}

static void counts(const struct queue *queue, struct op *op)
{
    op->messages = (uint32_t)queue->index.ready;
    op->consumers = queue->consumers;
}

/* ---- queues -------------------------------------------------------------------------------------- */

/* False: an argument is wrong, and the op is answered. */
static bool read_settings(struct router *router, struct op *op, struct settings *settings)
{
    char what[NAME_MAX_BYTES * 2 + 64], text[sizeof op->text];
    what_queue(router, op, what, sizeof what);
    struct declared declared = {.what = what,
                                .durable = op->flags & OP_DURABLE,
                                .exclusive = op->flags & OP_EXCLUSIVE,
                                .auto_delete = op->flags & OP_AUTO_DELETE,
                                .unnamed = op->flags & OP_UNNAMED};
    if (settings_read(settings, op->arguments, &declared, text, sizeof text))
        return true;
    router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s", text);
    return false;
}

struct queue *router_make_queue(struct router *router, const struct op *op)
{
    struct queue *queue = queue_new(router, op->vhost, name_span(&op->name));
    queue->durable = op->flags & OP_DURABLE;
    queue->auto_delete = op->flags & OP_AUTO_DELETE;
    queue->exclusive = op->flags & OP_EXCLUSIVE;
    queue->owner_front = op->front;
    queue->owner_conn = op->conn;
    queue->arguments = span_copy(op->arguments);
    /* An exclusive queue dies with its connection: it is not worth a record. */
    if (queue->durable && queue->exclusive)
        queue->durable = false, queue->said_durable = true;
    if (queue->durable)
        queue->number = router->catalog.queue_next++;
    catalog_queue_add(&router->catalog, queue);
    stat_add(&router->stats.queues_created, 1);
    if (queue->durable)
        persist_queue(router, queue);
    queue_reshape(router, queue);
    return queue;
}

static void create(struct router *router, struct op *op)
{
    struct settings settings;
    if (!read_settings(router, op, &settings))
        return;
    if (reservation_holds(router, op, &settings) || !router_queue_counts(router, op))
        return;
    counts(router_make_queue(router, op), op);
    router_answer(router, op);
}

static void equivalent(struct router *router, struct op *op, struct queue *queue)
{
    char what[NAME_MAX_BYTES * 2 + 64];
    what_queue(router, op, what, sizeof what);
    op->error = ERR_PRECONDITION_FAILED;
    bool same = flag_equivalent("durable", op->flags & OP_DURABLE, queue->durable || queue->said_durable,
                                what, op->text, sizeof op->text) &&
                flag_equivalent("auto_delete", op->flags & OP_AUTO_DELETE, queue->auto_delete, what, op->text,
                                sizeof op->text) &&
                settings_equivalent(op->arguments, queue->arguments, what, op->text, sizeof op->text);
    if (same || op->flags & OP_ANY_WAY)
        op->error = ERR_NONE;
    if (queue->shape && op->error == ERR_NONE)
        shape_used(router, queue);
    counts(queue, op);
    router_answer(router, op);
}

static void declare(struct router *router, struct op *op)
{
    struct queue *queue = catalog_queue(&router->catalog, op->vhost, name_span(&op->name));
    if (op->flags & OP_PASSIVE) {
        if ((queue = queue_for(router, op))) {
            if (queue->shape)
                shape_used(router, queue);
            counts(queue, op);
            router_answer(router, op);
        }
        return;
    }
    default_type_complete(router, op, queue);
    bool durable = (op->flags & OP_DURABLE) && !(op->flags & OP_EXCLUSIVE);
    if (queue && (is_locked(queue, op) || queue->exclusive != !!(op->flags & OP_EXCLUSIVE)))
        refuse_locked(router, op);
    else if (queue)
        equivalent(router, op, queue);
    else if (op->flags & OP_MAY_NOT_MAKE)
        router_may_not(router, op);
    else if (durable && router->store.failed)
        router_refuse(router, op, ERR_INTERNAL,
                      "the journal of router %u has failed: nothing durable can be declared",
                      router->options.index);
    else
        create(router, op);
}

static void bindings_end(struct router *router, struct queue *queue)
{
    for (struct binding *b = queue->destination.bindings, *next; b; b = next) {
        next = b->for_destination;
        if (!is_hidden(queue->vhost))
            bound_changed(router, container_of(b->source, struct catalog_exchange, exchange), b, false);
    }
}

void router_delete_queue(struct router *router, struct queue *queue)
{
    if (queue->number && !router->store.failed)
        persist_queue_gone(router, queue->number);
    bindings_end(router, queue);
    stat_add(&router->stats.queues_deleted, 1);
    access_end_queue(router->access, queue->vhost);
    queue_delete(router, queue);
}

static void delete (struct router *router, struct op *op)
{
    struct queue *queue = catalog_queue(&router->catalog, op->vhost, name_span(&op->name));
    bool other = queue && (op->flags & OP_OF_OWNER) && !queue->exclusive;
    if (!queue || other || ((op->flags & OP_OF_OWNER) && is_locked(queue, op))) {
        router_answer(router, op);
        return;
    }
    if (!(queue = queue_for(router, op)))
        return;
    char what[NAME_MAX_BYTES * 2 + 64];
    what_queue(router, op, what, sizeof what);
    if ((op->flags & OP_IF_UNUSED) && queue->consumers) {
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s in use", what);
        return;
    }
    if ((op->flags & OP_IF_EMPTY) && queue->index.ready) {
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s not empty", what);
        return;
    }
    counts(queue, op);
    router_delete_queue(router, queue);
    router_answer(router, op);
}

static void purge(struct router *router, struct op *op)
{
    struct queue *queue = queue_for(router, op);
    bool last_value = queue && queue->stream && queue->stream->image;
    if (!queue || (!last_value && refuse_stream(router, op, queue, "queue.purge")))
        return;
    op->messages = (uint32_t)queue_purge(router, queue);
    if (last_value)
        image_clear(router, queue);
    router_answer(router, op);
}

/* ---- bindings ------------------------------------------------------------------------------------ */

static bool bindable(struct router *router, struct op *op, struct queue *queue,
                     const struct catalog_exchange *e)
{
    char text[2 * NAME_MAX_BYTES];
    if (!queue)
        return false; /* answered by queue_for */
    if (!e)
        router_refuse(router, op, ERR_NOT_FOUND, "no exchange '%.*s' in vhost '%s'", NAME(op->other),
                      router_vhost_name(router, op->vhost));
    else if (!exchange_binding_valid(e->exchange.type, &queue->destination, name_span(&op->key),
                                     op->arguments, text, sizeof text))
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s", text);
    else
        return true;
    return false;
}

static void bind(struct router *router, struct op *op)
{
    struct queue *queue = queue_for(router, op);
    struct catalog_exchange *e = catalog_exchange(&router->catalog, op->vhost, name_span(&op->other));
    struct span key = name_span(&op->key);
    if (!bindable(router, op, queue, e))
        return;
    if (op->flags & OP_RETAINED)
        retain_send(router, e, queue, key);
    if (!exchange_binding(&e->exchange, &queue->destination, key, op->arguments)) {
        struct binding *b = exchange_bind(&e->exchange, &queue->destination, key, op->arguments);
        b->durable = e->durable && queue->durable;
        if (b->durable && !router->store.failed)
            persist_binding(router, b, RECORD_BOUND);
        bound_changed(router, e, b, true);
        history_send(router, e, op->vhost, name_span(&op->name));
    }
    router_answer(router, op);
}

static void unbind(struct router *router, struct op *op)
{
    struct queue *queue = catalog_queue(&router->catalog, op->vhost, name_span(&op->name));
    struct catalog_exchange *e = catalog_exchange(&router->catalog, op->vhost, name_span(&op->other));
    struct binding *b = NULL;
    if (queue && is_locked(queue, op)) {
        refuse_locked(router, op);
        return;
    }
    if (queue && e)
        b = exchange_binding(&e->exchange, &queue->destination, name_span(&op->key), op->arguments);
    if (b) {
        if (b->durable && !router->store.failed)
            persist_binding(router, b, RECORD_UNBOUND);
        bound_changed(router, e, b, false);
        exchange_unbind(b);
    }
    router_answer(router, op);
}

/* ---- consumers ----------------------------------------------------------------------------------- */

static void consume(struct router *router, struct op *op)
{
    struct queue *queue = queue_for(router, op);
    if (!queue)
        return;
    char what[NAME_MAX_BYTES * 2 + 64], text[sizeof op->text];
    struct stream_wish wish;
    what_queue(router, op, what, sizeof what);
    if (!consumer_check(queue, op, what, text, sizeof text)) {
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s", text);
        return;
    }
    if (!consumer_allowed(queue, op)) {
        router_refuse(router, op, ERR_ACCESS_REFUSED, "%s in exclusive use", what);
        return;
    }
    if (!stream_consumable(router, queue, op, what, &wish))
        return;
    struct consumer *consumer = queue_consume(router, queue, op);
    op->consumer = consumer->handle;
    if (queue->stream)
        stream_join(router, consumer, &wish);
    /* At once: the answer must reach the client before the first delivery does. */
    router_answer_now(router, op);
}

static void cancel(struct router *router, struct op *op)
{
    struct consumer *consumer = slots_get(&router->consumers, op->consumer);
    if (consumer) {
        struct queue *queue = consumer->queue;
        if (queue_cancel(router, consumer))
            router_delete_queue(router, queue);
    }
    router_answer(router, op);
}

static void get(struct router *router, struct op *op)
{
    struct queue *queue = queue_for(router, op);
    if (!queue || refuse_stream(router, op, queue, "basic.get"))
        return;
    if (queue->shape)
        shape_used(router, queue);
    queue_get(router, queue, op);
}

/* Durable: an acknowledgement came before it, which a journal that has failed can't have kept. */
static void barrier(struct router *router, struct op *op)
{
    if ((op->flags & OP_DURABLE) && router->store.failed)
        router_refuse(router, op, ERR_INTERNAL, "the journal of router %u has failed", router->options.index);
    else
        router_answer(router, op);
}

static void on_queue_op(struct router *router, struct op *op)
{
    switch (op->kind) {
    case OP_QUEUE_DECLARE:
        declare(router, op);
        return;
    case OP_QUEUE_DELETE:
        delete (router, op);
        return;
    case OP_QUEUE_PURGE:
        purge(router, op);
        return;
    case OP_QUEUE_BIND:
        bind(router, op);
        return;
    case OP_QUEUE_UNBIND:
        unbind(router, op);
        return;
    default:
        UNREACHABLE();
    }
}

/* Of a virtual host that isn't there nothing is made: it may have gone while the op was on its way. */
static bool makes(const struct op *op)
{
    return op->kind == OP_EXCHANGE_DECLARE || op->kind == OP_QUEUE_DECLARE || op->kind == OP_SESSION_ATTACH ||
           op->kind == OP_POLICY_SET || op->kind == OP_POLICY_CLEAR || op->kind == OP_POLICY_LIST;
}

void router_on_op(struct router *router, struct op *op)
{
    if (op->vhost && makes(op) && !access_has_vhost(router->access, op->vhost)) {
        router_refuse(router, op, ERR_NOT_FOUND, "there is no virtual host %.*s", NAME(op->other));
        return;
    }
    switch (op->kind) {
    case OP_EXCHANGE_DECLARE:
    case OP_EXCHANGE_DELETE:
    case OP_EXCHANGE_BIND:
    case OP_EXCHANGE_UNBIND:
        registrar_on_op(router, op);
        return;
    case OP_QUEUE_DECLARE:
    case OP_QUEUE_DELETE:
    case OP_QUEUE_PURGE:
    case OP_QUEUE_BIND:
    case OP_QUEUE_UNBIND:
        on_queue_op(router, op);
        return;
    case OP_SESSION_ATTACH:
    case OP_SESSION_DETACH:
    case OP_RELEASE:
    case OP_ANNOUNCE:
        session_on_op(router, op);
        return;
    case OP_CONSUME:
        consume(router, op);
        return;
    case OP_CANCEL:
        cancel(router, op);
        return;
    case OP_GET:
        get(router, op);
        return;
    case OP_BARRIER:
        barrier(router, op);
        return;
    case OP_ROOM:
        reservation_on_room(router, op);
        return;
    default:
        router_on_operators_op(router, op);
    }
}
