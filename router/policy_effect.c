#include "router/policy_effect.h"

#include "base/check.h"
#include "base/log.h"
#include "router/agent.h"
#include "router/settings.h"
#include "router/shape.h"
#include "router/table.h"

/* ---- queues -------------------------------------------------------------------------------------- */

/* Reads what the arguments say, and finds the policies. Returns whether these are others than before. */
static bool find_policies(struct router *router, struct queue *queue, struct settings *settings)
{
    struct span name = name_span(&queue->name);
    const struct policy *before[] = {queue->policy, queue->operator_policy};
    settings_load(settings, queue->arguments);
    queue->policy = policy_of_queue(&router->policies, false, queue->vhost, name, settings);
    queue->operator_policy = policy_of_queue(&router->policies, true, queue->vhost, name, settings);
    return queue->policy != before[0] || queue->operator_policy != before[1];
}

static void reshape(struct router *router, struct queue *queue, struct settings *settings)
{
    if (queue->policy)
        settings_merge(settings, queue->policy->definition);
    if (queue->operator_policy)
        settings_merge(settings, queue->operator_policy->definition);
    shape_apply(router, queue, settings);
}

void queue_reshape(struct router *router, struct queue *queue)
{
    struct settings settings;
    find_policies(router, queue, &settings);
    reshape(router, queue, &settings);
}

/* ---- exchanges ----------------------------------------------------------------------------------- */

static void take_name(struct span table, struct name *name)
{
    struct field field;
    name->len = 0;
    if (table_find(table, POLICY_ALTERNATE_EXCHANGE, &field) && field.type == 'S' &&
        field.value.len <= NAME_MAX_BYTES)
        name_set(name, field.value);
}

void alternate_by_arguments(struct span arguments, struct name *alternate)
{
    take_name(arguments, alternate);
}

/* The default exchange has none: its keys name queues. */
void alternate_wanted(struct router *router, const struct catalog_exchange *e, struct name *alternate)
{
    alternate_by_arguments(e->arguments, alternate);
    if (alternate->len || e->is_default)
        return;
    const struct policy *policy = policy_of_exchange(&router->policies, e->vhost, name_span(&e->name));
    if (policy)
        take_name(policy->definition, alternate);
}

void exchange_confirms(struct router *router, struct catalog_exchange *e)
{
    struct field field = {0};
    const struct policy *policy =
        e->is_default ? NULL : policy_of_exchange(&router->policies, e->vhost, name_span(&e->name));
    bool said = policy && table_find(policy->definition, POLICY_CONFIRM, &field);
    e->confirm_ram = said && span_is(field.value, "ram");
    e->confirm_disk = said && span_is(field.value, "disk");
}

/* While the router recovers, it has the alternate at once. Later the exchange is shadowed first; the
 * registrar says when it has it (policies_settle). */
static void look_at_exchange(struct router *router, struct catalog_exchange *e)
{
    struct name wanted;
    alternate_wanted(router, e, &wanted);
    exchange_confirms(router, e);
    if (router->recovering) {
        e->alternate = wanted;
        e->shadowed = wanted.len;
        return;
    }
    if (!wanted.len || e->shadowed)
        return;
    bool shown = exchange_shown(e);
    if (is_registrar(router))
        registrar_shadowed(router, e);
    e->shadowed = true;
    if (!shown)
        shadows_tell(router, e);
}

/* ---- all of a virtual host ------------------------------------------------------------------------- */

struct look {
    struct router *router;
    uint32_t vhost;
};

/* A policy that was set again is another one. A queue that keeps its policies is left alone: its time of
 * being unused goes on. */
static void look_at_queue(struct map_node *node, void *owner)
{
    const struct look *look = owner;
    struct queue *queue = container_of(node, struct queue, by_name);
    struct settings settings;
    if (queue->vhost == look->vhost && find_policies(look->router, queue, &settings))
        reshape(look->router, queue, &settings);
}

static void look_at_named(struct map_node *node, void *owner)
{
    const struct look *look = owner;
    struct catalog_exchange *e = container_of(node, struct catalog_exchange, by_name);
    if (e->vhost == look->vhost)
        look_at_exchange(look->router, e);
}

static void look_at_all(struct router *router, uint32_t vhost)
{
    struct look look = {router, vhost};
    map_each(&router->catalog.queues, look_at_queue, &look);
    map_each(&router->catalog.exchanges, look_at_named, &look);
}

/* ---- policies ------------------------------------------------------------------------------------ */

struct policy *policy_adopted(const struct policy *policy)
{
    char why[2 * NAME_MAX_BYTES];
    struct policy *copy = policy_copy(policy, why, sizeof why);
    if (!copy->code)
        log_line(LOG_WARNING, "router", "policy '%.*s' fits nothing: %s", copy->name.len, copy->name.bytes,
                 why);
    return copy;
}

void policy_set_here(struct router *router, struct policy *policy)
{
    struct policy *old = policies_put(&router->policies, policy);
    look_at_all(router, policy->vhost);
    policy_free(old);
}

void policy_gone_here(struct router *router, const struct policy *which)
{
    struct policy *policy =
        policies_find(&router->policies, which->vhost, which->is_operator, name_span(&which->name));
    if (!policy)
        return;
    policies_remove(&router->policies, policy);
    look_at_all(router, policy->vhost);
    policy_free(policy);
}

void policies_adopt(struct router *router, const struct router *registrar)
{
    for (const struct policy *p = registrar->policies.first; p; p = p->next)
        CHECK(!policies_put(&router->policies, policy_adopted(p)));
}
