/* The registrar: updates and who knows them; interest. The ops that cause updates are in exchange_ops.c. */
#include "router/registrar.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/history.h"
#include "router/policy_effect.h"

/* ---- updates on their way ---------------------------------------------------------------------- */

static struct pending_update *pending(struct registrar *r, uint64_t number)
{
    return &r->pending[number & r->pending_mask];
}

static void grow_pending(struct registrar *r)
{
    size_t room = r->pending ? 2 * (r->pending_mask + 1) : 64;
    struct pending_update *old = r->pending, *new = calloc(room, sizeof *new);
    CHECK(new);
    for (uint64_t n = r->known + 1; n <= r->number; n++)
        new[n & (room - 1)] = old[n & r->pending_mask];
    free(old);
    r->pending = new;
    r->pending_mask = room - 1;
}

static uint64_t next_number(struct registrar *r)
{
    if (!r->pending || r->number - r->known >= r->pending_mask)
        grow_pending(r);
    r->number++;
    pending(r, r->number)->waiting = 0;
    return r->number;
}

static void advance(struct registrar *r)
{
    while (r->known < r->number && pending(r, r->known + 1)->waiting == 0)
        r->known++;
}

void registrar_applied(struct router *router, uint64_t number)
{
    struct registrar *r = &router->registrar;
    CHECK(number > r->known && number <= r->number && pending(r, number)->waiting);
    pending(r, number)->waiting--;
    advance(r);
}

static void send_front(struct router *router, unsigned front, uint64_t number,
                       const struct catalog_exchange *e, bool gone)
{
    struct exchange_update *u = calloc(1, sizeof *u);
    CHECK(u);
    u->update = number;
    u->id = e->exchange.id;
    u->interest = e->interest;
    u->gone = gone;
    u->internal = e->internal;
    u->is_default = e->is_default;
    u->delayed = e->delayed;
    u->vhost = e->vhost;
    u->name_len = e->name.len;
    memcpy(u->name, e->name.bytes, e->name.len);
    router_event(router, front)->exchange = (struct event_exchange){.kind = EVENT_EXCHANGE, .update = u};
    pending(&router->registrar, number)->waiting++;
}

static void send_fronts(struct router *router, uint64_t number, const struct catalog_exchange *e, bool gone)
{
    for (unsigned f = 0; f < router->options.fronts; f++)
        send_front(router, f, number, e, gone);
}

/* To all fronts. */
static void send_access(struct router *router, uint64_t number, struct span packed)
{
    for (unsigned f = 0; f < router->options.fronts; f++) {
        struct access_update *u = malloc(sizeof *u + packed.len);
        CHECK(u);
        u->update = number;
        u->len = (uint32_t)packed.len;
        put_span(u->packed, packed);
        router_event(router, f)->access = (struct event_access){.kind = EVENT_ACCESS, .update = u};
        pending(&router->registrar, number)->waiting++;
    }
}

void registrar_tell_access(struct router *router, struct span packed)
{
    send_access(router, next_number(&router->registrar), packed);
    free((void *)(uintptr_t)packed.at);
}

static struct update *copy_update(const struct update *update)
{
    struct update *copy = malloc(sizeof *copy);
    CHECK(copy);
    *copy = *update;
    copy->key = span_copy(update->key);
    copy->arguments = span_copy(update->arguments);
    copy->shadow.key = span_copy(update->shadow.key);
    copy->shadow.arguments = span_copy(update->shadow.arguments);
    copy->policy = update->policy ? policy_adopted(update->policy) : NULL;
    return copy;
}

void update_free(struct update *update)
{
    free((void *)(uintptr_t)update->key.at);
    free((void *)(uintptr_t)update->arguments.at);
    free((void *)(uintptr_t)update->shadow.key.at);
    free((void *)(uintptr_t)update->shadow.arguments.at);
    policy_free(update->policy);
    free(update);
}

void registrar_spread(struct router *router, struct update *update, const struct catalog_exchange *e)
{
    struct registrar *r = &router->registrar;
    update->number = next_number(r);
    for (unsigned i = 1; i < router->options.routers; i++) {
        bool own = update->kind >= UPDATE_SHADOW && update->shadow.router == i;
        if (own)
            continue;
        *(struct peer_message *)link_add(&router->peer[i]) = (struct peer_message){
            .kind = PEER_UPDATE, .number = update->number, .update = copy_update(update)};
        pending(r, update->number)->waiting++;
    }
    if (update->kind <= UPDATE_INTEREST)
        send_fronts(router, update->number, e, update->kind == UPDATE_GONE);
    if (update->kind == UPDATE_ACCESS)
        send_access(router, update->number, update->arguments);
    advance(r);
}

void shadow_free(struct shadow *shadow)
{
    if (!shadow)
        return;
    free((void *)(uintptr_t)shadow->key.at);
    free((void *)(uintptr_t)shadow->arguments.at);
    free(shadow);
}

/* ---- interest ---------------------------------------------------------------------------------- */

void registrar_doubt(struct router *router, struct catalog_exchange *e)
{
    struct registrar *r = &router->registrar;
    if (e->doubted)
        return;
    if (r->doubt_count == r->doubt_room) {
        r->doubt_room = r->doubt_room ? 2 * r->doubt_room : 16;
        r->doubts = realloc(r->doubts, r->doubt_room * sizeof *r->doubts);
        CHECK(r->doubts);
    }
    e->doubted = true;
    r->doubts[r->doubt_count++] = e->exchange.id;
}

static uint64_t interest_of(struct router *router, const struct catalog_exchange *e)
{
    uint64_t interest = e->bound | history_interest(router, e);
    for (const struct binding *b = e->exchange.bindings; b && e->links; b = b->on_exchange)
        if (b->destination->exchange)
            interest |= container_of(b->destination->exchange, struct catalog_exchange, exchange)->interest;
    struct exchange *alternate =
        catalog_alternate((struct exchange *)(uintptr_t)&e->exchange, &router->catalog);
    if (alternate)
        interest |= container_of(alternate, struct catalog_exchange, exchange)->interest;
    return interest;
}

/* Whoever passes messages on to the exchange inherits its interest. In a circle of exchanges a router may
 * stay in the set though its last binding is gone: it is then sent what it has no queue for, which is only
 * slower. */
static void doubt_sources(struct router *router, struct catalog_exchange *e)
{
    for (struct binding *b = e->exchange.self.bindings; b; b = b->for_destination)
        registrar_doubt(router, container_of(b->source, struct catalog_exchange, exchange));
    for (struct catalog_exchange *a = router->registrar.alternates; a; a = a->alternate_next)
        if (a->vhost == e->vhost && span_equal(name_span(&a->alternate), name_span(&e->name)))
            registrar_doubt(router, a);
}

static void delete_unbound(struct router *router, struct catalog_exchange *e)
{
    doubt_sources(router, e);
    exchange_gone(router, e);
}

static void look_at(struct router *router, uint64_t id)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, id);
    if (!e)
        return;
    e->doubted = false;
    if (e->bound || e->links)
        e->was_bound = true;
    else if (e->auto_delete && e->was_bound) {
        delete_unbound(router, e);
        return;
    }
    uint64_t interest = interest_of(router, e);
    if (interest == e->interest)
        return;
    e->interest = interest;
    registrar_spread(router, &(struct update){.kind = UPDATE_INTEREST, .id = id, .other = interest}, e);
    doubt_sources(router, e);
}

void registrar_bound(struct router *router, unsigned from, enum bound bound, uint64_t id, uint64_t number,
                     struct shadow *shadow)
{
    struct catalog_exchange *e = catalog_exchange_by_id(&router->catalog, id);
    uint64_t bit = UINT64_C(1) << from;
    if (e && bound == BOUND_FIRST)
        e->bound |= bit;
    if (e && bound == BOUND_LAST)
        e->bound &= ~bit;
    if (e && shadow) {
        struct update u = {
            .kind = bound == BOUND_ADD ? UPDATE_SHADOW : UPDATE_UNSHADOW, .id = id, .shadow = *shadow};
        registrar_spread(router, &u, e);
        if (from != 0)
            update_apply(router, copy_update(&u));
    }
    shadow_free(shadow);
    if (e)
        registrar_doubt(router, e);
    /* The interest must be on its way before the number that stands for it is taken. At router 0 itself
     * router_answer sees to it, when the op that caused this no longer looks at the exchange. */
    if (from == 0)
        return;
    registrar_poll(router);
    struct registrar *r = &router->registrar;
    *fifo_add(&r->waits) = (struct peer_wait){from, number, r->number};
}
static unsigned tell(struct router *router)
{
    struct registrar *r = &router->registrar;
    unsigned told = 0;
    for (struct peer_wait *wait; (wait = fifo_oldest(&r->waits)) && wait->update <= r->known; told++) {
        *(struct peer_message *)link_add(&router->peer[wait->router]) =
            (struct peer_message){.kind = PEER_KNOWN, .number = wait->number};
        fifo_drop_oldest(&r->waits);
    }
    return told;
}

unsigned registrar_poll(struct router *router)
{
    struct registrar *r = &router->registrar;
    unsigned looked = 0;
    for (; r->doubt_count; looked++)
        look_at(router, r->doubts[--r->doubt_count]);
    advance(r);
    return looked + policies_settle(router) + tell(router);
}

void registrar_shadowed(struct router *router, struct catalog_exchange *e)
{
    e->shadowed = true;
    e->shadowed_at = router->registrar.number;
    e->alternate_next = router->registrar.alternates;
    router->registrar.alternates = e;
}

/* ---- start -------------------------------------------------------------------------------------- */

static void put_known(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    e->links = 0;
    for (struct binding *b = e->exchange.bindings; b; b = b->on_exchange)
        e->links += b->destination->exchange != NULL;
    if (e->shadowed)
        registrar_shadowed(router, e);
    send_fronts(router, next_number(&router->registrar), e, false);
    if (e->links)
        e->was_bound = true;
    registrar_doubt(router, e);
}

/* The other routers took the table over before they recovered (catalog_adopt): only the fronts are told. */
void registrar_start(struct router *router)
{
    access_tell_fronts(router);
    map_each(&router->catalog.exchanges, put_known, router);
    registrar_poll(router);
}

void registrar_free(struct router *router)
{
    struct registrar *r = &router->registrar;
    free(r->pending);
    fifo_free(&r->waits);
    free(r->doubts);
}
