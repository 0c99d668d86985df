/*
 * What limits are about: how many connections, channels and queues a user or a virtual host has, and how far
 * what they publish has come ahead of its rate. A limit holds for the whole broker, so this is the one thing
 * about access that is shared: each replica (access.h) that has the user holds the same tally, and so does
 * each connection, which may outlive the user. Counts change with opening and closing only; a rate costs whom
 * it is for an atomic operation for each message, and nobody else anything.
 *
 * Any thread may call all of this.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/span.h"

enum tally_of { TALLY_OF_USER, TALLY_OF_VHOST };
enum tally_count { TALLY_CONNECTIONS, TALLY_CHANNELS, TALLY_QUEUES, TALLY_COUNTS };
enum tally_rate { TALLY_MESSAGES, TALLY_BYTES, TALLY_RATES };

struct tallies;

struct tally {
    struct map_node node;
    struct tallies *all;
    _Atomic uint32_t holders;
    _Atomic int64_t count[TALLY_COUNTS];
    _Atomic uint64_t paid_ns[TALLY_RATES]; /* the time up to which its rate has been used */
    uint8_t of;                            /* enum tally_of */
    size_t name_len;
    uint8_t name[];
};

struct tallies *tallies_new(void);
/* When all of them have been given back. */
void tallies_free(struct tallies *all);

/* That of a user or virtual host, for whoever may be the first to ask for it. Takes a lock. */
struct tally *tally_take(struct tallies *all, enum tally_of of, struct span name);
/* One more holder of what somebody holds. */
struct tally *tally_share(struct tally *tally);
/* May take the lock. */
void tally_give_back(struct tally *tally);

/* One more. False: there are `most` already, and nothing has changed. most < 0: there may be any number. */
bool tally_add(struct tally *tally, enum tally_count count, int64_t most);
void tally_subtract(struct tally *tally, enum tally_count count, int64_t n);

/* What may be used of a rate at once: as much as it has for so long; and always one message. */
#define TALLY_BURST_NS UINT64_C(100000000)

/* Uses n of what is at most `rate` (> 0) a second, and returns from when on it may be used: now_ns, or later.
 * Whoever is told to wait does so once: what he asked for is his. */
uint64_t tally_use(struct tally *tally, enum tally_rate which, int64_t rate, uint64_t n, uint64_t now_ns);
/* The rate is another one: what was used of it before doesn't count. */
void tally_forget_use(struct tally *tally);
