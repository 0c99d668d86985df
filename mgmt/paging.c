#include "paging.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/pattern.h"

/* ---- the order ----------------------------------------------------------------------------------------- */

struct order {
    const struct table *table;
    unsigned key[2]; /* columns; table->columns: none */
    bool reverse;
};

static int compare_cells(const struct table *table, unsigned column, size_t a, size_t b)
{
    const char *left = table->cell[a][column], *right = table->cell[b][column];
    if (table->kind[column] != TABLE_NUMBER)
        return strcmp(left, right);
    long long x = strtoll(left, NULL, 10), y = strtoll(right, NULL, 10);
    return (x > y) - (x < y);
}

static int compare(const void *a, const void *b, void *owner)
{
    const struct order *order = owner;
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    int by = 0;
    for (unsigned i = 0; i < 2 && !by; i++)
        if (order->key[i] < order->table->columns)
            by = compare_cells(order->table, order->key[i], left, right);
    by = by ? by : (left > right) - (left < right);
    return order->reverse ? -by : by;
}

static void sort(const struct query *query, const struct rows *rows, size_t *row, size_t count)
{
    const char *by = query_value(query, "sort"), *reverse = query_value(query, "sort_reverse");
    unsigned none = rows->table->columns;
    struct order order = {.table = rows->table,
                          .key = {by ? rows_source(rows, by) : none, none},
                          .reverse = reverse && strcmp(reverse, "true") == 0};
    if (order.key[0] == none) {
        order.key[0] = rows_source(rows, "vhost");
        order.key[1] = rows_source(rows, "name");
    }
    qsort_r(row, count, sizeof *row, compare, &order);
}

/* ---- the page ------------------------------------------------------------------------------------------ */

struct page {
    long number, size;
};

static bool read_number(const char *text, long *number)
{
    char *end;
    errno = 0;
    *number = strtol(text, &end, 10);
    return *text && *text != ' ' && !*end && errno == 0;
}

static void is_invalid(struct reply *reply)
{
    reply_error(reply, 400, "Pagination parameters are invalid");
}

static bool read_page(const struct query *query, const char *number, struct page *page, struct reply *reply)
{
    const char *size = query_value(query, "page_size");
    char reason[128];
    page->size = PAGE_SIZE;
    if (!read_number(number, &page->number) || (size && !read_number(size, &page->size))) {
        is_invalid(reply);
        return false;
    }
    if (page->number >= 1 && page->size >= 1 && page->size <= PAGE_SIZE_MAX)
        return true;
    snprintf(reason, sizeof reason, "Invalid pagination parameters: page number %ld, page size %s",
             page->number, size ? size : "undefined");
    reply_word(reply, 400, "invalid_pagination_parameters", reason);
    return false;
}

static size_t keep_by_text(const struct rows *rows, const char *text, unsigned name, size_t *row,
                           size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (strcasestr(rows->table->cell[row[i]][name], text))
            row[kept++] = row[i];
    return kept;
}

static bool keep_by_pattern(const struct rows *rows, const char *text, unsigned name, size_t *row,
                            size_t *count)
{
    char why[256];
    struct pattern_scratch scratch = {0};
    struct pattern *pattern = pattern_compile(span_str(text), why, sizeof why);
    size_t kept = 0;
    for (size_t i = 0; pattern && i < *count; i++)
        if (pattern_match(pattern, &scratch, span_str(rows->table->cell[row[i]][name])) == PATTERN_FITS)
            row[kept++] = row[i];
    *count = kept;
    pattern_scratch_free(&scratch);
    pattern_free(pattern);
    return pattern;
}

/* False: the reply says why. */
static bool keep_named(const struct query *query, const struct rows *rows, size_t *row, size_t *count,
                       struct reply *reply)
{
    const char *text = query_value(query, "name"), *regex = query_value(query, "use_regex");
    unsigned name = rows_source(rows, "name");
    if (!text || !*text || name >= rows->table->columns)
        return true;
    if (!regex || strcmp(regex, "true") != 0)
        *count = keep_by_text(rows, text, name, row, *count);
    else if (!keep_by_pattern(rows, text, name, row, count)) {
        is_invalid(reply);
        return false;
    }
    return true;
}

static json_t *list_of(const struct query *query, const struct rows *rows, const size_t *row, size_t count)
{
    const char *wanted = query_value(query, "columns");
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, rows_object(rows, row[i], wanted));
    return list;
}

static void reply_page(const struct query *query, const struct rows *rows, struct page page, size_t *row,
                       size_t count, struct reply *reply)
{
    size_t all = count, size = (size_t)page.size, before;
    if (!keep_named(query, rows, row, &count, reply))
        return;
    if (__builtin_mul_overflow((size_t)page.number - 1, size, &before) || before > count) {
        char reason[128];
        snprintf(reason, sizeof reason, "Page out of range, page: %ld page size: %zu, len: %zu", page.number,
                 size, count);
        reply_word(reply, 400, "page_out_of_range", reason);
        return;
    }
    size_t items = count - before < size ? count - before : size;
    sort(query, rows, row, count);
    reply_json(reply,
               json_pack("{sI,sI,so,sI,sI,sI,sI}", "filtered_count", (json_int_t)count, "item_count",
                         (json_int_t)items, "items", list_of(query, rows, row + before, items), "page",
                         (json_int_t)page.number, "page_count", (json_int_t)((count + size - 1) / size),
                         "page_size", (json_int_t)size, "total_count", (json_int_t)all));
}

void paging_reply(const struct query *query, const struct rows *rows, size_t *row, size_t count,
                  struct reply *reply)
{
    const char *number = query_value(query, "page");
    struct page page;
    if (number) {
        if (read_page(query, number, &page, reply))
            reply_page(query, rows, page, row, count, reply);
        return;
    }
    sort(query, rows, row, count);
    reply_json(reply, list_of(query, rows, row, count));
}
