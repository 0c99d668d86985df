/*
 * The hosts on the wire: which Ethernet address belongs to which IP address, for ARP and neighbour discovery
 * alike. A bounded table; whoever floods it with addresses can only take the room of entries that carry no
 * traffic. It sends nothing itself: it says who is to be asked.
 *
 * A life: ASKED (up to three times, a second apart) → REACHABLE for half a minute → asked again, directly, if
 * it was used in that time (PROBED), else STALE until it is used, or forgotten after ten minutes.
 */
#pragma once

#include "base/limits.h"
#include "base/map.h"
#include "base/timer.h"
#include "tcp/ip.h"

enum {
    NEIGHBOUR_ASKS = 3,
    NEIGHBOUR_WAITING = 4,      /* frames of one entry */
    NEIGHBOUR_FRAME_MAX = 256,  /* bytes of a frame that is kept */
    NEIGHBOURS_LOOKED_AT = 32,  /* entries among which room for another is looked for */
    NEIGHBOURS_DUE_AT_ONCE = 32 /* of one turn */
};

#define NEIGHBOUR_ASK_NS       UINT64_C(1000000000)
#define NEIGHBOUR_REACHABLE_NS UINT64_C(30000000000)
#define NEIGHBOUR_STALE_NS     UINT64_C(600000000000)
#define NEIGHBOUR_IN_USE_NS    UINT64_C(60000000000) /* since traffic last used it */

enum neighbour_state {
    NEIGHBOUR_FREE,
    NEIGHBOUR_ASKED, /* its Ethernet address isn't known */
    NEIGHBOUR_STALE, /* from here on it is */
    NEIGHBOUR_PROBED,
    NEIGHBOUR_REACHABLE,
};

/* A frame that waits, whole: struct tx_frame without pieces. */
struct neighbour_frame {
    struct neighbour_frame *next;
    uint16_t len, l3_at, l4_at, flags;
    uint8_t bytes[NEIGHBOUR_FRAME_MAX];
};

struct neighbour {
    uint32_t generation; /* another one whenever the entry is of another address; never 0 */
    uint8_t state;       /* enum neighbour_state */
    uint8_t asked;       /* times, unanswered */
    uint8_t mac[6];
    uint64_t used_ns; /* when traffic to it last was sent; 0: never */
    struct ip_address address;
    uint64_t confirmed_ns; /* REACHABLE: since */
    struct timer timer;
    struct map_node node;
    struct neighbour_frame *first, *last; /* waiting, in order */
    unsigned waiting;
    uint32_t next_free; /* index + 1 */
};

struct neighbours {
    struct neighbour entry[NEIGHBOURS_MAX];
    struct neighbour_frame frame[NEIGHBOUR_FRAMES];
    struct neighbour_frame *free_frames;
    uint32_t free, hand; /* free: index + 1; hand: where room is looked for next */
    uint64_t secret;
    struct map map;
    struct timers timers;
    uint64_t count, evicted, refused, frames_dropped;
};

void neighbours_init(struct neighbours *all, uint64_t secret);
void neighbours_free(struct neighbours *all);
/* NULL: unknown. */
struct neighbour *neighbour_find(struct neighbours *all, const struct ip_address *address);
/* An entry for an unknown address, in ASKED, that nobody has been asked about. For traffic of ours there
 * always is room; otherwise (somebody told us of it) NULL when all that was looked at is in use. */
struct neighbour *neighbour_make(struct neighbours *all, const struct ip_address *address, bool ours,
                                 uint64_t now_ns);
/* Traffic is sent to it. Returns whether it must be asked now. */
bool neighbour_use(struct neighbours *all, struct neighbour *neighbour, uint64_t now_ns);
/* Its Ethernet address has been heard. confirmed: as an answer to us. */
void neighbour_heard(struct neighbours *all, struct neighbour *neighbour, const uint8_t *mac, bool confirmed,
                     uint64_t now_ns);
/* What was known may be wrong: ask when it is used next. */
void neighbour_doubt(struct neighbours *all, struct neighbour *neighbour, uint64_t now_ns);
/* The next that must be asked by now; NULL: none. Those that don't answer, or aren't used, are forgotten. */
struct neighbour *neighbours_due(struct neighbours *all, uint64_t now_ns);
/* Keeps a copy of a frame that waits for the neighbour. False: it is too long, or too many wait. */
bool neighbour_wait(struct neighbours *all, struct neighbour *neighbour, const struct tx_frame *frame);
/* Takes the frame that has waited longest; NULL: none. It is given back with neighbour_frame_free. */
struct neighbour_frame *neighbour_take(struct neighbour *neighbour);
void neighbour_frame_free(struct neighbours *all, struct neighbour_frame *frame);
