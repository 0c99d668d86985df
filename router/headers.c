#include "router/headers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "router/table.h"

#define NAME_SEED 3u

/* A field that bindings ask for. Only its hash is known: who stands here is compared in full with the
 * message. */
struct field_node {
    struct map_node node;
    struct spot spot;
};

/* One field of a binding. */
struct condition {
    uint64_t hash; /* of name and value, or of the name alone */
    bool presence; /* no value: a header of that name is enough */
    struct field field;
    struct member member; /* in no spot: the rule is for all and stands elsewhere */
};

/* A binding's arguments, taken apart; their bytes are the binding's. */
struct rule {
    bool any;
    uint32_t count;
    struct condition conditions[];
};

static uint64_t name_hash(struct span name)
{
    return hash_keyed(name, NAME_SEED);
}

/* ---- the message's side --------------------------------------------------------------------------- */

#define NOBODY UINT32_MAX

struct header {
    struct field field;
    uint64_t hash, name_hash;
    uint32_t next, next_name; /* in the chains of by_hash and by_name */
    bool repeated;            /* an equal one came before: not in by_hash */
    bool repeated_name;       /* one of that name did: not in by_name */
};

/* The headers of the message that is being matched, hashed by name and by name and value. */
struct header_view {
    uint64_t of_match;
    struct header *headers;
    uint32_t count, room;
    uint32_t *by_hash, *by_name; /* chains' first, each `chains` of them in one block of memory */
    uint32_t chains;             /* a power of two, more than count */
};

void header_view_free(struct header_view *view)
{
    if (!view)
        return;
    free(view->headers);
    free(view->by_hash);
    free(view);
}

static void read_headers(struct header_view *view, struct span table)
{
    struct field field;
    view->count = 0;
    while (table_next(&table, &field)) {
        if (view->count == view->room) {
            view->room = view->room ? view->room * 2 : 16;
            view->headers = reallocarray(view->headers, view->room, sizeof *view->headers);
            CHECK(view->headers);
        }
        struct header *h = &view->headers[view->count++];
        *h = (struct header){.field = field, .hash = field_hash(&field), .name_hash = name_hash(field.name)};
    }
}

static void clear_chains(struct header_view *view)
{
    uint32_t chains = 16;
    while (chains <= view->count)
        chains *= 2;
    if (chains > view->chains) {
        free(view->by_hash);
        view->by_hash = reallocarray(NULL, 2 * (size_t)chains, sizeof *view->by_hash);
        CHECK(view->by_hash);
    }
    view->chains = chains;
    view->by_name = view->by_hash + chains;
    memset(view->by_hash, 0xff, 2 * (size_t)chains * sizeof *view->by_hash);
}

static bool has_field(const struct header_view *view, uint64_t hash, const struct field *field)
{
    for (uint32_t i = view->by_hash[hash & (view->chains - 1)]; i != NOBODY; i = view->headers[i].next) {
        const struct header *h = &view->headers[i];
        if (h->hash == hash && span_equal(h->field.name, field->name) && field_matches(&h->field, field))
            return true;
    }
    return false;
}

static bool has_name(const struct header_view *view, uint64_t hash, struct span name)
{
    for (uint32_t i = view->by_name[hash & (view->chains - 1)]; i != NOBODY; i = view->headers[i].next_name) {
        const struct header *h = &view->headers[i];
        if (h->name_hash == hash && span_equal(h->field.name, name))
            return true;
    }
    return false;
}

/* Repeated names and fields stay out, or a message full of them would make chains as long as itself. */
static void chain_headers(struct header_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        struct header *h = &view->headers[i];
        h->repeated_name = has_name(view, h->name_hash, h->field.name);
        if (!h->repeated_name) {
            uint32_t *first = &view->by_name[h->name_hash & (view->chains - 1)];
            h->next_name = *first;
            *first = i;
        }
        h->repeated = has_field(view, h->hash, &h->field);
        if (!h->repeated) {
            uint32_t *first = &view->by_hash[h->hash & (view->chains - 1)];
            h->next = *first;
            *first = i;
        }
    }
}

static const struct header_view *view_of(struct match *match, struct span table)
{
    if (!match->headers) {
        match->headers = calloc(1, sizeof *match->headers);
        CHECK(match->headers);
    }
    struct header_view *view = match->headers;
    if (view->of_match == match->number)
        return view;
    view->of_match = match->number;
    read_headers(view, table);
    clear_chains(view);
    chain_headers(view);
    return view;
}

/* ---- the bindings' side --------------------------------------------------------------------------- */

struct mode {
    const char *name;
    bool any, with_x;
};

static const struct mode modes[] = {
    {"all", false, false},
    {"any", true, false},
    {"all-with-x", false, true},
    {"any-with-x", true, true},
};

/* NULL when there is no such mode. */
static const struct mode *mode_of(struct span arguments)
{
    struct field field;
    if (!table_find(arguments, "x-match", &field))
        return &modes[0];
    for (unsigned i = 0; field.type == 'S' && i < sizeof modes / sizeof *modes; i++)
        if (span_is(field.value, modes[i].name))
            return &modes[i];
    return NULL;
}

/* As Erlang prints it; of types with more to them only the type. */
static void say_value(const struct field *field, char *text, size_t size)
{
    int64_t number;
    bool flag;
    if (field_int(field, &number))
        snprintf(text, size, "%" PRId64, number);
    else if (field_bool(field, &flag))
        snprintf(text, size, flag ? "true" : "false");
    else
        snprintf(text, size, "%s", field->type == 'V' ? "undefined" : field_type_name(field->type));
}

bool headers_arguments_valid(struct span arguments, char *text, size_t size)
{
    struct field field;
    char value[32];
    if (mode_of(arguments) || !table_find(arguments, "x-match", &field))
        return true;
    if (field.type == 'S') {
        int len = (int)(field.value.len < NAME_MAX_BYTES ? field.value.len : NAME_MAX_BYTES);
        snprintf(text, size,
                 "Invalid x-match field value <<\"%.*s\">>; expected all, any, all-with-x, or any-with-x",
                 len, (const char *)field.value.at);
    } else {
        say_value(&field, value, sizeof value);
        snprintf(text, size, "Invalid x-match field type %s (value %s); expected longstr",
                 field_type_name(field.type), value);
    }
    return false;
}

static bool counts(const struct field *field, const struct mode *mode)
{
    return !span_is(field->name, "x-match") && (mode->with_x || !span_starts(field->name, "x-"));
}

static uint32_t conditions_in(struct span arguments, const struct mode *mode)
{
    uint32_t n = 0;
    struct field field;
    while (table_next(&arguments, &field))
        n += counts(&field, mode);
    return n;
}

static struct rule *new_rule(struct span arguments)
{
    const struct mode *mode = mode_of(arguments);
    if (!mode)
        mode = &modes[0];
    uint32_t count = conditions_in(arguments, mode);
    struct rule *rule = calloc(1, sizeof *rule + count * sizeof rule->conditions[0]);
    CHECK(rule);
    rule->any = mode->any;
    struct field field;
    while (table_next(&arguments, &field)) {
        if (!counts(&field, mode))
            continue;
        struct condition *c = &rule->conditions[rule->count++];
        c->field = field;
        c->presence = field.type == 'V';
        c->hash = c->presence ? name_hash(field.name) : field_hash(&field);
    }
    return rule;
}

static bool is_same_hash(const struct map_node *node, const void *key)
{
    (void)node;
    (void)key;
    return true;
}

static struct field_node *find_field(const struct headers *headers, uint64_t hash)
{
    struct map_node *node = map_find(&headers->fields, hash, is_same_hash, NULL);
    return node ? container_of(node, struct field_node, node) : NULL;
}

static void place(struct headers *headers, struct condition *condition, struct binding *binding)
{
    struct field_node *f = find_field(headers, condition->hash);
    if (!f) {
        f = calloc(1, sizeof *f);
        CHECK(f);
        map_add(&headers->fields, &f->node, condition->hash);
    }
    spot_add(&f->spot, &condition->member, binding);
    headers->presences += condition->presence;
}

static struct condition *rarest(const struct headers *headers, struct rule *rule)
{
    struct condition *best = NULL;
    uint32_t fewest = UINT32_MAX;
    for (uint32_t i = 0; i < rule->count && fewest > 0; i++) {
        struct field_node *f = find_field(headers, rule->conditions[i].hash);
        uint32_t stand_there = f ? f->spot.count : 0;
        if (stand_there < fewest) {
            best = &rule->conditions[i];
            fewest = stand_there;
        }
    }
    return best;
}

void headers_add(struct headers *headers, struct binding *binding)
{
    struct rule *rule = new_rule(binding->arguments);
    binding->rule = rule;
    if (rule->any) {
        for (uint32_t i = 0; i < rule->count; i++)
            place(headers, &rule->conditions[i], binding);
    } else if (rule->count > 0) {
        place(headers, rarest(headers, rule), binding);
    } else {
        spot_add(&headers->always, &binding->member, binding);
    }
}

static void displace(struct headers *headers, struct condition *condition)
{
    struct spot *spot = spot_remove(&condition->member);
    headers->presences -= condition->presence;
    if (spot->count > 0)
        return;
    struct field_node *f = container_of(spot, struct field_node, spot);
    map_remove(&headers->fields, &f->node);
    free(f);
}

void headers_remove(struct headers *headers, struct binding *binding)
{
    struct rule *rule = binding->rule;
    if (binding->member.spot)
        spot_remove(&binding->member);
    for (uint32_t i = 0; i < rule->count; i++)
        if (rule->conditions[i].member.spot)
            displace(headers, &rule->conditions[i]);
    free(rule);
    binding->rule = NULL;
}

void headers_free(struct headers *headers)
{
    CHECK(headers->fields.count == 0 && headers->always.count == 0);
    CHECK(headers->presences == 0);
    map_free(&headers->fields);
}

/* ---- both together -------------------------------------------------------------------------------- */

static bool is_met(const struct condition *condition, const struct header_view *view)
{
    if (condition->presence)
        return has_name(view, condition->hash, condition->field.name);
    return has_field(view, condition->hash, &condition->field);
}

/* met: the condition at which the rule was found; of a rule for any it is enough. */
static bool rule_matches(const struct rule *rule, const struct condition *met, const struct header_view *view)
{
    if (rule->any)
        return is_met(met, view);
    for (uint32_t i = 0; i < rule->count; i++)
        if (!is_met(&rule->conditions[i], view))
            return false;
    return true;
}

static void try_spot(const struct spot *spot, const struct header_view *view, struct match *match)
{
    const struct spot_entry *entries = spot_entries(spot);
    for (uint32_t i = 0; i < spot->count; i++) {
        const struct spot_entry *e = &entries[i];
        if (match->hit && e->destination->matched == match->number)
            continue;
        const struct condition *met = container_of(e->member, struct condition, member);
        if (rule_matches(e->member->binding->rule, met, view))
            match_destination(match, e->destination);
    }
}

static void try_hash(const struct headers *headers, uint64_t hash, const struct header_view *view,
                     struct match *match)
{
    struct field_node *f = find_field(headers, hash);
    if (f)
        try_spot(&f->spot, view, match);
}

void headers_match(const struct headers *headers, struct span table, struct match *match)
{
    match_spot(match, &headers->always);
    if (headers->fields.count == 0)
        return;
    const struct header_view *view = view_of(match, table);
    for (uint32_t i = 0; i < view->count; i++) {
        const struct header *h = &view->headers[i];
        if (!h->repeated)
            try_hash(headers, h->hash, view, match);
        if (!h->repeated_name && headers->presences > 0)
            try_hash(headers, h->name_hash, view, match);
    }
}
