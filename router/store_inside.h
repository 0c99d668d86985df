/* What the files of the store share with each other, and nobody else. */
#pragma once

#include "router/store.h"

/* Fewer pages than this are no budget: two open ones, one being delivered from, one being read, and as many
 * again. */
#define STORE_PAGES_MIN 8u
/* Page memory kept for use again (the rest goes back to the allocator). */
#define STORE_SPARES 16u

static inline int stream_of(uint64_t position)
{
    return !(position & POSITION_TRANSIENT);
}

static inline uint64_t page_number(uint64_t position)
{
    return (position & ~POSITION_TRANSIENT) / PAGE_BYTES;
}

/* store_memory.c */

/* Memory of one page, PAGE_BYTES aligned to a block; counted as resident. */
uint8_t *store_memory(struct store *store);
/* A page that is known but has no memory yet. */
struct page *store_new_page(struct store *store, uint64_t at);
/* Puts a page with memory at the new end of the list of use. */
void store_use(struct store *store, struct page *page);
/* Forgets the page if nothing needs it any more. */
void store_settle_page(struct store *store, struct page *page);
struct waiter *store_on_done(struct store *store, const struct journal_event *event);

/* store_segment.c */

/* The account of a segment, made if there is none. */
struct segment *store_segment(struct store *store, uint64_t number);
/* Retires every segment before replay_from that holds nothing alive, once that is safe. */
void store_retire(struct store *store);
