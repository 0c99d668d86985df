#include "router/page_list.h"

#include <stdlib.h>

#include "base/check.h"

struct page *page_list_get(const struct page_list *list, uint64_t number)
{
    if (number - list->first >= list->count)
        return NULL;
    return list->slots[(list->head + (number - list->first)) & list->mask];
}

static void grow(struct page_list *list, size_t want)
{
    size_t room = list->slots ? list->mask + 1 : 16;
    while (room < want)
        room *= 2;
    struct page **slots = calloc(room, sizeof *slots);
    CHECK(slots);
    for (size_t i = 0; i < list->count; i++)
        slots[i] = list->slots[(list->head + i) & list->mask];
    free(list->slots);
    list->slots = slots;
    list->mask = room - 1;
    list->head = 0;
}

/* Makes room for numbers below the oldest. */
static void extend_down(struct page_list *list, uint64_t number)
{
    size_t more = list->first - number;
    if (!list->slots || list->count + more > list->mask + 1)
        grow(list, list->count + more);
    list->head = (list->head - more) & list->mask;
    for (size_t i = 0; i < more; i++)
        list->slots[(list->head + i) & list->mask] = NULL;
    list->first = number;
    list->count += more;
}

void page_list_set(struct page_list *list, uint64_t number, struct page *page)
{
    if (list->count == 0)
        list->first = number;
    if (number < list->first)
        extend_down(list, number);
    size_t i = number - list->first;
    if (!list->slots || i > list->mask)
        grow(list, i + 1);
    for (; list->count <= i; list->count++)
        list->slots[(list->head + list->count) & list->mask] = NULL;
    list->slots[(list->head + i) & list->mask] = page;
}

void page_list_remove(struct page_list *list, uint64_t number)
{
    CHECK(number - list->first < list->count);
    list->slots[(list->head + (number - list->first)) & list->mask] = NULL;
    while (list->count && !list->slots[list->head]) {
        list->head = (list->head + 1) & list->mask;
        list->first++;
        list->count--;
    }
}
