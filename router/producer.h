/*
 * Exactly-once publishing: who names itself and numbers its messages may send one again, as after a reconnect
 * or a restart; a number that is taken is confirmed, and the message is not kept a second time.
 *
 * Each router remembers for itself, of each producer of a virtual host, which numbers it has kept a message
 * of: the highest, and which of the PRODUCER_WINDOW up to it. What is older than that counts as taken. So
 * numbers may be left out (they went to other routers, or nowhere), and one that was refused may come again
 * behind later ones. What is on disk and what is only in memory is remembered apart: after a restart a number
 * is taken if its message is on disk, and not otherwise.
 *
 * On disk, RECORD_PRODUCER says who it is; then the record of each message carries the producer's number and
 * its own (struct produced), so that the message and what is remembered of it are safe in one piece.
 *
 * At most PRODUCERS_MAX are remembered; with so many, a new one takes the place of the one that has been
 * silent longest if that is long enough (router_options.producer_silence_ns), or is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/map.h"
#include "base/slots.h"
#include "base/span.h"

struct message;
struct publishing;
struct record_producer;
struct router;

/* A ring of bits: of the numbers above last - PRODUCER_WINDOW. */
struct taken {
    uint64_t last; /* the highest; 0: none */
    uint64_t bits[PRODUCER_WINDOW / 64];
};

struct producer {
    struct map_node by_id, by_number;
    struct producer *older, *newer; /* by when it was last heard of */
    uint64_t number;                /* of its RECORD_PRODUCER; 0: nothing of it is on disk */
    uint64_t handle;
    uint64_t used_ns;
    uint32_t vhost;
    uint8_t id_len;
    struct taken kept;     /* those that are on disk, or on their way there */
    struct taken *passing; /* those that are in memory only; NULL: none */
    char id[];
};

struct producers {
    struct map by_id, by_number;
    struct producer *last; /* found by its id: mostly it is wanted again */
    struct slots slots;    /* for the checkpoint, which comes back again and again */
    struct producer *oldest, *newest;
    uint64_t since_ns; /* of the first turn: none is silent since before */
    uint64_t warned_ns;
};

/* Bytes that one producer takes at most, with its share of the tables. Without transient messages, and by a
 * name of 20 bytes, it is less than half. */
#define PRODUCER_BYTES (sizeof(struct producer) + NAME_MAX_BYTES + sizeof(struct taken) + 64)

void producers_init(struct producers *producers);
void producers_free(struct producers *producers);

/* Whether the message, which has a number, has been kept before; is asked first. p->durable: then, whether it
 * is on disk, or on its way there. */
bool producer_has(struct router *router, struct publishing *p);
/* It is going to be kept: from now on its number is taken. p->numbering->produced: what its record is to say.
 * False: the producer is one too many. */
bool producer_take(struct router *router, struct publishing *p);

/* ---- recovery, checkpoint ------------------------------------------------------------------------ */

void producer_replay(struct router *router, const struct record_producer *record, uint64_t lsn);
void producer_replay_gone(struct router *router, uint64_t number);
void producer_replay_message(struct router *router, const struct message *m);
/* Writes some of those in slots from *slot on. False when there are no more. */
bool producers_save(struct router *router, uint32_t *slot);
