/* The segments on their way, in order of their sequence numbers: the scoreboard of RFC 6675 and 8985. Empty,
 * it holds no memory of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tcp/blocks.h"

enum sent_flags {
    SENT_SACKED = 1,
    SENT_LOST = 2,          /* deemed lost, to be sent again; of these three at most one is set */
    SENT_AGAIN = 4,         /* sent again, and on its way */
    SENT_RETRANSMITTED = 8, /* was at least once */
    SENT_SYN = 16,
    SENT_FIN = 32,
};

struct sent {
    uint32_t seq, end;
    uint32_t at_us; /* when, last */
    uint8_t flags;  /* enum sent_flags */
    uint8_t tries;
};

enum { SENT_INLINE_BITS = 2 };

struct sent_list {
    struct sent *items; /* a ring of 1 << bits; NULL: those within */
    uint32_t head, count;
    uint32_t sacked, lost, again; /* bytes with the flag */
    uint8_t bits;
    struct sent within[1 << SENT_INLINE_BITS];
};

struct sent_pool {
    struct blocks blocks;
};

void sent_init(struct sent_list *list);
void sent_free(struct sent_list *list, struct sent_pool *pool);
/* The i-th, from 0: the oldest. */
static inline struct sent *sent_at(struct sent_list *list, uint32_t i)
{
    struct sent *items = list->items ? list->items : list->within;
    return &items[(list->head + i) & ((1u << list->bits) - 1)];
}
struct sent *sent_add(struct sent_list *list, struct sent_pool *pool);
/* Drops the oldest. */
void sent_drop(struct sent_list *list, struct sent_pool *pool);
/* Makes two of the i-th: the first ends at seq, which lies within. */
void sent_split(struct sent_list *list, struct sent_pool *pool, uint32_t i, uint32_t seq);
/* The first whose end is behind seq; count: none. */
uint32_t sent_find(struct sent_list *list, uint32_t seq);

/* The changes of state that the sums follow. */
void sent_mark_sacked(struct sent_list *list, struct sent *sent);
void sent_mark_lost(struct sent_list *list, struct sent *sent);
void sent_mark_again(struct sent_list *list, struct sent *sent, uint32_t now_us);
/* It counts in no sum any more. */
void sent_unmark(struct sent_list *list, struct sent *sent);
