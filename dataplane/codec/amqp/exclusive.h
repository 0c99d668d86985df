/*
 * The exclusive queues of a connection: deleted when it ends. Only the connection itself can consume from
 * them, so it also knows when an auto-delete one is gone with its last consumer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/amqp/connection.h"

/* Owned by amqp.exclusive_queues. */
struct exclusive_queue {
    struct map_node node;
    uint32_t consumers; /* they point here */
    bool auto_delete;
    bool gone; /* no longer in the map; freed with the last consumer */
    uint8_t name_len;
    char name[];
};

/* Adds it if it isn't there. */
void exclusive_add(struct amqp *c, struct span name, bool auto_delete);
struct exclusive_queue *exclusive_find(const struct amqp *c, struct span name);
/* The queue has been deleted. */
void exclusive_remove(struct amqp *c, struct exclusive_queue *queue);
/* A consumer of the queue is gone. */
void exclusive_leave(struct amqp *c, struct exclusive_queue *queue);
/* Sends an op for each that deletes it, and forgets them. */
void exclusive_queues_delete(struct amqp *c);
