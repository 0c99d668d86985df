/*
 * One conversation: a stack on a simulated device, and the runner as everybody else on the wire. All of it in
 * virtual time; what fails jumps out to play_run.
 */
#pragma once

#include <setjmp.h>

#include "notation.h"
#include "tcp/device_sim.h"
#include "tcp/stack.h"

enum { FLOWS_MAX = 64, CAPTURED_MAX = 4096, EVENTS_MAX = 16, LENT_MAX = 256, HELD_MAX = 4096, TEXT = 512 };

#define SECOND 1000000000ull
#define START  (1000 * SECOND) /* of virtual time: 0.0 in scripts */

struct play;

/* A connection, as both the peer and the user know it. */
struct flow {
    struct play *play;
    char name[24];
    uint16_t peer_port, local_port;
    struct relative relative; /* what numbers are relative to */
    bool known;               /* our_isn is */
    bool reopened;            /* the next SYN has another */
    uint16_t win;             /* the last sent by the peer, kept for segments that don't say */
    /* What the segments so far allow and forbid us. */
    uint8_t peer_scale;
    bool peer_ts, our_ts, scales, sack_ok;
    uint16_t peer_mss;
    uint32_t right_edge;        /* the furthest that was ever offered */
    uint32_t peer_acked;        /* the highest acknowledgement sent to us */
    uint32_t acked, acked_edge; /* the last ACK of ours, and the right edge offered with it */
    bool has_acked, has_edge;
    uint32_t ts_base;    /* of the peer's clock */
    uint64_t stamped_ns; /* when ts_last was seen */
    /* The user. */
    uint64_t id;
    bool live, paused, keeps, refuses; /* keeps: takes data but doesn't use it up */
    uint64_t got, unexpected, unused;  /* bytes: received, not yet expected by the script, not used up */
    uint64_t sent, reply;              /* bytes given to tcp_send; to be sent when data comes */
    struct lent {
        uint8_t *bytes;
        size_t len;
        uint64_t end; /* position behind its last byte */
    } lent[LENT_MAX];
    unsigned lents;
    char event[EVENTS_MAX][32];
    unsigned events;
};

struct captured {
    uint64_t at_ns;
    struct flow *flow;
    struct segment segment;
};

struct play {
    const char *file, *title;
    unsigned line;
    char text[TEXT]; /* of the line */
    jmp_buf out;
    bool verbose, started, listening;
    uint64_t now_ns, tolerance_ns;
    struct stack_options options;
    struct device_sim_options device_options;
    uint32_t peer_isn, peer_ts;
    struct hosts hosts;
    struct sim_wire *wire;
    struct device *ours, *peers;
    struct stack *stack;
    struct flow *flow[FLOWS_MAX];
    unsigned flows;
    struct captured captured[CAPTURED_MAX];
    unsigned captures, taken;
    struct held {
        struct flow *flow; /* whose data is in it */
        void *buffer;
    } held[HELD_MAX];
    unsigned helds;
};

/* Says what is wrong at the current line, and leaves the conversation. */
_Noreturn void play_fail(struct play *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The stack is made, with the options as they are. */
void play_start(struct play *p);
void play_free(struct play *p);
/* One turn of the stack and of its user, and what follows from it at once. */
void play_turn(struct play *p);
/* Time goes on until then; stops early when a segment of ours has been captured, if so asked. */
void play_run_until(struct play *p, uint64_t until_ns, bool stop_at_capture);
/* A frame from the peer. */
void play_inject(struct play *p, uint8_t *frame, uint32_t len);
struct flow *play_flow(struct play *p, const char *name);
/* Seconds of virtual time since the start. */
double play_seconds(const struct play *p, uint64_t at_ns);

/* user.c: what the stack's user does. */
struct tcp_upcalls user_upcalls(struct play *p);
/* After upcalls: data is used up, replied to, buffers are given back, released bytes are overwritten. */
void user_work(struct play *p);
/* What the streams must hold at position n. */
uint8_t our_byte(uint64_t n);
uint8_t peer_byte(uint64_t n);
void user_send(struct flow *f, size_t bytes, size_t expected);
void user_free(struct flow *f);

/* checks.c: what must hold of every segment, whatever the script says. */
void check_ours(struct flow *f, const struct segment *s, const uint8_t *payload);
void note_peers(struct flow *f, const struct segment *s);

/* lines.c: a line of the script. */
void line_run(struct play *p, const char *text);
