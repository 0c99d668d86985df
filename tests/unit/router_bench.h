/*
 * A router between a front and a disk that are both played by the test: what it asks and publishes goes in at
 * once, what the router sends is collected, and the disk does what it was asked to when the test says so.
 */
#pragma once

#include "lone_router.h"

enum { BENCH_PAGES = 64, BENCH_DELIVERIES = 4096 };

/* One that came: its page is given back at once. */
struct bench_delivery {
    uint64_t tag, seq;
    uint8_t flags;
    uint16_t round;
    size_t parts;
    char body[16]; /* its beginning, a string */
};

struct bench {
    struct lone_router lone;
    struct router *router; /* its */
    uint64_t now_ns, published;
    uint64_t exchange;                  /* the default one's id */
    uint8_t *log;                       /* BENCH_PAGES of them, from the first segment on */
    struct journal_command reads[4096]; /* asked for, not yet done */
    size_t read_count;
    uint64_t handed;    /* LSN that was asked to be written */
    bool hold_writes;   /* nothing becomes safe */
    bool hold_reads;    /* nothing is read back */
    uint64_t confirmed; /* publishes */
    struct bench_delivery got[BENCH_DELIVERIES];
    size_t count, looked; /* of `got`: how many, and how many bench_next has given */
    struct op *answer;    /* the last one */
};

/* budget_bytes: of log pages in memory. */
struct bench *bench_new(size_t budget_bytes);
void bench_free(struct bench *bench);
/* Turns until nothing more happens. */
void bench_run(struct bench *bench);
/* Without a turn. body: a string; body_len of it count. */
void bench_publish(struct bench *bench, const char *queue, uint8_t flags, struct span properties,
                   struct span body);
/* The same, a turn, and the string is the body. */
void bench_send(struct bench *bench, const char *queue, const char *body);
/* Turns until the op is answered; the answer is the bench's until the next op. arguments: a table. */
struct op *bench_op(struct bench *bench, enum op_kind kind, const char *name, uint32_t flags,
                    struct span arguments);
/* OP_CONSUME of so many unacknowledged messages; returns the answer. */
struct op *bench_consume(struct bench *bench, const char *queue, uint64_t tag, uint32_t prefetch,
                         struct span arguments);
void bench_settle(struct bench *bench, uint64_t consumer, uint64_t seq, uint32_t count, enum settle how);
void bench_credit(struct bench *bench, struct command_credit credit);
/* The next delivery; its tag is 0 if there is none. */
struct bench_delivery bench_next(struct bench *bench);
struct queue *bench_queue(struct bench *bench, const char *name);
