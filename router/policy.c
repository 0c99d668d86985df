#include "router/policy.h"

#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/check.h"
#include "base/log.h"
#include "router/catalog.h"
#include "router/table.h"

/* Of one pattern against one name: steps, and KiB of memory. What needs more doesn't fit. Names are short: an
 * honest pattern needs a few hundred steps. */
enum { STEPS_MAX = 10000, MATCH_KIB_MAX = 1024 };

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

/* As RabbitMQ's: of bytes, found anywhere in the name. */
static pcre2_code *compile(struct span pattern, char *text, size_t text_size)
{
    int error;
    PCRE2_SIZE at;
    uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *code =
        pcre2_compile(pattern.at ? pattern.at : (const uint8_t *)"", pattern.len, options, &error, &at, NULL);
    if (code)
        return code;
    PCRE2_UCHAR why[128] = "";
    pcre2_get_error_message(error, why, sizeof why);
    snprintf(text, text_size, "the pattern '%.*s' is not a regular expression: %s, at offset %zu",
             (int)pattern.len, (const char *)pattern.at, (const char *)why, (size_t)at);
    return NULL;
}

struct policy *policy_copy(const struct policy *policy, char *text, size_t text_size)
{
    struct policy *copy = malloc(sizeof *copy);
    CHECK(copy);
    *copy = *policy;
    copy->next = NULL;
    copy->warned = false;
    copy->definition = span_copy(policy->definition);
    copy->code = compile(name_span(&copy->pattern), text, text_size);
    return copy;
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    pcre2_code_free(policy->code);
    free((void *)(uintptr_t)policy->definition.at);
    free(policy);
}

/* ---- the table ----------------------------------------------------------------------------------- */

struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

void policies_free(struct policies *policies)
{
    struct scratch *scratch = policies->scratch;
    for (struct policy *p = policies->first, *next; p; p = next) {
        next = p->next;
        policy_free(p);
    }
    if (scratch) {
        pcre2_match_data_free(scratch->data);
        pcre2_match_context_free(scratch->context);
    }
    free(scratch);
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

static struct scratch *scratch_of(struct policies *policies)
{
    struct scratch *s = policies->scratch;
    if (s)
        return s;
    policies->scratch = s = malloc(sizeof *s);
    CHECK(s);
    s->data = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    CHECK(s->data && s->context);
    pcre2_set_match_limit(s->context, STEPS_MAX);
    pcre2_set_heap_limit(s->context, MATCH_KIB_MAX);
    return s;
}

static bool fits_name(struct policies *policies, struct policy *policy, struct span name)
{
    struct scratch *s = scratch_of(policies);
    if (!policy->code)
        return false;
    const uint8_t *at = name.at ? name.at : (const uint8_t *)"";
    int found = pcre2_match(policy->code, at, name.len, 0, 0, s->data, s->context);
    if (found >= 0 || found == PCRE2_ERROR_NOMATCH || policy->warned)
        return found >= 0;
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
