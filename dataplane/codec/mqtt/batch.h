/*
 * QoS 2 of sessions that outlive their connections: what the other side is told must first be safe at the
 * routers. What comes in one turn is asked for together:
 *
 *   PUBREL of the client   the identifier is released at all routers   PUBCOMP
 *   PUBREC of the client   the delivery is noted as received           PUBREL
 *   a refused PUBLISH      the identifier is released where it was not PUBREC with the reason
 *
 * Owned by a connection.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mqtt;
struct op;

struct id_list {
    uint16_t *ids;
    uint32_t count, room;
};

/* Sent to the routers, and not answered by all. */
struct batch {
    struct batch *next;
    uint64_t number;
    uint32_t pending;
    enum batch_kind { BATCH_RELEASED, BATCH_RECEIVED, BATCH_WITHDRAWN } kind;
    struct id_list list;
};

struct batches {
    struct id_list released, received; /* of this turn */
    struct batch *first;
    uint64_t number;
};

void batch_released(struct mqtt *c, uint16_t id);
void batch_received(struct mqtt *c, uint16_t id);
/* At once; mqtt_withdrawn is called. */
void batch_withdraw(struct mqtt *c, uint16_t id);
/* At the end of a turn, behind all settlements. */
void batches_send(struct mqtt *c);
/* An op of a batch is back. */
void batch_back(struct mqtt *c, const struct op *op);
void batches_free(struct mqtt *c);
