/* What the files of tcp-duel share: a wire, two sides with a stack each, and the ends of connections. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "tcp/device_sim.h"
#include "tcp/stack.h"

enum { CONNS = 24, AT_ONCE = 8, CHUNKS = 64, CHUNK_MAX = 20000, HELD = 256, PORT = 5672 };

#define SECOND  1000000000ull
#define PATIENT (150 * SECOND) /* in the end phase: less than any linger, so that none hides who is stuck */

struct chunk {
    uint8_t *bytes;
    uint64_t end;
};

/* One end of a connection. */
struct end {
    struct side *side;
    uint64_t id;
    uint32_t serial; /* of the connection: what a client's stream begins with */
    uint64_t sent, got, unused, wanted;
    struct chunk chunk[CHUNKS];
    unsigned chunks;
    bool live, paused, keeps, closed, ended, aborted, client, lingers;
};

struct side {
    struct duel *duel;
    struct device *device;
    struct stack *stack;
    struct end end[CONNS];
    unsigned ends;
    void *held[HELD];
    unsigned helds;
};

struct duel {
    uint64_t seed, now_ns, bytes, moved, trace;
    struct prng prng;
    struct sim_wire *wire;
    struct side side[2];
    bool verbose, ending;
    uint32_t serials;
    uint64_t opened, complete; /* connections; directions of which all has come */
};

extern struct duel *current; /* for what is printed when a CHECK fails */

#define JUDGE(x, ...)                                                                                        \
    do {                                                                                                     \
        if (!(x)) {                                                                                          \
            fprintf(stderr, "seed %lu, at %.6f s: ", (unsigned long)current->seed,                           \
                    (double)current->now_ns / 1e9);                                                          \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fprintf(stderr, "\n");                                                                           \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static inline uint64_t draw(struct duel *d, uint64_t below)
{
    return prng_below(&d->prng, below);
}

/* duel_user.c: what users do. */
struct tcp_upcalls user_upcalls(struct side *s);
/* One turn of a side: its stack, and its users by chance. */
void user_turn(struct side *s);
/* Received buffers go back: all of them at the end, some before. */
void user_give_back(struct side *s);
/* Bytes that are released, or all, are the user's again: they are freed, so that a sanitizer sees who still
 * looks. */
void user_take_back(struct end *e, bool all);
