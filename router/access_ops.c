/*
 * Access is the registrar's, as exchanges and policies are: a change is a record, an update to routers and
 * fronts, and then an answer.
 *
 * What the configuration says of users and virtual hosts counts as long as the journal says nothing of them.
 * A journal of before Gannet had users knows exchanges and queues of the configured virtual hosts only by
 * their ids: so a registrar begins with these, and drops them after its replay if the journal doesn't have
 * them.
 */
#include "router/access_ops.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/tally.h"
#include "router/agent.h"
#include "router/hidden.h"
#include "router/policy_effect.h"

static_assert(2 * BLOCK_BYTES + sizeof(struct record_access) + ACCESS_PACKED_BYTES_MAX <= PAGE_BYTES,
              "a change is a record");

/* ---- what a virtual host takes with it -------------------------------------------------------------------
 */

struct look {
    struct router *router;
    uint32_t vhost;
};

static void end_queue(struct map_node *node, void *owner)
{
    const struct look *look = owner;
    struct queue *queue = container_of(node, struct queue, by_name);
    if (queue->vhost == look->vhost)
        router_delete_queue(look->router, queue);
}

/* Others are told by the registrar. */
static void end_exchange(struct map_node *node, void *owner)
{
    const struct look *look = owner;
    struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    if (e->vhost != look->vhost)
        return;
    if (look->router->recovering)
        catalog_exchange_delete(&look->router->catalog, e);
    else if (is_registrar(look->router))
        exchange_gone(look->router, e);
}

/* Queues are gone before; but during a replay they are still there. */
static void end_policies(struct router *router, uint32_t vhost)
{
    for (struct policy *p = router->policies.first, *next; p; p = next) {
        next = p->next;
        if (p->vhost != vhost)
            continue;
        if (router->recovering) {
            policy_gone_here(router, p);
            continue;
        }
        policies_remove(&router->policies, p);
        policy_free(p);
    }
}

static void end_vhost(struct router *router, uint32_t vhost)
{
    struct look look = {router, vhost};
    if (!router->recovering) /* else all of them are looked at when the replay is done */
        map_each(&router->catalog.queues, end_queue, &look);
    end_policies(router, vhost);
    map_each(&router->catalog.exchanges, end_exchange, &look);
}

/* ---- changes ----------------------------------------------------------------------------------------- */

static void apply(struct router *router, const struct access_change *change)
{
    uint32_t vhost = access_vhost(router->access, change->text[TEXT_VHOST]);
    access_apply(router->access, change);
    bool there = access_vhost(router->access, change->text[TEXT_VHOST]);
    if (vhost && !there)
        end_vhost(router, vhost);
    else if (!vhost && there && is_registrar(router))
        catalog_predeclare(router, access_vhost_id(change->text[TEXT_VHOST]));
}

void access_change_here(struct router *router, struct span packed)
{
    struct access_change change;
    CHECK(access_unpack(packed, &change));
    apply(router, &change);
}

void access_replay(struct router *router, struct span packed)
{
    const struct access_first *first = router->options.first;
    struct access_change change;
    if (!access_unpack(packed, &change))
        return;
    router->access_known = true;
    for (size_t i = 0; first && i < first->vhost_count && change.kind == ACCESS_VHOST; i++)
        router->first_seen[i] |= span_is(change.text[TEXT_VHOST], first->vhosts[i]);
    apply(router, &change);
}

static void spread_put_of(struct map_node *node, void *owner)
{
    const struct look *look = owner;
    const struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    if (e->vhost == look->vhost)
        exchange_spread(look->router, e);
}

static void change(struct router *router, struct op *op, const struct access_change *change)
{
    uint32_t vhost = access_vhost_id(change->text[TEXT_VHOST]);
    bool was = access_has_vhost(router->access, vhost);
    persist_access(router, op->arguments);
    registrar_spread(router, &(struct update){.kind = UPDATE_ACCESS, .arguments = op->arguments}, NULL);
    apply(router, change);
    if (!was && access_has_vhost(router->access, vhost))
        map_each(&router->catalog.exchanges, spread_put_of, &(struct look){router, vhost});
    op->flags |= OP_DURABLE;
    router_answer(router, op);
}

void access_on_op(struct router *router, struct op *op)
{
    struct access_change c;
    enum error error = ERR_NONE;
    if (router->store.failed)
        router_refuse(
            router, op, ERR_INTERNAL,
            "the journal of router 0 has failed: users, virtual hosts and permissions can't be changed");
    else if (!access_unpack(op->arguments, &c))
        router_refuse(router, op, ERR_SYNTAX, "this is no change of access");
    else if ((error = access_check(router->access, &c, op->flags & OP_NEW, op->text, sizeof op->text)) !=
             ERR_NONE) {
        op->error = error;
        router_answer(router, op);
    } else {
        change(router, op, &c);
    }
}

/* ---- records, replicas ----------------------------------------------------------------------------------
 */

static void save(const struct access_change *change, void *owner)
{
    struct span packed = access_pack(change);
    persist_access(owner, packed);
    free((void *)(uintptr_t)packed.at);
}

void access_save(struct router *router)
{
    access_each(router->access, save, router);
}

static void adopt(const struct access_change *change, void *owner)
{
    struct router *router = owner;
    access_apply(router->access, change);
}

void access_adopt(struct router *router, const struct router *registrar)
{
    access_each(registrar->access, adopt, router);
}

static void tell(const struct access_change *change, void *owner)
{
    registrar_tell_access(owner, access_pack(change));
}

void access_tell_fronts(struct router *router)
{
    access_each(router->access, tell, router);
}

/* ---- the start -------------------------------------------------------------------------------------------
 */

void access_begin(struct router *router)
{
    const struct access_first *first = router->options.first;
    router->access = access_new(router->options.tallies);
    router->first_seen = calloc(first ? first->vhost_count : 1, sizeof *router->first_seen);
    CHECK(router->first_seen);
    for (size_t i = 0; first && is_registrar(router) && i < first->vhost_count; i++) {
        struct access_change c = {.kind = ACCESS_VHOST, .text[TEXT_VHOST] = span_str(first->vhosts[i])};
        apply(router, &c);
    }
}

bool access_first_check(const struct access_first *first, char *error, size_t error_size)
{
    struct tallies *tallies = tallies_new();
    struct access *access = access_new(tallies);
    bool ok = first->vhost_count;
    if (!ok)
        snprintf(error, error_size, "no virtual host is configured: set vhosts = /");
    for (size_t i = 0; ok && i < first->vhost_count; i++) {
        struct access_change c = {.kind = ACCESS_VHOST, .text[TEXT_VHOST] = span_str(first->vhosts[i])};
        ok = access_check(access, &c, false, error, error_size) == ERR_NONE;
        if (ok)
            access_apply(access, &c);
    }
    access_free(access);
    tallies_free(tallies);
    return ok;
}

/* Who there is before anybody has said anything. Should this be lost, the next start says it again: a first
 * start on a full disk serves whoever needs no disk. */
static void make_first(struct router *router, const struct access_first *first)
{
    struct access_change user = {.kind = ACCESS_USER,
                                 .text = {[TEXT_USER] = span_str(first->user),
                                          [TEXT_PASSWORD] = span_str(first->password),
                                          [TEXT_TAGS] = span_str("administrator")}};
    access_apply(router->access, &user);
    for (size_t i = 0; i < first->vhost_count; i++) {
        struct access_change may = {.kind = ACCESS_PERMISSION,
                                    .text = {[TEXT_USER] = span_str(first->user),
                                             [TEXT_VHOST] = span_str(first->vhosts[i]),
                                             [TEXT_CONFIGURE] = span_str(".*"),
                                             [TEXT_WRITE] = span_str(".*"),
                                             [TEXT_READ] = span_str(".*")}};
        access_apply(router->access, &may);
    }
    access_save(router);
    store_flush(&router->store); /* so that nothing else stands in its last block */
    router->first_lsn = store_lsn(&router->store);
}

void access_replayed(struct router *router)
{
    const struct access_first *first = router->options.first;
    for (size_t i = 0; first && i < first->vhost_count && router->access_known; i++) {
        struct access_change gone = {.kind = ACCESS_VHOST_GONE,
                                     .text[TEXT_VHOST] = span_str(first->vhosts[i])};
        if (!router->first_seen[i])
            apply(router, &gone);
    }
}

/* Its virtual host went, and the broker was killed before the queue did. */
static void end_orphan(struct map_node *node, void *owner)
{
    struct router *router = owner;
    struct queue *queue = container_of(node, struct queue, by_name);
    if (!is_hidden(queue->vhost) && !access_has_vhost(router->access, queue->vhost))
        router_delete_queue(router, queue);
}

static void count_queue(struct map_node *node, void *owner)
{
    struct router *router = owner;
    access_add_queue(router->access, container_of(node, struct queue, by_name)->vhost, true);
}

void access_start(struct router *router)
{
    map_each(&router->catalog.queues, count_queue, router);
    if (is_registrar(router) && router->options.first && !router->access_known)
        make_first(router, router->options.first);
    map_each(&router->catalog.queues, end_orphan, router);
}

/* ---- updates that took something away --------------------------------------------------------------------
 */

bool access_takes(struct span packed)
{
    return packed.at[0] == ACCESS_VHOST_GONE;
}

void access_applied(struct router *router, uint64_t update, bool took)
{
    *fifo_add(&router->applied) = (struct applied){update, took ? store_lsn(&router->store) : 0};
}

unsigned access_poll(struct router *router)
{
    unsigned told = 0;
    for (struct applied *a; (a = fifo_oldest(&router->applied)); told++) {
        if (a->lsn > router->store.safe && !router->store.failed)
            break;
        *(struct peer_message *)link_add(&router->peer[0]) =
            (struct peer_message){.kind = PEER_APPLIED, .number = a->update};
        fifo_drop_oldest(&router->applied);
    }
    return told;
}

/* ---- what is counted ----------------------------------------------------------------------------------- */

bool router_queue_counts(struct router *router, struct op *op)
{
    if (access_add_queue(router->access, op->vhost, false))
        return true;
    router_refuse(router, op, ERR_PRECONDITION_FAILED,
                  "cannot declare queue '%.*s': queue limit in vhost '%s' (%lld) is reached", op->name.len,
                  op->name.bytes, router_vhost_name(router, op->vhost),
                  (long long)access_vhost_limits(router->access, op->vhost)->most[LIMIT_QUEUES]);
    return false;
}
