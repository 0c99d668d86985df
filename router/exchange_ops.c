/* The registrar's ops: exchanges and the bindings between them. Each changes the catalog here at once, is
 * spread to the others, and is answered when it is safe and known everywhere. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/arguments.h"
#include "router/history.h"
#include "router/policy_effect.h"

#define NAME(n) (n).len, (n).bytes

static struct catalog_exchange *find(struct router *router, struct op *op, const struct name *name)
{
    return catalog_exchange(&router->catalog, op->vhost, name_span(name));
}

static void not_found(struct router *router, struct op *op, const struct name *name)
{
    router_refuse(router, op, ERR_NOT_FOUND, "no exchange '%.*s' in vhost '%s'", NAME(*name),
                  router_vhost_name(router, op->vhost));
}

/* ---- its type -------------------------------------------------------------------------------------- */

static const char delayed_type[] = "x-delayed-message";

static bool is_delayed(const struct op *op)
{
    return span_is(name_span(&op->type), delayed_type);
}

/* How it routes; EXCHANGE_TYPES: there is no such type. One that delays says what it is otherwise. */
static enum exchange_type type_of(const struct op *op)
{
    struct field field;
    if (!is_delayed(op))
        return exchange_type_of(name_span(&op->type));
    return table_find(op->arguments, "x-delayed-type", &field) && field.type == 'S'
               ? exchange_type_of(field.value)
               : EXCHANGE_TYPES;
}

static void refuse_type(struct router *router, struct op *op)
{
    if (is_delayed(op))
        router_refuse(router, op, ERR_PRECONDITION_FAILED,
                      "Invalid argument, 'x-delayed-type' must be an existing exchange type");
    else
        router_refuse(router, op, ERR_COMMAND_INVALID, "unknown exchange type '%.*s'", NAME(op->type));
}

/* ---- declare, delete, bind -------------------------------------------------------------------------- */

static void equivalent(struct router *router, struct op *op, struct catalog_exchange *e)
{
    char what[NAME_MAX_BYTES * 2 + 64];
    char *text = op->text;
    snprintf(what, sizeof what, "exchange '%.*s' in vhost '%s'", NAME(e->name),
             router_vhost_name(router, op->vhost));
    op->error = ERR_PRECONDITION_FAILED;
    if (type_of(op) != e->exchange.type || is_delayed(op) != e->delayed)
        snprintf(text, sizeof op->text, "inequivalent arg 'type' for %s: received '%.*s' but current is '%s'",
                 what, NAME(op->type), e->delayed ? delayed_type : exchange_type_name(e->exchange.type));
    else if (flag_equivalent("durable", op->flags & OP_DURABLE, e->durable, what, text, sizeof op->text) &&
             flag_equivalent("auto_delete", op->flags & OP_AUTO_DELETE, e->auto_delete, what, text,
                             sizeof op->text) &&
             flag_equivalent("internal", op->flags & OP_INTERNAL, e->internal, what, text, sizeof op->text) &&
             arguments_equivalent(op->arguments, e->arguments, what, text, sizeof op->text))
        op->error = ERR_NONE;
    router_answer(router, op);
}

/* Fills in the alternate's name. False: it isn't a name; the op is answered. */
static bool take_alternate(struct router *router, struct op *op, struct name *alternate)
{
    struct field field;
    alternate->len = 0;
    if (!table_find(op->arguments, "alternate-exchange", &field))
        return true;
    if (field.type == 'S' && field.value.len <= NAME_MAX_BYTES) {
        name_set(alternate, field.value);
        return true;
    }
    router_refuse(router, op, ERR_PRECONDITION_FAILED,
                  "invalid type '%s' for arg 'alternate-exchange' in exchange '%.*s' in vhost '%s'",
                  field_type_name(field.type), NAME(op->name), router_vhost_name(router, op->vhost));
    return false;
}

void exchange_spread(struct router *router, const struct catalog_exchange *e)
{
    struct update u = {
        .kind = UPDATE_PUT,
        .id = e->exchange.id,
        .type = e->exchange.type,
        .vhost = e->vhost,
        .name = e->name,
        .alternate = e->alternate,
        .durable = e->durable,
        .auto_delete = e->auto_delete,
        .internal = e->internal,
        .delayed = e->delayed,
        .arguments = e->arguments,
    };
    registrar_spread(router, &u, e);
}

static void create(struct router *router, struct op *op, enum exchange_type type)
{
    struct name alternate;
    char text[2 * NAME_MAX_BYTES];
    if (!take_alternate(router, op, &alternate))
        return;
    if (!exchange_arguments_valid(type, op->arguments, text, sizeof text)) {
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s", text);
        return;
    }
    struct catalog_exchange *e =
        catalog_exchange_new(&router->catalog, router->catalog.exchange_next++, op->vhost,
                             name_span(&op->name), type, span_copy(op->arguments));
    e->alternate = alternate;
    e->durable = op->flags & OP_DURABLE;
    e->auto_delete = op->flags & OP_AUTO_DELETE;
    e->internal = op->flags & OP_INTERNAL;
    e->delayed = is_delayed(op);
    if (!alternate.len)
        alternate_wanted(router, e, &e->alternate);
    exchange_confirms(router, e);
    if (e->alternate.len)
        registrar_shadowed(router, e);
    if (e->durable)
        persist_exchange(router, e);
    history_attach(router, e);
    registrar_doubt(router, e);
    for (struct catalog_exchange *a = router->registrar.alternates; a; a = a->alternate_next)
        if (a->vhost == e->vhost && span_equal(name_span(&a->alternate), name_span(&e->name)))
            registrar_doubt(router, a);
    exchange_spread(router, e);
    router_answer(router, op);
}

static void declare(struct router *router, struct op *op)
{
    struct catalog_exchange *e = find(router, op, &op->name);
    enum exchange_type type = type_of(op);
    if (op->flags & OP_PASSIVE) {
        if (e)
            router_answer(router, op);
        else
            not_found(router, op, &op->name);
        return;
    }
    if (type == EXCHANGE_TYPES)
        refuse_type(router, op);
    else if (e)
        equivalent(router, op, e);
    else if (span_starts(name_span(&op->name), "amq."))
        router_refuse(router, op, ERR_ACCESS_REFUSED, "exchange name '%.*s' contains reserved prefix 'amq.*'",
                      NAME(op->name));
    else if (op->flags & OP_MAY_NOT_MAKE)
        router_may_not(router, op);
    else if ((op->flags & OP_DURABLE) && router->store.failed)
        router_refuse(router, op, ERR_INTERNAL,
                      "the journal of router 0 has failed: nothing durable can be declared");
    else
        create(router, op, type);
}

static void unlink_alternate(struct router *router, struct catalog_exchange *e)
{
    struct catalog_exchange **at = &router->registrar.alternates;
    while (*at && *at != e)
        at = &(*at)->alternate_next;
    if (*at)
        *at = e->alternate_next;
}

/* Those that were bound to it may now have lost their last binding. */
static void unlink_sources(struct router *router, struct catalog_exchange *e)
{
    for (struct binding *b = e->exchange.self.bindings; b; b = b->for_destination) {
        struct catalog_exchange *source = container_of(b->source, struct catalog_exchange, exchange);
        source->links--;
        registrar_doubt(router, source);
    }
}

void exchange_gone(struct router *router, struct catalog_exchange *e)
{
    struct update u = {.kind = UPDATE_GONE, .id = e->exchange.id};
    if (e->durable && !router->store.failed)
        persist_exchange_gone(router, e->exchange.id);
    for (struct catalog_exchange *a = router->registrar.alternates; a; a = a->alternate_next)
        if (a->vhost == e->vhost && span_equal(name_span(&a->alternate), name_span(&e->name)))
            registrar_doubt(router, a);
    unlink_sources(router, e);
    unlink_alternate(router, e);
    registrar_spread(router, &u, e);
    exchange_forget_here(router, e);
}

static void delete (struct router *router, struct op *op)
{
    struct catalog_exchange *e = find(router, op, &op->name);
    if (e && span_starts(name_span(&e->name), "amq.")) {
        router_refuse(router, op, ERR_ACCESS_REFUSED, "exchange name '%.*s' contains reserved prefix 'amq.*'",
                      NAME(op->name));
        return;
    }
    if (e && (op->flags & OP_IF_UNUSED) && (e->bound || e->links)) {
        router_refuse(router, op, ERR_PRECONDITION_FAILED, "exchange '%.*s' in vhost '%s' in use",
                      NAME(op->name), router_vhost_name(router, op->vhost));
        return;
    }
    if (e)
        exchange_gone(router, e);
    router_answer(router, op);
}

static void spread_link(struct router *router, const struct op *op, struct catalog_exchange *source,
                        struct catalog_exchange *destination)
{
    struct update u = {
        .kind = op->kind == OP_EXCHANGE_BIND ? UPDATE_BIND : UPDATE_UNBIND,
        .id = source->exchange.id,
        .other = destination->exchange.id,
        .key = name_span(&op->key),
        .arguments = op->arguments,
    };
    registrar_spread(router, &u, source);
}

static bool bindable(struct router *router, struct op *op, const struct catalog_exchange *source,
                     const struct catalog_exchange *destination)
{
    char text[2 * NAME_MAX_BYTES];
    if (exchange_binding_valid(source->exchange.type, &destination->exchange.self, name_span(&op->key),
                               op->arguments, text, sizeof text))
        return true;
    router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s", text);
    return false;
}

static void bind(struct router *router, struct op *op, struct catalog_exchange *source,
                 struct catalog_exchange *destination)
{
    struct span key = name_span(&op->key);
    if (exchange_binding(&source->exchange, &destination->exchange.self, key, op->arguments)) {
        router_answer(router, op);
        return;
    }
    if (!bindable(router, op, source, destination))
        return;
    struct binding *b = exchange_bind(&source->exchange, &destination->exchange.self, key, op->arguments);
    b->durable = source->durable && destination->durable;
    source->links++;
    if (b->durable && !router->store.failed)
        persist_binding(router, b, RECORD_LINKED);
    spread_link(router, op, source, destination);
    registrar_doubt(router, source);
    router_answer(router, op);
}

static void unbind(struct router *router, struct op *op, struct catalog_exchange *source,
                   struct catalog_exchange *destination)
{
    struct binding *b =
        exchange_binding(&source->exchange, &destination->exchange.self, name_span(&op->key), op->arguments);
    if (b) {
        if (b->durable && !router->store.failed)
            persist_binding(router, b, RECORD_UNLINKED);
        exchange_unbind(b);
        source->links--;
        spread_link(router, op, source, destination);
        registrar_doubt(router, source);
    }
    router_answer(router, op);
}

void registrar_on_op(struct router *router, struct op *op)
{
    struct catalog_exchange *source, *destination;
    switch (op->kind) {
    case OP_EXCHANGE_DECLARE:
        declare(router, op);
        return;
    case OP_EXCHANGE_DELETE:
        delete (router, op);
        return;
    case OP_EXCHANGE_BIND:
    case OP_EXCHANGE_UNBIND:
        source = find(router, op, &op->other);
        destination = find(router, op, &op->name);
        if ((!source || !destination) && op->kind == OP_EXCHANGE_UNBIND)
            router_answer(router, op); /* what isn't bound needs no unbinding */
        else if (!source || !destination)
            not_found(router, op, source ? &op->name : &op->other);
        else if (op->kind == OP_EXCHANGE_BIND)
            bind(router, op, source, destination);
        else
            unbind(router, op, source, destination);
        return;
    default:
        UNREACHABLE();
    }
}
