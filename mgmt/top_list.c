#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "control_client.h"
#include "top.h"
#include "verb.h"

static const struct top_column of_queues[] = {
    {"MESSAGES", "messages", TOP_COUNT, 'm'},
    {"UNACKED", "messages_unacknowledged", TOP_COUNT, 'u'},
    {"CONSUMERS", "consumers", TOP_COUNT, 'c'},
    {"BYTES", "message_bytes", TOP_BYTES, 'b'},
    {"PUBLISH/s", "publish", TOP_RATE, 'p'},
    {"DELIVER/s", "deliver_get", TOP_RATE, 'd'},
    {"ACK/s", "ack", TOP_RATE, 'a'},
    {"QUEUE", "name", TOP_TEXT, 'n'},
};
static const struct top_column of_connections[] = {
    {"IN/s", "recv_oct", TOP_BYTES_RATE, 'i'}, {"OUT/s", "send_oct", TOP_BYTES_RATE, 'o'},
    {"CHANNELS", "channels", TOP_COUNT, 'c'},  {"STATE", "state", TOP_TEXT, 's'},
    {"PROTOCOL", "protocol", TOP_TEXT, 'l'},   {"USER", "user", TOP_TEXT, 'u'},
    {"CONNECTION", "name", TOP_TEXT, 'n'},
};

void top_lists_init(struct top_list *queues, struct top_list *connections)
{
    *queues = (struct top_list){.title = "Queues",
                                .request = "queues",
                                .column = of_queues,
                                .columns = sizeof of_queues / sizeof *of_queues};
    *connections = (struct top_list){.title = "Connections",
                                     .request = "connections",
                                     .column = of_connections,
                                     .columns = sizeof of_connections / sizeof *of_connections};
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct top_row *)a)->name, ((const struct top_row *)b)->name);
}

static void free_rows(struct top_row *row, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        free(row[i].name);
    free(row);
}

static void fill_in(struct top_row *row, const struct top_list *list, size_t cell)
{
    row->cell = cell;
    if (asprintf(&row->name, "%s\t%s", table_cell(&list->table, cell, "vhost"),
                 table_cell(&list->table, cell, "name")) < 0)
        errx(1, "no memory");
    for (unsigned c = 0; c < list->columns; c++)
        row->total[c] = row->shown[c] =
            list->column[c].kind == TOP_TEXT
                ? 0
                : strtod(table_cell(&list->table, cell, list->column[c].from), NULL);
}

/* What is shown of who was there before is what has come since. */
static void compare(struct top_row *row, const struct top_row *before, const struct top_list *list,
                    double seconds)
{
    for (unsigned c = 0; c < list->columns; c++) {
        if (list->column[c].kind != TOP_RATE && list->column[c].kind != TOP_BYTES_RATE)
            continue;
        double more = before ? row->total[c] - before->total[c] : 0;
        row->shown[c] = seconds > 0 && more > 0 ? more / seconds : 0;
    }
}

/* Takes the answer over. */
static void take(struct top_list *list, struct table *table, uint64_t at_ns)
{
    struct top_row *before = list->row;
    size_t rows_before = list->rows;
    double seconds = list->read_ns ? (double)(at_ns - list->read_ns) / 1e9 : 0;
    table_free(&list->table);
    list->table = *table;
    list->rows = table->rows ? table->rows - 1 : 0;
    list->row = calloc(list->rows + 1, sizeof *list->row);
    free(list->order);
    list->order = calloc(list->rows + 1, sizeof *list->order);
    if (!list->row || !list->order)
        errx(1, "no memory");
    for (size_t i = 0; i < list->rows; i++)
        fill_in(&list->row[i], list, i + 1);
    qsort(list->row, list->rows, sizeof *list->row, by_name);
    for (size_t i = 0; i < list->rows; i++) {
        list->order[i] = &list->row[i];
        const struct top_row *was =
            rows_before ? bsearch(&list->row[i], before, rows_before, sizeof *before, by_name) : NULL;
        compare(&list->row[i], was, list, seconds);
    }
    free_rows(before, rows_before);
    list->read_ns = at_ns;
}

bool top_list_read(struct top_list *list, const struct line *line, char *error, size_t error_size)
{
    uint64_t from = now_ns();
    char *text = control_client_ask(line->socket, list->request, NULL, error, error_size);
    if (!text) {
        struct table none = {0};
        take(list, &none, from);
        list->read_ns = 0;
        return false;
    }
    struct table table = table_parse(text);
    take(list, &table, from);
    list->took_ns = now_ns() - from;
    return true;
}

void top_list_free(struct top_list *list)
{
    table_free(&list->table);
    free_rows(list->row, list->rows);
    free(list->order);
}

/* ---- order ------------------------------------------------------------------------------------------- */

static int by_chosen(const void *a, const void *b, void *of)
{
    const struct top_row *x = *(struct top_row *const *)a, *y = *(struct top_row *const *)b;
    const struct top_list *list = of;
    const struct top_column *column = &list->column[list->sort];
    int order;
    if (column->kind == TOP_TEXT)
        order = strcmp(table_cell(&list->table, x->cell, column->from),
                       table_cell(&list->table, y->cell, column->from));
    else
        order = (x->shown[list->sort] < y->shown[list->sort]) - (x->shown[list->sort] > y->shown[list->sort]);
    order = list->rising ? -order : order;
    return order ? order : by_name(x, y);
}

void top_list_sort(struct top_list *list)
{
    qsort_r(list->order, list->rows, sizeof(struct top_row *), by_chosen, list);
}

bool top_list_choose(struct top_list *list, const char *word)
{
    size_t len = strlen(word);
    for (unsigned c = 0; c < list->columns; c++) {
        const char *title = list->column[c].title;
        bool is = len == 1 ? *word == list->column[c].key
                           : strncasecmp(title, word, len) == 0 && (!title[len] || title[len] == '/');
        if (is) {
            list->rising = list->sort == c && !list->rising;
            list->sort = c;
            return true;
        }
    }
    return false;
}
