/* Pages of one stream by number: a ring of pointers that grows at the new end and shrinks at the old one. */
#pragma once

#include "router/store.h"

/* NULL: none of that number. */
struct page *page_list_get(const struct page_list *list, uint64_t number);
/* number: at or above the oldest, or any when the list is empty; below it only during recovery. */
void page_list_set(struct page_list *list, uint64_t number, struct page *page);
void page_list_remove(struct page_list *list, uint64_t number);
