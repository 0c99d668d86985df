/*
 * A simulated client of STOMP: one connection at a time, a will of its own (stomp_deeds.c). It keeps what it
 * has asked for and what it has got, and judges how the broker speaks to it; what is said, the model judges.
 */
#pragma once

#include "client.h"
#include "stomp_model.h"
#include "stomp_plan.h"
#include "stomp_wire.h"

enum { ST_CLIENTS = 3, ST_GHOSTS = 16, ST_SUBS = 3, ST_TRANSACTIONS = 2, ST_NAME = 24 };

enum stomp_state {
    ST_AWAY,
    ST_CONNECTING, /* CONNECTED is awaited */
    ST_CONNECTED,
    ST_LEAVING, /* DISCONNECT was sent, or something wrong: the broker is to end the connection */
};

enum stomp_mode { ST_AUTO, ST_CUMULATIVE, ST_INDIVIDUAL };
enum stomp_answer { ST_ACK, ST_NACK, ST_DROP };

/* A SUBSCRIBE of this connection. */
struct stomp_sub {
    char name[ST_NAME];
    unsigned queue;
    enum stomp_mode mode;
    unsigned prefetch; /* 0: none */
    uint64_t begin;    /* the model's clock */
    uint64_t quit;     /* the frame that ends it; 0: none */
    bool gone;         /* that is answered, or one behind it */
};

/* A message that waits for an answer. */
struct stomp_hold {
    struct stomp_message *message;
    char id[64]; /* by which it is answered */
    unsigned sub;
};

/* An answer that waits for COMMIT. */
struct stomp_kept {
    char id[64];
    enum stomp_answer how;
};

struct stomp_transaction_open {
    unsigned number; /* 0: none */
    struct stomp_kept *kept;
    unsigned count;
};

/* A receipt that is due. */
struct stomp_awaited {
    uint64_t frame;
    bool speaks, all; /* for that frame, and for all before */
};

struct stomp_party;

struct stomp_client {
    struct stomp_party *party;
    unsigned number, host;
    enum stomp_state state;
    uint64_t stream;
    struct buffer in, out;
    bool deaf, dull;  /* dull: has been deaf on this connection */
    unsigned version; /* 10, 11, 12 */
    uint32_t beat_ms; /* it says something so often; 0: it doesn't promise to */
    uint64_t conn, conn_downs, said_ns, last_tag;
    bool told, wrong; /* the broker has said why it ends the connection; the client gave it the reason */
    uint64_t frames;  /* sent */
    struct stomp_sub *subs;
    struct stomp_hold *holds; /* as they came */
    struct stomp_awaited *awaited;
    struct stomp_transaction_open open[ST_TRANSACTIONS];
    unsigned sub_count, hold_count, awaited_count, transactions;
};

struct stomp_ghost {
    uint64_t stream; /* 0: none */
    bool queues[ST_QUEUES];
};

/* All of them. */
struct stomp_party {
    struct network *network;
    struct taps *taps;
    struct prng prng;
    const struct stomp_plan *plan;
    struct clients *all;
    struct stomp_model *model;
    struct stomp_client clients[ST_CLIENTS + 1]; /* the last one empties the queues, at the end */
    struct stomp_ghost *ghosts;                  /* connections that the broker may still have */
    unsigned ghost_count;
    uint64_t now_ns, conns;
    bool stopping; /* the broker ends as it should */
    bool calm;     /* no faults any more */
    bool leaving;  /* they will not connect again */
};

/* ---- stomp_client.c: the connection ------------------------------------------------------------------ */

void stomp_client_connect(struct stomp_client *c);
void stomp_client_move(struct stomp_client *c);
/* Breaks the connection; is gone, and the broker isn't told. */
void stomp_client_reset(struct stomp_client *c);
void stomp_client_vanish(struct stomp_client *c);
void stomp_client_deafen(struct stomp_client *c, bool deaf);
uint64_t stomp_client_deadline(const struct stomp_client *c);
bool stomp_client_done(const struct stomp_client *c);
void stomp_client_free(struct stomp_client *c);

/* ---- stomp_receive.c: what comes ------------------------------------------------------------------------
 */

void stomp_client_take(struct stomp_client *c);

/* ---- stomp_say.c: what is said ----------------------------------------------------------------------------
 */

/* Each: receipt: it asks for one. transaction: a place in c->open, or -1. */
void stomp_say_send(struct stomp_client *c, struct stomp_message *m, int transaction, bool receipt);
void stomp_say_subscribe(struct stomp_client *c, unsigned queue, enum stomp_mode mode, unsigned prefetch,
                         bool receipt);
void stomp_say_unsubscribe(struct stomp_client *c, struct stomp_sub *s, bool receipt);
void stomp_say_answer(struct stomp_client *c, unsigned hold, enum stomp_answer how, int transaction,
                      bool receipt);
void stomp_say_begin(struct stomp_client *c, unsigned place, bool receipt);
void stomp_say_commit(struct stomp_client *c, unsigned place, bool receipt);
void stomp_say_abort(struct stomp_client *c, unsigned place, bool receipt);
void stomp_say_disconnect(struct stomp_client *c, bool receipt);
/* An ACK of nothing. */
void stomp_say_wrong(struct stomp_client *c);

/* ---- stomp_deeds.c
 * ----------------------------------------------------------------------------------------- */

void stomp_act(struct stomp_client *c);
/* What the next connection is like. */
void stomp_draw_connection(struct stomp_client *c);
/* It answers for all that it has. */
void stomp_finish(struct stomp_client *c);
