/* A front's copy of the table of exchanges: what it needs to send a publish on its way. Kept up to date by
 * the registrar. */
#pragma once

#include "base/map.h"
#include "codec/host.h"

struct exchange_table {
    struct map by_name, by_id;
    uint64_t version; /* of the whole: changes with every update */
};

void exchange_table_init(struct exchange_table *table);
void exchange_table_free(struct exchange_table *table);
void exchange_table_apply(struct exchange_table *table, const struct exchange_update *update);
const struct exchange_row *exchange_table_find(const struct exchange_table *table, uint32_t vhost,
                                               struct span name);
