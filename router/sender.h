/*
 * Sessions that publish with MQTT's QoS 2, and the packet identifiers that each has in use: from the first
 * PUBLISH until the client's PUBREL, a message that comes with one again is the same message, and is
 * confirmed without being kept again. Whatever breaks in between: an identifier is on disk with its message,
 * and its release is a record too.
 *
 * Each router that a publish is sent to remembers for itself. A name is that of the session's queue, and four
 * bytes, big-endian, that say which of the sessions that have one after the other had it: what was in use in
 * an earlier one is void when a publish of a later one comes. Owned by the router, used on its thread.
 *
 * Memory: 800 bytes, and 136 for each 1,024 identifiers of which one is in use. Those with none in use are
 * forgotten when there are more than SENDERS_IDLE of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/slots.h"
#include "base/span.h"

struct message;
struct op;
struct publishing;
struct record_ids;
struct record_sender;
struct router;
struct sender;

struct senders {
    struct map by_name, by_number;
    struct slots slots;                    /* for checkpoints */
    struct sender *idle_first, *idle_last; /* none of their identifiers is in use; the oldest first */
    uint32_t idle;
};

void senders_init(struct senders *senders);
void senders_free(struct senders *senders);

/* ---- publishes: p->numbering->own names the sender and the identifier ------------------------------ */

/* Whether this router has taken the message before. p->durable: whether with a record. */
bool sender_has(struct router *router, struct publishing *p);
/* It is about to keep it. */
void sender_take(struct router *router, struct publishing *p);

/* ---- ops ------------------------------------------------------------------------------------------- */

/* OP_RELEASE: the identifiers in arguments, two bytes each, big-endian, may be used for new messages. Refused
 * if the journal has failed: after a restart they would be in use; but not with OP_WITHDRAWN if they aren't
 * in use now. */
void sender_release(struct router *router, struct op *op);

/* ---- recovery, checkpoints ------------------------------------------------------------------------- */

void sender_replay(struct router *router, const struct record_sender *r, uint64_t lsn);
void sender_replay_gone(struct router *router, uint64_t number);
void sender_replay_released(struct router *router, const struct record_ids *r);
void sender_replay_message(struct router *router, const struct message *m);
/* Appends records of some, from *slot on. False: that was all. */
bool senders_save(struct router *router, uint32_t *slot);
