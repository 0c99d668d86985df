/*
 * What operators are shown of queues, exchanges and bindings: OP_LIST, a slice of a list in one turn. Where a
 * list has got to is named by what no change moves: a queue by its slot, an exchange or binding by its place
 * in the order of its map (base/map.h).
 */
#pragma once

struct op;
struct router;

/* The columns' names as rows_end's lines have them; #: it holds numbers, ?: true or false, {: JSON. They are
 * those of RabbitMQ's HTTP API. */
#define QUEUE_COLUMNS                                                                                        \
    "vhost\tname\ttype\tdurable?\tauto_delete?\texclusive?\targuments{\tpolicy\toperator_policy\t"           \
    "messages_ready#\tmessages_unacknowledged#\tmessages#\tmessage_bytes#\tconsumers#\t"                     \
    "publish#\tdeliver_get#\tack#\tstate"
#define EXCHANGE_COLUMNS "vhost\tname\ttype\tdurable?\tauto_delete?\tinternal?\targuments{"
/* properties_key: names the binding among those of its source and destination. */
#define BINDING_COLUMNS                                                                                      \
    "vhost\tsource\tdestination\tdestination_type\trouting_key\targuments{\tproperties_key"

void listing_on_op(struct router *router, struct op *op);
