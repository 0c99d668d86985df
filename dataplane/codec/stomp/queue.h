/*
 * How the queues that frames name are declared, as RabbitMQ's STOMP plugin reads it from their headers:
 * durable, auto-delete, exclusive, and the arguments of queues (router/settings.def). What was declared is
 * remembered for the connection, with how, since a queue that somebody deletes is declared anew.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/stomp/destination.h"
#include "codec/stomp/frame.h"
#include "router/command.h"

struct stomp;

struct stomp_queue {
    uint32_t flags; /* OP_DURABLE, OP_AUTO_DELETE, OP_EXCLUSIVE; OP_ANY_WAY: the frame says nothing of it */
    struct span arguments; /* a table */
};

/* Room for the arguments that a frame can have. */
static inline size_t stomp_arguments_max(const struct stomp_frame *f)
{
    return f->head_bytes + 16 * STOMP_HEADERS_MAX;
}

/* Reads how the frame wants the queue of its destination, with the arguments written to `to`. NULL, or what
 * is wrong, valid until the next is read on this thread. */
const char *stomp_queue_read(uint8_t *to, const struct stomp_frame *f, const struct stomp_destination *d,
                             struct stomp_queue *queue);
/* The same of a consumer: the arguments that are its own. */
const char *stomp_consumer_read(uint8_t *to, const struct stomp_frame *f, struct span *arguments);

/* Sends its declaration; tag: of the subscription that it is for, or 0. One at a time is on its way. */
void stomp_queue_declare(struct stomp *c, struct span name, const struct stomp_queue *queue, uint64_t tag);
/* It has been done: op is the answer. */
void stomp_queue_declared(struct stomp *c, const struct op *op);
/* Whether the connection has declared a queue of that name in that way, or at all if any way will do. */
bool stomp_queue_known(const struct stomp *c, struct span name, const struct stomp_queue *queue);
/* Declares it once more, as it was declared (STOMP_AGAIN); if the user still may, else the connection is
 * closed. */
void stomp_queue_again(struct stomp *c, struct span name);
/* Exclusive queues are deleted, all is forgotten. */
void stomp_queues_free(struct stomp *c);
