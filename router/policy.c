#include "router/policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "router/catalog.h"
#include "router/table.h"

static const char *const targets[POLICY_TARGETS] = {"all",           "queues",  "classic_queues",
                                                    "quorum_queues", "streams", "exchanges"};

/* What an operator policy may say: what can be lowered. */
static const char *const operator_keys[] = {
    "expires",          "message-ttl",          "max-length",
    "max-length-bytes", "max-in-memory-length", "max-in-memory-bytes",
    "delivery-limit",
};

enum policy_target policy_target_of(struct span word)
{
    unsigned i = 0;
    while (i < POLICY_TARGETS && !span_is(word, targets[i]))
        i++;
    return (enum policy_target)i;
}

const char *policy_target_name(uint8_t target)
{
    return target < POLICY_TARGETS ? targets[target] : "?";
}

/* ---- definitions --------------------------------------------------------------------------------- */

static bool is_operators(struct span key)
{
    for (unsigned i = 0; i < sizeof operator_keys / sizeof *operator_keys; i++)
        if (span_is(key, operator_keys[i]))
            return true;
    return false;
}

static bool check_alternate(const struct field *field, char *text, size_t text_size)
{
    if (field->type == 'S' && field->value.len && field->value.len <= NAME_MAX_BYTES)
        return true;
    snprintf(text, text_size, "invalid value for '%s': it is the name of an exchange",
             POLICY_ALTERNATE_EXCHANGE);
    return false;
}

static bool check_field(struct span one, const struct field *field, bool is_operator, char *text,
                        size_t text_size)
{
    if (!is_operator && span_is(field->name, POLICY_ALTERNATE_EXCHANGE))
        return check_alternate(field, text, text_size);
    if (!settings_check_policy(one, text, text_size))
        return false;
    if (is_operator && !is_operators(field->name)) {
        snprintf(text, text_size, "'%.*s' is not something an operator policy can say", (int)field->name.len,
                 (const char *)field->name.at);
        return false;
    }
    return true;
}

bool policy_check(struct span definition, bool is_operator, char *text, size_t text_size)
{
    struct field field;
    if (definition.len == 0 || definition.len > POLICY_DEFINITION_BYTES) {
        snprintf(text, text_size,
                 definition.len ? "the definition is too long" : "the definition says nothing");
        return false;
    }
    for (struct span rest = definition, before = rest; table_next(&rest, &field); before = rest)
        if (!check_field(span_of(before.at, before.len - rest.len), &field, is_operator, text, text_size))
            return false;
    return true;
}

/* ---- making one ---------------------------------------------------------------------------------- */

struct policy *policy_copy(const struct policy *policy, char *text, size_t text_size)
{
    struct policy *copy = malloc(sizeof *copy);
    CHECK(copy);
    *copy = *policy;
    copy->next = NULL;
    copy->warned = false;
    copy->definition = span_copy(policy->definition);
    copy->code = pattern_compile(name_span(&copy->pattern), text, text_size);
    return copy;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    pattern_free(policy->code);
    free((void *)(uintptr_t)policy->definition.at);
    free(policy);
}

/* ---- the table ----------------------------------------------------------------------------------- */

void policies_free(struct policies *policies)
{
    for (struct policy *p = policies->first, *next; p; p = next) {
        next = p->next;
        policy_free(p);
    }
    pattern_scratch_free(&policies->scratch);
    *policies = (struct policies){0};
}

/* Less than 0: a is tried before b. */
static int compare(const struct policy *a, const struct policy *b)
{
    if (a->vhost != b->vhost)
        return a->vhost < b->vhost ? -1 : 1;
    if (a->is_operator != b->is_operator)
        return a->is_operator ? 1 : -1;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    unsigned len = a->name.len < b->name.len ? a->name.len : b->name.len;
    int order = memcmp(a->name.bytes, b->name.bytes, len);
    return order ? order : a->name.len - b->name.len;
}

struct policy *policies_find(const struct policies *policies, uint32_t vhost, bool is_operator,
                             struct span name)
{
    struct policy *p = policies->first;
    while (p &&
           !(p->vhost == vhost && p->is_operator == is_operator && span_equal(name_span(&p->name), name)))
        p = p->next;
    return p;
}

void policies_remove(struct policies *policies, struct policy *policy)
{
    struct policy **at = &policies->first;
    while (*at != policy)
        at = &(*at)->next;
    *at = policy->next;
    policy->next = NULL;
    policies->count--;
}

struct policy *policies_put(struct policies *policies, struct policy *policy)
{
    struct policy *old =
        policies_find(policies, policy->vhost, policy->is_operator, name_span(&policy->name));
    if (old)
        policies_remove(policies, old);
    struct policy **at = &policies->first;
    while (*at && compare(*at, policy) < 0)
        at = &(*at)->next;
    policy->next = *at;
    *at = policy;
    policies->count++;
    return old;
}

/* ---- matching ------------------------------------------------------------------------------------ */

static bool fits_name(struct policies *policies, struct policy *policy, struct span name)
{
    if (!policy->code)
        return false;
    enum pattern_match match = pattern_match(policy->code, &policies->scratch, name);
    if (match != PATTERN_COSTLY || policy->warned)
        return match == PATTERN_FITS;
    policy->warned = true;
    log_line(LOG_WARNING, "router",
             "policy '%.*s': its pattern takes too many steps on '%.*s' and is taken not to fit: simplify it",
             policy->name.len, policy->name.bytes, (int)name.len, (const char *)name.at);
    return false;
}

static bool is_of_queues(uint8_t target, enum queue_type type)
{
    switch ((enum policy_target)target) {
    case POLICY_ALL:
    case POLICY_QUEUES:
        return true;
    case POLICY_CLASSIC_QUEUES:
        return type == TYPE_CLASSIC;
    case POLICY_QUORUM_QUEUES:
        return type == TYPE_QUORUM;
    case POLICY_STREAMS:
        return type == TYPE_STREAM;
    default:
        return false;
    }
}

struct policy *policy_of_queue(struct policies *policies, bool is_operator, uint32_t vhost, struct span name,
                               const struct settings *declared)
{
    for (struct policy *p = policies->first; p; p = p->next)
        if (p->vhost == vhost && p->is_operator == is_operator &&
            is_of_queues(p->target, settings_type(declared)) &&
            settings_policy_fits(declared, p->definition) && fits_name(policies, p, name))
            return p;
    return NULL;
}

struct policy *policy_of_exchange(struct policies *policies, uint32_t vhost, struct span name)
{
    for (struct policy *p = policies->first; p; p = p->next)
        if (p->vhost == vhost && !p->is_operator &&
            (p->target == POLICY_ALL || p->target == POLICY_EXCHANGES) && fits_name(policies, p, name))
            return p;
    return NULL;
}
