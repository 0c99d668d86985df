#include "exchange_table.h"

#include <stdlib.h>

#include "base/check.h"

struct row {
    struct map_node by_name, by_id;
    struct exchange_row row;
    uint8_t name_len;
    char name[];
};

struct key {
    uint32_t vhost;
    struct span name;
};

static bool is_named(const struct map_node *node, const void *key)
{
    const struct row *r = container_of(node, struct row, by_name);
    const struct key *k = key;
    return r->row.vhost == k->vhost && span_equal(span_of(r->name, r->name_len), k->name);
}

static bool has_id(const struct map_node *node, const void *id)
{
    return container_of(node, struct row, by_id)->row.id == *(const uint64_t *)id;
}

void exchange_table_init(struct exchange_table *table)
{
    *table = (struct exchange_table){.version = 1};
    map_init(&table->by_name);
    map_init(&table->by_id);
}

static void free_row(struct map_node *node, void *table)
{
    (void)table;
    free(container_of(node, struct row, by_id));
}

void exchange_table_free(struct exchange_table *table)
{
    map_free(&table->by_name);
    map_each(&table->by_id, free_row, NULL);
    map_free(&table->by_id);
}

static struct row *add(struct exchange_table *table, const struct exchange_update *u)
{
    struct row *r = calloc(1, sizeof *r + u->name_len);
    CHECK(r);
    r->row = (struct exchange_row){
        .id = u->id,
        .vhost = u->vhost,
        .internal = u->internal,
        .is_default = u->is_default,
        .delayed = u->delayed,
    };
    r->name_len = u->name_len;
    memcpy(r->name, u->name, u->name_len);
    map_add(&table->by_name, &r->by_name, hash_keyed(span_of(u->name, u->name_len), u->vhost));
    map_add(&table->by_id, &r->by_id, hash_id(u->id));
    return r;
}

void exchange_table_apply(struct exchange_table *table, const struct exchange_update *u)
{
    struct map_node *node = map_find(&table->by_id, hash_id(u->id), has_id, &u->id);
    struct row *r = node ? container_of(node, struct row, by_id) : NULL;
    table->version++;
    if (u->gone && r) {
        map_remove(&table->by_name, &r->by_name);
        map_remove(&table->by_id, &r->by_id);
        free(r);
    } else if (!u->gone) {
        r = r ? r : add(table, u);
        r->row.interest = u->interest;
    }
}

const struct exchange_row *exchange_table_find(const struct exchange_table *table, uint32_t vhost,
                                               struct span name)
{
    struct key key = {vhost, name};
    struct map_node *node = map_find(&table->by_name, hash_keyed(name, vhost), is_named, &key);
    return node ? &container_of(node, struct row, by_name)->row : NULL;
}
