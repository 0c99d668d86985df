/*
 * The judge of STOMP: arrays and strcmp. It hears what clients have sent and what they have read. A
 * connection is steady if the broker has had no reason to end it: then it is known what the broker holds for
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ST_QUEUES = 3 };

enum stomp_fate { ST_NO, ST_MAYBE, ST_YES }; /* NO: its transaction isn't committed */

struct stomp_client;

/* What a client has sent. */
struct stomp_message {
    unsigned number, client, queue, transaction; /* transaction: its number on the connection, or 0 */
    uint64_t conn;                               /* of the sender */
    uint64_t frame;        /* the number of SEND or COMMIT on it; 0: not committed yet */
    uint64_t rank;         /* the order in which the broker is told to do them */
    bool persistent, text; /* text: without a content-length */
    uint32_t len;
    enum stomp_fate fate;
    uint64_t begin, downs; /* the model's, at SEND or COMMIT */
    /* Who has it, or has answered and is still there: not NACKed. */
    const struct stomp_client *holder;
    uint64_t holder_conn;
    uint64_t got_conn, seen_downs; /* the last that it came to; the model's downs + 1 when somebody had it */
    bool answered;                 /* ACK has been sent, and nobody has had it since */
    uint64_t answer_conn, answer_frame;
    bool gone;                 /* it may be: what came with ack:auto, late */
    uint64_t done, done_downs; /* when it was surely over; until the broker ends, or ST_FOREVER */
};

#define ST_FOREVER UINT64_MAX

struct stomp_place {
    bool disturbed, auto_disturbed; /* a subscription ends, the broker may know it or not yet */
    bool auto_used;
    uint64_t ended, auto_ended; /* when the last surely had */
};

struct stomp_model {
    uint64_t clock, downs, ranks;
    bool failed; /* a journal, of the broker that runs */
    struct stomp_message **messages;
    unsigned count, room;
    struct stomp_place places[ST_QUEUES];
    unsigned judged, owed; /* for the log */
};

/* A MESSAGE as it was read. */
struct stomp_delivery {
    const struct stomp_client *client;
    uint64_t conn, conn_downs, begin; /* begin: of the subscription */
    unsigned queue;
    bool steady, orderly, automatic, redelivered, persistent;
    const uint8_t *body;
    size_t len;
    const char *note;
};

struct stomp_model *stomp_model_new(void);
void stomp_model_free(struct stomp_model *model);

struct stomp_message *stomp_model_message(struct stomp_model *model);
/* The bytes of its body, and a header: a number and a pattern. */
void stomp_model_body(const struct stomp_message *m, uint8_t *to);
void stomp_model_note(const struct stomp_message *m, char *to, size_t size);
/* SEND, or COMMIT, is sent. */
void stomp_model_sent(struct stomp_model *model, struct stomp_message *m, uint64_t frame);
void stomp_model_committed(struct stomp_model *model, uint64_t conn, unsigned transaction, uint64_t frame);
/* ACK is sent, or NACK; keeps: that gives it back. */
void stomp_model_answered(struct stomp_message *m, uint64_t conn, uint64_t frame, bool keeps);
/* The receipt of that frame has come; all: it speaks for all before, too. */
void stomp_model_safe(struct stomp_model *model, uint64_t conn, uint64_t frame, bool all);

struct stomp_message *stomp_model_delivered(struct stomp_model *model, const struct stomp_delivery *d);

void stomp_model_subscribed(struct stomp_model *model, unsigned queue, bool automatic);
/* One is being ended; all of that queue that were are. */
void stomp_model_ends(struct stomp_model *model, unsigned queue, bool automatic);
void stomp_model_ended(struct stomp_model *model, unsigned queue);
void stomp_model_down(struct stomp_model *model);
/* Nothing is under way, and what there was has been taken from that queue. */
void stomp_model_owed(struct stomp_model *model, unsigned queue);

/* stomp_client.c: whether the connection that it had then is there, and steady. */
bool stomp_client_steady(const struct stomp_client *c, uint64_t conn);
