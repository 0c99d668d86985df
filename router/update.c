/* Every router's side of the registrar's work: telling it what is bound here, applying what it decides. */
#include <stdlib.h>

#include "base/check.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/dead_letter.h"
#include "router/hidden.h"
#include "router/history.h"
#include "router/policy_effect.h"
#include "router/repost.h"
#include "router/retain.h"

/* ---- telling ------------------------------------------------------------------------------------ */

static void tell(struct router *router, enum bound bound, struct catalog_exchange *e, struct shadow *shadow)
{
    router->told++;
    if (is_registrar(router)) {
        registrar_bound(router, 0, bound, e->exchange.id, 0, shadow);
        return;
    }
    *(struct peer_message *)link_add(&router->peer[0]) = (struct peer_message){.kind = PEER_BOUND,
                                                                               .bound = (uint8_t)bound,
                                                                               .number = router->told,
                                                                               .exchange = e->exchange.id,
                                                                               .shadow = shadow};
}

static struct shadow *shadow_of(const struct router *router, const struct binding *binding)
{
    struct shadow *s = malloc(sizeof *s);
    CHECK(s);
    s->router = router->options.index;
    s->queue = container_of(binding->destination, struct queue, destination)->handle;
    s->identity = binding->destination->identity;
    s->key = span_copy(binding->key);
    s->arguments = span_copy(binding->arguments);
    return s;
}

void bound_changed(struct router *router, struct catalog_exchange *e, const struct binding *binding,
                   bool added)
{
    e->queue_bindings += added ? 1 : (size_t)-1;
    stat_add(&router->stats.bindings, added ? 1 : -1);
    if (exchange_shown(e) && router->options.routers > 1)
        tell(router, added ? BOUND_ADD : BOUND_REMOVE, e, shadow_of(router, binding));
    if (added && e->queue_bindings == 1)
        tell(router, BOUND_FIRST, e, NULL);
    if (!added && e->queue_bindings == 0)
        tell(router, BOUND_LAST, e, NULL);
}

void shadows_tell(struct router *router, struct catalog_exchange *e)
{
    for (struct binding *b = e->exchange.bindings; b && router->options.routers > 1; b = b->on_exchange)
        if (!b->destination->exchange && !b->destination->remote)
            tell(router, BOUND_ADD, e, shadow_of(router, b));
}

/* ---- shadows ------------------------------------------------------------------------------------ */

/* Another router's queue, as far as exchanges that are shown know it. */
struct remote {
    struct map_node node;
    uint64_t router, queue;
    struct destination destination;
};

struct remote_key {
    uint64_t router, queue;
};

static bool is_remote(const struct map_node *node, const void *key)
{
    const struct remote *r = container_of(node, struct remote, node);
    const struct remote_key *k = key;
    return r->router == k->router && r->queue == k->queue;
}

static struct remote *remote_of(struct router *router, const struct shadow *of, bool make)
{
    struct remote_key key = {of->router, of->queue};
    uint64_t hash = hash_id(of->queue ^ of->router << 56);
    struct map_node *node = map_find(&router->catalog.shadows, hash, is_remote, &key);
    if (node || !make)
        return node ? container_of(node, struct remote, node) : NULL;
    struct remote *r = calloc(1, sizeof *r);
    CHECK(r);
    r->router = of->router;
    r->queue = of->queue;
    r->destination.remote = true;
    r->destination.identity = of->identity;
    map_add(&router->catalog.shadows, &r->node, hash);
    return r;
}

static void remote_unneeded(struct router *router, struct destination *destination)
{
    struct remote *r = container_of(destination, struct remote, destination);
    if (destination->bindings)
        return;
    map_remove(&router->catalog.shadows, &r->node);
    free(r);
}

static void shadow_apply(struct router *router, struct catalog_exchange *e, const struct update *u)
{
    bool add = u->kind == UPDATE_SHADOW;
    struct remote *r = remote_of(router, &u->shadow, add);
    if (!r)
        return;
    struct binding *b = exchange_binding(&e->exchange, &r->destination, u->shadow.key, u->shadow.arguments);
    if (add && !b)
        exchange_bind(&e->exchange, &r->destination, u->shadow.key, u->shadow.arguments);
    if (!add && b)
        exchange_unbind(b);
    remote_unneeded(router, &r->destination);
}

static void free_shadow(struct map_node *node, void *owner)
{
    struct remote *r = container_of(node, struct remote, node);
    exchange_forget(&r->destination, NULL, NULL);
    map_remove(owner, node);
    free(r);
}

void shadows_free(struct router *router)
{
    map_each(&router->catalog.shadows, free_shadow, &router->catalog.shadows);
}

/* ---- applying ----------------------------------------------------------------------------------- */

static void put(struct router *router, struct update *u)
{
    struct catalog_exchange *e =
        catalog_exchange_new(&router->catalog, u->id, u->vhost, name_span(&u->name), u->type, u->arguments);
    u->arguments = (struct span){NULL, 0};
    e->alternate = u->alternate;
    e->shadowed = u->alternate.len;
    exchange_confirms(router, e);
    e->durable = u->durable;
    e->auto_delete = u->auto_delete;
    e->internal = u->internal;
    e->delayed = u->delayed;
    history_attach(router, e);
}

void exchange_forget_here(struct router *router, struct catalog_exchange *e)
{
    hidden_drop(router, e);
    for (struct binding *b = e->exchange.bindings, *next; b; b = next) {
        struct destination *d = b->destination;
        next = b->on_exchange;
        exchange_unbind(b);
        if (d->remote)
            remote_unneeded(router, d);
        else if (!d->exchange)
            stat_add(&router->stats.bindings, -1);
    }
    catalog_exchange_delete(&router->catalog, e);
}

static void link_exchanges(struct router *router, struct catalog_exchange *e, const struct update *u)
{
    struct catalog_exchange *to = catalog_exchange_by_id(&router->catalog, u->other);
    struct binding *b = to ? exchange_binding(&e->exchange, &to->exchange.self, u->key, u->arguments) : NULL;
    if (to && !b && u->kind == UPDATE_BIND)
        exchange_bind(&e->exchange, &to->exchange.self, u->key, u->arguments);
    if (b && u->kind == UPDATE_UNBIND)
        exchange_unbind(b);
}

void update_apply(struct router *router, struct update *u)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, u->id);
    if (u->kind == UPDATE_PUT && !e)
        put(router, u);
    if (u->kind == UPDATE_GONE && e)
        exchange_forget_here(router, e);
    if (u->kind == UPDATE_INTEREST && e)
        e->interest = u->other;
    if ((u->kind == UPDATE_BIND || u->kind == UPDATE_UNBIND) && e)
        link_exchanges(router, e, u);
    if ((u->kind == UPDATE_SHADOW || u->kind == UPDATE_UNSHADOW) && e)
        shadow_apply(router, e, u);
    if (u->kind == UPDATE_ALTERNATE && e)
        e->alternate = u->alternate;
    if (u->kind == UPDATE_POLICY) {
        policy_set_here(router, u->policy);
        u->policy = NULL;
    }
    if (u->kind == UPDATE_POLICY_GONE)
        policy_gone_here(router, u->policy);
    if (u->kind == UPDATE_ACCESS)
        access_change_here(router, u->arguments);
    update_free(u);
}

void router_on_peer(struct router *router, unsigned from, const struct peer_message *m)
{
    bool took;
    switch ((enum peer_kind)m->kind) {
    case PEER_BOUND:
        registrar_bound(router, from, m->bound, m->exchange, m->number, m->shadow);
        return;
    case PEER_KNOWN:
        router->known = m->number;
        return;
    case PEER_UPDATE:
        took = m->update->kind == UPDATE_ACCESS && access_takes(m->update->arguments);
        update_apply(router, m->update);
        access_applied(router, m->number, took);
        return;
    case PEER_APPLIED:
        registrar_applied(router, m->number);
        return;
    case PEER_REPOST:
        router_on_repost(router, from, m->letter);
        return;
    case PEER_HISTORY:
        router_on_history(router, m->exchange, m->request);
        return;
    case PEER_RETAINED:
        router_on_retained(router, m->exchange, m->retained);
        return;
    case PEER_REPOSTED:
        dead_letter_answered(router, m->exchange, m->number, m->bound);
        return;
    }
    UNREACHABLE();
}

/* ---- before the first poll ---------------------------------------------------------------------- */

static void adopt(struct map_node *node, void *owner)
{
    struct router *router = owner;
    const struct catalog_exchange *from = container_of(node, struct catalog_exchange, by_name);
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, from->exchange.id);
    if (e) { /* one that exists by itself */
        e->alternate = from->alternate;
        e->shadowed = from->shadowed;
        exchange_confirms(router, e);
        return;
    }
    e = catalog_exchange_new(&router->catalog, from->exchange.id, from->vhost, name_span(&from->name),
                             from->exchange.type, span_copy(from->arguments));
    e->alternate = from->alternate;
    e->shadowed = from->shadowed;
    e->durable = from->durable;
    e->auto_delete = from->auto_delete;
    e->internal = from->internal;
    e->delayed = from->delayed;
    exchange_confirms(router, e);
}

static void adopt_links(struct map_node *node, void *owner)
{
    struct router *router = owner;
    const struct catalog_exchange *from = container_of(node, struct catalog_exchange, by_name);
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, from->exchange.id);
    for (struct binding *b = from->exchange.bindings; b; b = b->on_exchange) {
        if (!b->destination->exchange)
            continue;
        struct catalog_exchange *to = catalog_exchange_by_id(&router->catalog, b->destination->exchange->id);
        exchange_bind(&e->exchange, &to->exchange.self, b->key, b->arguments);
    }
}

void catalog_adopt(struct router *router, const struct router *registrar)
{
    struct map *exchanges = (struct map *)(uintptr_t)&registrar->catalog.exchanges;
    access_adopt(router, registrar);
    policies_adopt(router, registrar);
    map_each(exchanges, adopt, router);
    map_each(exchanges, adopt_links, router);
}

static void predeclare(struct router *router, uint32_t vhost, const char *name, enum exchange_type type,
                       bool internal)
{
    struct span n = span_str(name);
    uint64_t id = hash_bytes(n, vhost) | UINT64_C(1) << 63; /* never one that was counted */
    struct catalog_exchange *e =
        catalog_exchange_new(&router->catalog, id, vhost, n, type, (struct span){NULL, 0});
    e->durable = true;
    e->internal = internal;
}

void catalog_predeclare(struct router *router, uint32_t vhost)
{
    predeclare(router, vhost, "", EXCHANGE_DIRECT, false);
    predeclare(router, vhost, "amq.direct", EXCHANGE_DIRECT, false);
    predeclare(router, vhost, "amq.fanout", EXCHANGE_FANOUT, false);
    predeclare(router, vhost, "amq.topic", EXCHANGE_TOPIC, false);
    predeclare(router, vhost, "amq.headers", EXCHANGE_HEADERS, false);
    predeclare(router, vhost, "amq.match", EXCHANGE_HEADERS, false);
    predeclare(router, vhost, "amq.rabbitmq.trace", EXCHANGE_TOPIC, true);
}
