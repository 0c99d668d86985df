#include "tcp/sent.h"

#include <string.h>

#include "tcp/seq.h"

void sent_init(struct sent_list *list)
{
    *list = (struct sent_list){.bits = SENT_INLINE_BITS};
}

void sent_free(struct sent_list *list, struct sent_pool *pool)
{
    if (list->items)
        blocks_give(&pool->blocks, list->items, list->bits);
    sent_init(list);
}

static void grow(struct sent_list *list, struct sent_pool *pool)
{
    unsigned bits = list->bits + 1u;
    struct sent *more = blocks_take(&pool->blocks, bits);
    for (uint32_t i = 0; i < list->count; i++)
        more[(list->head + i) & ((1u << bits) - 1)] = *sent_at(list, i);
    if (list->items)
        blocks_give(&pool->blocks, list->items, list->bits);
    list->items = more;
    list->bits = (uint8_t)bits;
}

struct sent *sent_add(struct sent_list *list, struct sent_pool *pool)
{
    if (list->count == 1u << list->bits)
        grow(list, pool);
    return sent_at(list, list->count++);
}

void sent_drop(struct sent_list *list, struct sent_pool *pool)
{
    list->head++;
    if (--list->count == 0 && list->items)
        sent_free(list, pool);
}

void sent_split(struct sent_list *list, struct sent_pool *pool, uint32_t i, uint32_t seq)
{
    sent_add(list, pool);
    for (uint32_t j = list->count - 1; j > i; j--)
        *sent_at(list, j) = *sent_at(list, j - 1);
    struct sent *first = sent_at(list, i), *second = sent_at(list, i + 1);
    first->end = second->seq = seq;
    first->flags &= (uint8_t)~SENT_FIN;
    second->flags &= (uint8_t)~SENT_SYN;
}

uint32_t sent_find(struct sent_list *list, uint32_t seq)
{
    uint32_t low = 0, high = list->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (seq_leq(sent_at(list, middle)->end, seq))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t length(const struct sent *sent)
{
    return sent->end - sent->seq;
}

void sent_unmark(struct sent_list *list, struct sent *sent)
{
    if (sent->flags & SENT_SACKED)
        list->sacked -= length(sent);
    else if (sent->flags & SENT_AGAIN)
        list->again -= length(sent);
    else if (sent->flags & SENT_LOST)
        list->lost -= length(sent);
    sent->flags &= (uint8_t) ~(SENT_SACKED | SENT_LOST | SENT_AGAIN);
}

void sent_mark_sacked(struct sent_list *list, struct sent *sent)
{
    sent_unmark(list, sent);
    sent->flags |= SENT_SACKED;
    list->sacked += length(sent);
}

void sent_mark_lost(struct sent_list *list, struct sent *sent)
{
    sent_unmark(list, sent);
    sent->flags |= SENT_LOST;
    list->lost += length(sent);
}

void sent_mark_again(struct sent_list *list, struct sent *sent, uint32_t now_us)
{
    sent_unmark(list, sent);
    sent->flags |= SENT_AGAIN | SENT_RETRANSMITTED;
    sent->at_us = now_us;
    if (sent->tries < UINT8_MAX)
        sent->tries++;
    list->again += length(sent);
}
