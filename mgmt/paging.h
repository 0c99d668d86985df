/*
 * What part of a list a call wants, in which order, as RabbitMQ has it:
 *
 *   ?page=1&page_size=100    the 1st 100 of them, in an object that says how many there are; else all, as a
 * list &name=TEXT               with page: those whose name has it, whatever the case; &use_regex=true whose
 * name the regular expression TEXT fits ?sort=a.b                by that member; else by virtual host and
 * name ?sort_reverse=true       the other way round ?columns=a,b.c           only these members
 */
#pragma once

#include "query.h"
#include "rows.h"

enum { PAGE_SIZE = 100, PAGE_SIZE_MAX = 500 };

/* row: numbers of rows of the table; they are sorted. */
void paging_reply(const struct query *query, const struct rows *rows, size_t *row, size_t count,
                  struct reply *reply);
