/*
 * The registrar's ops on policies. A change is journalled, spread to the other routers, applied here, and
 * answered when it is safe and in force everywhere. Exchanges get their alternates last: a router that knows
 * of the alternate must already know what the others have bound.
 */
#include <stdio.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/policy_effect.h"

#define NAME(n) (n).len, (n).bytes

static const char *kind_of(const struct op *op)
{
    return op->flags & OP_OPERATOR ? "operator policy" : "policy";
}

static void refuse(struct router *router, struct op *op, const char *why)
{
    router_refuse(router, op, ERR_PRECONDITION_FAILED, "%s '%.*s' in vhost '%s': %s", kind_of(op),
                  NAME(op->name), router_vhost_name(router, op->vhost), why);
}

/* To be answered by policies_settle. */
static void change(struct router *router, struct op *op, enum update_kind kind, struct policy *policy)
{
    struct op **at = &router->registrar.policies;
    persist_policy(router, policy, kind == UPDATE_POLICY ? RECORD_POLICY : RECORD_POLICY_GONE);
    registrar_spread(router, &(struct update){.kind = kind, .policy = policy}, NULL);
    op->lsn = store_lsn(&router->store);
    op->update = router->registrar.number;
    op->next = NULL;
    while (*at)
        at = &(*at)->next;
    *at = op;
    if (kind == UPDATE_POLICY)
        policy_set_here(router, policy);
    else
        policy_gone_here(router, policy);
}

static bool has_failed(struct router *router, struct op *op)
{
    if (router->store.failed)
        router_refuse(router, op, ERR_INTERNAL,
                      "the journal of router 0 has failed: no policy can be changed");
    return router->store.failed;
}

/* Whether there may be one more. */
static bool has_room(struct router *router, const struct op *op)
{
    return router->policies.count < POLICIES_MAX ||
           policies_find(&router->policies, op->vhost, op->flags & OP_OPERATOR, name_span(&op->name));
}

static void set(struct router *router, struct op *op)
{
    char why[2 * NAME_MAX_BYTES + 256];
    enum policy_target target = policy_target_of(name_span(&op->type));
    struct policy policy = {
        .vhost = op->vhost,
        .is_operator = op->flags & OP_OPERATOR,
        .target = (uint8_t)target,
        .priority = op->priority,
        .name = op->name,
        .pattern = op->key,
        .definition = op->arguments,
    };
    if (has_failed(router, op))
        return;
    snprintf(
        why, sizeof why,
        "unknown apply-to '%.*s': it is all, queues, classic_queues, quorum_queues, streams or exchanges",
        NAME(op->type));
    if (target == POLICY_TARGETS || !policy_check(op->arguments, policy.is_operator, why, sizeof why)) {
        refuse(router, op, why);
        return;
    }
    if (!op->name.len || !has_room(router, op)) {
        refuse(router, op, op->name.len ? "there are as many policies as there may be" : "it needs a name");
        return;
    }
    struct policy *made = policy_copy(&policy, why, sizeof why);
    if (made->code && !(op->flags & OP_ONLY_CHECK)) {
        change(router, op, UPDATE_POLICY, made);
        return;
    }
    if (made->code)
        router_answer_now(router, op);
    else
        refuse(router, op, why);
    policy_free(made);
}

static void clear(struct router *router, struct op *op)
{
    struct policy *policy =
        policies_find(&router->policies, op->vhost, op->flags & OP_OPERATOR, name_span(&op->name));
    if (has_failed(router, op))
        return;
    if (policy)
        change(router, op, UPDATE_POLICY_GONE, policy);
    else
        router_refuse(router, op, ERR_NOT_FOUND, "no %s '%.*s' in vhost '%s'", kind_of(op), NAME(op->name),
                      router_vhost_name(router, op->vhost));
}

void policy_on_op(struct router *router, struct op *op)
{
    if (op->kind == OP_POLICY_SET)
        set(router, op);
    else
        clear(router, op);
}

/* One whose bindings aren't known everywhere yet is a later op's. */
static void settle(struct router *router, struct catalog_exchange *e)
{
    struct name wanted;
    alternate_wanted(router, e, &wanted);
    if (e->shadowed_at > router->registrar.known || span_equal(name_span(&wanted), name_span(&e->alternate)))
        return;
    e->alternate = wanted;
    struct update u = {.kind = UPDATE_ALTERNATE, .id = e->exchange.id, .alternate = wanted};
    registrar_spread(router, &u, e);
    registrar_doubt(router, e);
}

/* The journal may have failed since its record was appended. */
static void answer(struct router *router, struct op *op)
{
    op->flags |= OP_DURABLE;
    if (router->store.failed && op->lsn > router->store.safe)
        router_refuse(router, op, ERR_INTERNAL,
                      "the journal of router 0 has failed: this was not made durable");
    else
        router_answer(router, op);
}

unsigned policies_settle(struct router *router)
{
    struct registrar *r = &router->registrar;
    unsigned settled = 0;
    for (struct op *op; (op = r->policies) && op->update <= r->known; settled++) {
        r->policies = op->next;
        for (struct catalog_exchange *e = r->alternates; e; e = e->alternate_next)
            settle(router, e);
        answer(router, op);
    }
    return settled;
}
