#include "codec/mqtt/subscription.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/topic.h"
#include "router/table.h"
#include "router/table_out.h"

/* ---- by name ------------------------------------------------------------------------------------- */

struct key {
    struct span group, filter;
};

static bool is_named(const struct map_node *node, const void *key)
{
    const struct subscription *s = container_of(node, struct subscription, by_name);
    const struct key *k = key;
    return span_equal(subscription_group(s), k->group) && span_equal(subscription_filter(s), k->filter);
}

static uint64_t hash(struct span group, struct span filter)
{
    return hash_keyed(filter, group.len ? hash_bytes(group, 1) : 0);
}

struct subscription *subscription_find(const struct subscriptions *subs, struct span group,
                                       struct span filter)
{
    struct key key = {group, filter};
    struct map_node *node = map_find(&subs->by_name, hash(group, filter), is_named, &key);
    return node ? container_of(node, struct subscription, by_name) : NULL;
}

/* ---- counts: do all say the same? ---------------------------------------------------------------- */

static bool is_special(const struct wish *wish)
{
    return wish->no_local || wish->as_published || wish->id;
}

static void count(struct subscriptions *subs, const struct subscription *s, int by)
{
    if (s->group_len)
        return;
    subs->of_qos[s->wish.qos] += (uint32_t)by;
    subs->special += is_special(&s->wish) ? (uint32_t)by : 0;
}

/* -1: they don't, or one may not be for it. */
static int same_qos(const struct subscriptions *subs)
{
    unsigned kinds = !!subs->of_qos[0] + !!subs->of_qos[1] + !!subs->of_qos[2];
    if (subs->special || subs->strays || kinds != 1)
        return -1;
    return subs->of_qos[0] ? 0 : subs->of_qos[1] ? 1 : 2;
}

/* ---- the index ------------------------------------------------------------------------------------ */

static const struct span nothing = {NULL, 0};

static void index_add(struct subscriptions *subs, struct subscription *s)
{
    if (!s->group_len)
        exchange_bind(&subs->index->exchange, &s->destination, subscription_filter(s), nothing);
}

static void index_one(struct map_node *node, void *owner)
{
    index_add(owner, container_of(node, struct subscription, by_name));
}

static void make_index(struct subscriptions *subs)
{
    subs->index = calloc(1, sizeof *subs->index);
    CHECK(subs->index);
    exchange_init(&subs->index->exchange, 1, EXCHANGE_TOPIC);
    map_each(&subs->by_name, index_one, subs);
}

/* ---- life ----------------------------------------------------------------------------------------- */

void subscriptions_init(struct subscriptions *subs)
{
    *subs = (struct subscriptions){0};
    map_init(&subs->by_name);
}

static void free_one(struct map_node *node, void *owner)
{
    subscription_remove(owner, container_of(node, struct subscription, by_name));
}

void subscriptions_free(struct subscriptions *subs)
{
    map_each(&subs->by_name, free_one, subs);
    map_free(&subs->by_name);
    if (subs->index) {
        exchange_clear(&subs->index->exchange);
        match_free(&subs->index->match);
    }
    free(subs->index);
    free(subs->ids);
    subs->index = NULL;
    subs->ids = NULL;
}

static struct subscription *add(struct subscriptions *subs, struct span group, struct span filter,
                                const struct wish *wish)
{
    struct subscription *s = calloc(1, sizeof *s + group.len + filter.len);
    CHECK(s);
    s->group_len = (uint8_t)group.len;
    s->filter_len = (uint8_t)filter.len;
    put_span(put_span(s->name, group), filter);
    s->destination.identity = destination_identity(filter, false);
    s->wish = *wish;
    map_add(&subs->by_name, &s->by_name, hash(group, filter));
    if (subs->index)
        index_add(subs, s);
    return s;
}

struct subscription *subscription_set(struct subscriptions *subs, struct span group, struct span filter,
                                      const struct wish *wish)
{
    struct subscription *s = subscription_find(subs, group, filter);
    if (s)
        count(subs, s, -1);
    else
        s = add(subs, group, filter, wish);
    s->wish = *wish;
    count(subs, s, 1);
    return s;
}

void subscription_remove(struct subscriptions *subs, struct subscription *s)
{
    count(subs, s, -1);
    subs->strays |= !s->group_len;
    if (subs->index)
        exchange_forget(&s->destination, NULL, NULL);
    map_remove(&subs->by_name, &s->by_name);
    free(s);
}

/* ---- what to do with a message --------------------------------------------------------------------- */

static void grant(struct verdict *verdict, const struct wish *wish)
{
    verdict->wanted = true;
    if (wish->qos > verdict->qos)
        verdict->qos = wish->qos;
    verdict->as_published |= wish->as_published;
}

static void tell_id(struct subscriptions *subs, struct verdict *verdict, uint32_t id)
{
    if (!subs->ids) {
        subs->ids = malloc(VERDICT_IDS_MAX * sizeof *subs->ids);
        CHECK(subs->ids);
    }
    verdict->id = subs->ids;
    if (verdict->ids < VERDICT_IDS_MAX)
        subs->ids[verdict->ids++] = id;
}

struct verdict subscription_judge(const struct subscription *subscription, struct span key)
{
    struct verdict verdict = {.ids = subscription->wish.id != 0, .id = &subscription->wish.id};
    if (!filter_spares(subscription_filter(subscription), key))
        grant(&verdict, &subscription->wish);
    return verdict;
}

static struct exchange *no_alternate(struct exchange *exchange, void *owner)
{
    (void)exchange, (void)owner;
    return NULL;
}

struct verdict subscriptions_judge(struct subscriptions *subs, struct span key, bool own)
{
    struct verdict verdict = {0};
    int qos = same_qos(subs);
    if (qos >= 0 && (!key.len || key.at[0] != '$')) {
        verdict.wanted = true;
        verdict.qos = (uint8_t)qos;
        return verdict;
    }
    if (!subs->index)
        make_index(subs);
    struct message_facts facts = {.key = key};
    struct match *match = &subs->index->match;
    exchange_match(&subs->index->exchange, &facts, match, no_alternate, NULL);
    for (size_t i = 0; i < match->count; i++) {
        const struct subscription *s = container_of(match->found[i], struct subscription, destination);
        if ((own && s->wish.no_local) || filter_spares(subscription_filter(s), key))
            continue;
        grant(&verdict, &s->wish);
        if (s->wish.id)
            tell_id(subs, &verdict, s->wish.id);
    }
    return verdict;
}

/* ---- kept as a binding's arguments ----------------------------------------------------------------- */

enum {
    BIT_NO_LOCAL = 4,
    BIT_AS_PUBLISHED = 8,
    HANDLING_SHIFT = 4,
    BIT_SHARED = 64
}; /* the others as in a SUBSCRIBE */

size_t wish_put(uint8_t *to, const struct wish *wish)
{
    unsigned options = wish->qos | (wish->no_local ? BIT_NO_LOCAL : 0u) |
                       (wish->as_published ? BIT_AS_PUBLISHED : 0u) |
                       (unsigned)wish->handling << HANDLING_SHIFT | (wish->shared ? BIT_SHARED : 0u);
    uint8_t *at = put_field_long(to, "x-mqtt-options", options);
    if (wish->id)
        at = put_field_long(at, "x-mqtt-subscription-id", wish->id);
    return (size_t)(at - to);
}

void wish_read(struct span table, struct wish *wish)
{
    struct field field;
    int64_t value = 0;
    *wish = (struct wish){0};
    if (table_find(table, "x-mqtt-options", &field) && field_int(&field, &value)) {
        wish->qos = (value & 3) < 3 ? (uint8_t)(value & 3) : 2;
        wish->no_local = value & BIT_NO_LOCAL;
        wish->as_published = value & BIT_AS_PUBLISHED;
        wish->handling = (uint8_t)(value >> HANDLING_SHIFT & 3);
        wish->shared = value & BIT_SHARED;
    }
    if (table_find(table, "x-mqtt-subscription-id", &field) && field_int(&field, &value) && value > 0)
        wish->id = (uint32_t)value;
}
