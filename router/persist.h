/*
 * What a router's durable state is made of: records in its journal, and nothing else. Each is small enough
 * for a page and needs neither clock nor address to be replayed. Replaying them in order gives the state; a
 * checkpoint is the state as records of the same kinds, so that what lies before it is needed for messages
 * only.
 *
 * Numbers are little-endian; names and tables follow the fixed part, without padding between them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "journal/record.h"
#include "router/exchange.h"
#include "router/index.h"

struct catalog_exchange;
struct gap;
struct large;
struct policy;
struct producer;
struct queue;
struct router;

enum router_record {
    RECORD_MESSAGE = RECORD_OWN, /* struct message */
    RECORD_SETTLED,              /* struct record_settled */
    RECORD_QUEUE,                /* struct record_queue, name, arguments */
    RECORD_QUEUE_GONE,           /* struct record_id */
    RECORD_BOUND,                /* struct record_binding, key, arguments: a queue to an exchange */
    RECORD_UNBOUND,
    RECORD_EXCHANGE,      /* struct record_exchange, name, alternate, arguments (registrar) */
    RECORD_EXCHANGE_GONE, /* struct record_id */
    RECORD_LINKED,        /* struct record_binding, key, arguments: an exchange to an exchange (registrar) */
    RECORD_UNLINKED,
    RECORD_CHECKPOINT,     /* struct record_checkpoint: one begins, all that was before is forgotten */
    RECORD_ENTRIES,        /* struct record_entries, its entries: what a queue holds in a range of numbers */
    RECORD_LARGE,          /* struct record_large, struct part ...: parts of a message in a checkpoint */
    RECORD_CHECKPOINT_END, /* struct record_id: LSN of the CHECKPOINT */
    RECORD_CLEAN,          /* the last of a clean end: nothing delivered is unsettled but what is marked so */
    RECORD_STARTED,     /* struct record_id: the first after a clean end: what is delivered from now on isn't
                           marked */
    RECORD_NOTES,       /* struct record_notes, its notes: what a queue notes of messages */
    RECORD_GAP,         /* struct record_gap: numbers of a queue that were shed */
    RECORD_POLICY,      /* struct record_policy, name, pattern, definition (registrar) */
    RECORD_POLICY_GONE, /* the same, of the name only */
    RECORD_PRODUCER,    /* struct record_producer, its words, id: a producer is known, and what of it */
    RECORD_PRODUCER_GONE, /* struct record_id */
    RECORD_KEYS,   /* struct record_keys, and for each struct saved_key and its name: what a last-value queue
                      has */
    RECORD_SENDER, /* struct record_sender, name, identifiers of two bytes, big-endian: all that are in use */
    RECORD_SENDER_GONE, /* struct record_id */
    RECORD_RELEASED,    /* struct record_ids, identifiers: they are in use no longer */
    RECORD_ACCESS,      /* struct record_access, a change as access_change.h packs it (registrar) */
};

struct record_settled {
    struct record record;
    uint32_t queue;
    uint32_t count;
    uint64_t seq;
};

struct record_id {
    struct record record;
    uint64_t id;
};

enum { RECORD_AUTO_DELETE = 1, RECORD_INTERNAL = 2, RECORD_DELAYED = 4 };

struct record_queue {
    struct record record;
    uint32_t number;
    uint32_t vhost;
    uint64_t tail; /* the next sequence number it will give */
    uint8_t flags; /* RECORD_AUTO_DELETE */
    uint8_t name_len;
    uint16_t unused;
    uint32_t arguments_len;
};

struct record_binding {
    struct record record;
    uint64_t source;      /* exchange */
    uint64_t destination; /* the number of a queue, or the id of an exchange */
    uint32_t key_len;
    uint32_t arguments_len;
};

struct record_exchange {
    struct record record;
    uint64_t id;
    uint32_t vhost;
    uint32_t arguments_len;
    uint8_t type; /* enum exchange_type: numbers never change their meaning */
    uint8_t flags;
    uint8_t name_len, alternate_len;
    uint32_t unused;
};

struct record_checkpoint {
    struct record record;
    uint64_t exchange_next;
    uint32_t queue_next;
    uint32_t unused;
};

/* Every number in [from, to) that has no entry here is dead. */
struct record_entries {
    struct record record;
    uint32_t queue;
    uint32_t count;
    uint64_t from, to;
    struct saved_entry {
        uint64_t seq;
        uint64_t bits; /* as in struct entry: position, redelivered, large */
        uint32_t body, share;
    } entries[];
};

struct record_large {
    struct record record;
    uint64_t position;
    uint32_t parts;
    uint32_t unused;
};

struct record_notes {
    struct record record;
    uint32_t queue;
    uint32_t count;
    struct saved_note {
        uint64_t seq;
        uint64_t bits; /* struct entry_note */
    } notes[];
};

struct record_gap {
    struct record record;
    uint32_t queue;
    uint32_t reason; /* enum gap_reason: numbers never change their meaning */
    uint64_t from, to;
};

enum { RECORD_OPERATOR = 1 };

struct record_policy {
    struct record record;
    uint32_t vhost;
    int32_t priority;
    uint32_t definition_len;
    uint8_t flags;  /* RECORD_OPERATOR */
    uint8_t target; /* enum policy_target */
    uint8_t name_len, pattern_len;
};

/* A producer (producer.h), and which of its numbers are taken: those of the ring of bits that ends with last,
 * and all before it. */
struct record_producer {
    struct record record;
    uint64_t number; /* 0: the LSN of this record, which is the first of it */
    uint64_t last;
    uint32_t vhost;
    uint16_t words;
    uint8_t id_len;
    uint8_t unused;
    uint64_t bits[]; /* number n is bit n % 64 of word n / 64 % words */
};

/* A session that publishes with MQTT's QoS 2 (sender.h). */
struct record_sender {
    struct record record;
    uint64_t number; /* 0: the LSN of this record, which is the first of it */
    uint32_t vhost;
    uint32_t count;
    uint8_t name_len;
    uint8_t unused[7];
};

struct record_ids {
    struct record record;
    uint64_t number;
    uint32_t count;
    uint32_t unused;
};

struct record_access {
    struct record record;
    uint32_t len;
    uint32_t unused;
};

struct record_keys {
    struct record record;
    uint32_t queue;
    uint32_t count;
};

/* May stand unaligned. */
struct saved_key {
    uint64_t seq, order;
    uint32_t len;
    uint32_t unused;
};

/* Appends records of changes; they are safe when store_lsn() is. */
void persist_queue(struct router *router, const struct queue *queue);
void persist_queue_gone(struct router *router, uint32_t number);
void persist_binding(struct router *router, const struct binding *binding, enum router_record type);
void persist_exchange(struct router *router, const struct catalog_exchange *exchange);
void persist_exchange_gone(struct router *router, uint64_t id);
void persist_policy(struct router *router, const struct policy *policy, enum router_record type);
/* packed: as access_pack has made it. */
void persist_access(struct router *router, struct span packed);
void persist_id(struct router *router, enum router_record type, uint64_t id);
void persist_large(struct router *router, const struct large *large);
void persist_gap(struct router *router, uint32_t queue, const struct gap *gap);
/* Returns the record's LSN. */
uint64_t persist_producer(struct router *router, const struct producer *producer);
/* Begins a record with `bytes` behind it; store_end ends it. */
struct record_sender *persist_sender_begin(struct router *router, size_t bytes);
void persist_released(struct router *router, uint64_t number, struct span ids);
void persist_note(struct router *router, uint32_t queue, uint64_t seq, struct entry_note note);
/* The message seq of a durable queue is done with. Runs of them are collected into one record: */
void persist_settled(struct router *router, uint32_t queue, uint64_t seq);
void persist_settled_flush(struct router *router);

/* Applies one record during recovery. owner: the router. */
void persist_replay(void *router, const struct record *record, uint64_t lsn);
/* After the last one: what refers to what no longer exists is dropped, and unless the end was clean
 * everything may have been delivered before. */
void persist_replayed(struct router *router);
/* Everything in durable queues may have been delivered before. */
void persist_mark_redelivered(struct router *router);
