/* gannetctl top: what is looked at again and again, and how it is shown. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "table.h"

struct line;

/* ---- counters: top_counts.c --------------------------------------------------------------------------- */

/* A counter of dataplane/stats.def. */
struct top_count {
    const char *label, *name;
    enum { TOP_TOTAL, TOP_TOTAL_BYTES, TOP_NOW, TOP_NOW_BYTES, TOP_STATE } kind; /* STATE: only said */
    uint64_t value;
    double rate; /* a second; of totals */
};

enum { TOP_COUNTS = 20 };

struct top_counts {
    struct top_count count[TOP_COUNTS];
    unsigned counts;
    uint64_t started_ms, written_ms;
    bool known;        /* there are rates */
    char trouble[256]; /* why there are none: "" if there are */
};

void top_counts_init(struct top_counts *counts);
/* Looks at DATADIR/counters. */
void top_counts_read(struct top_counts *counts, const char *data_dir);

/* ---- lists: top_list.c ----------------------------------------------------------------------------------
 */

enum top_kind { TOP_TEXT, TOP_COUNT, TOP_BYTES, TOP_RATE, TOP_BYTES_RATE };

struct top_column {
    const char *title, *from; /* of the broker's answer */
    enum top_kind kind;
    char key; /* sorts by it */
};

enum { TOP_COLUMNS = 8 };

/* A queue, say. */
struct top_row {
    char *name;  /* and where: tells it from others; owned */
    size_t cell; /* its row of the table */
    double total[TOP_COLUMNS], shown[TOP_COLUMNS];
};

struct top_list {
    const char *title, *request;
    const struct top_column *column;
    unsigned columns, sort;
    bool rising;
    uint64_t read_ns; /* when, by CLOCK_MONOTONIC; 0: never */
    uint64_t took_ns; /* to be answered */
    struct table table;
    struct top_row *row, **order;
    size_t rows;
};

void top_lists_init(struct top_list *queues, struct top_list *connections);
/* Asks the broker. False, with one sentence in error: there is no answer, and no row. */
bool top_list_read(struct top_list *list, const struct line *line, char *error, size_t error_size);
/* By the column that is chosen. */
void top_list_sort(struct top_list *list);
/* Chooses the column of that key or title. False: there is none. */
bool top_list_choose(struct top_list *list, const char *word);
void top_list_free(struct top_list *list);

/* ---- the screen: top_screen.c
 * ------------------------------------------------------------------------------ */

struct top_screen {
    unsigned width, height; /* 0: as much as there is */
    bool terminal;
    unsigned chosen; /* the list that keys are for */
};

/* Writes all of it. */
void top_screen_put(FILE *out, const struct top_screen *screen, const char *where,
                    const struct top_counts *counts, struct top_list *const lists[2], const char *trouble);
