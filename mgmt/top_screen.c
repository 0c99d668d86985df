#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "top.h"

enum { NUMBER_WIDTH = 10, TEXT_WIDTH = 12, HEAD_LINES = 6 };

/* ---- a line ------------------------------------------------------------------------------------------ */

/* What is written of the screen: lines that are as wide as it is at most. */
struct page {
    FILE *out;
    const struct top_screen *screen;
    unsigned lines;
};

/* Bytes that go on a character have no width; what isn't a character isn't shown. */
static void put_cut(const struct page *page, const char *text)
{
    unsigned column = 0, width = page->screen->width;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        column += (c & 0xC0) != 0x80;
        if (width && column > width)
            return;
        fputc(c < ' ' || c == 127 ? '?' : c, page->out);
    }
}

__attribute__((format(printf, 3, 4))) static void put_line(struct page *page, const char *style,
                                                           const char *format, ...)
{
    char text[1024];
    va_list args;
    if (page->screen->height && page->lines >= page->screen->height)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (page->screen->terminal)
        fprintf(page->out, "%s\x1b[K%s", page->lines ? "\r\n" : "", style);
    put_cut(page, text);
    fputs(page->screen->terminal ? "\x1b[0m" : "\n", page->out);
    page->lines++;
}

/* ---- numbers ----------------------------------------------------------------------------------------- */

/* "12.3 MiB"; of what has no unit 1,000 is k. */
static const char *number(char text[32], double value, bool bytes)
{
    static const char *const of_bytes[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    static const char *const of_others[] = {"", " k", " M", " G", " T"};
    double step = bytes ? 1024 : 1000;
    unsigned unit = 0;
    while (value >= (bytes ? 1024 : 1e5) && unit < 4) {
        value /= step;
        unit++;
    }
    snprintf(text, 32, unit ? "%.1f%s" : "%.0f%s", value, (bytes ? of_bytes : of_others)[unit]);
    return text;
}

static const struct top_count *find(const struct top_counts *counts, const char *label)
{
    for (unsigned i = 0; i < counts->counts; i++)
        if (strcmp(counts->count[i].label, label) == 0)
            return &counts->count[i];
    return NULL;
}

/* "published 12 k  ..." of the counters of two kinds. */
static void put_counts(struct page *page, const char *title, const struct top_counts *counts, unsigned kind,
                       unsigned kind_of_bytes)
{
    char text[1024], value[32];
    size_t len = (size_t)snprintf(text, sizeof text, "%s", title);
    for (unsigned i = 0; i < counts->counts; i++) {
        const struct top_count *count = &counts->count[i];
        bool bytes = count->kind == kind_of_bytes;
        if (count->kind != kind && !bytes)
            continue;
        double shown = kind == TOP_TOTAL ? count->rate : (double)count->value;
        len += (size_t)snprintf(text + len, sizeof text - len, "  %s %s", count->label,
                                number(value, shown, bytes));
    }
    put_line(page, "", "%s", text);
}

/* ---- the head ---------------------------------------------------------------------------------------- */

/* The worst that there is to be said of it. */
static void put_state(struct page *page, const struct top_counts *counts)
{
    uint64_t memory = find(counts, "short of memory")->value, disk = find(counts, "short of disk")->value;
    if (find(counts, "failed")->value)
        put_line(page, "\x1b[31;1m", "ALARM: a journal has failed: %s; restart the broker on a sound disk",
                 strerror((int)find(counts, "failed")->value));
    else if (memory || disk)
        put_line(page, "\x1b[31;1m",
                 "ALARM: short of %s%s%s: publishers are held back (gannetctl check_alarms)",
                 memory ? "memory" : "", memory && disk ? " and " : "", disk ? "disk" : "");
    else if (find(counts, "drained")->value)
        put_line(page, "\x1b[33;1m",
                 "The broker is drained: it takes no connections until gannetctl undrain");
    else
        put_line(page, "", "%s", counts->known ? "" : "Rates are known in a moment");
}

static void put_head(struct page *page, const char *where, const struct top_counts *counts,
                     const char *trouble)
{
    char now[16];
    time_t t = time(NULL);
    struct tm local;
    uint64_t up = (counts->written_ms - counts->started_ms) / 1000;
    strftime(now, sizeof now, "%H:%M:%S", localtime_r(&t, &local));
    put_line(page, "\x1b[1m", "gannetctl top - %s  %s  up %llu:%02llu:%02llu", where, now,
             (unsigned long long)(up / 3600), (unsigned long long)(up / 60 % 60),
             (unsigned long long)(up % 60));
    put_counts(page, "Per second:", counts, TOP_TOTAL, TOP_TOTAL_BYTES);
    put_counts(page, "Now:       ", counts, TOP_NOW, TOP_NOW_BYTES);
    if (*counts->trouble || (trouble && *trouble))
        put_line(page, "\x1b[31;1m", "%s", *counts->trouble ? counts->trouble : trouble);
    else
        put_state(page, counts);
}

/* ---- a list ------------------------------------------------------------------------------------------ */

static int width_of(const struct top_column *column, bool last)
{
    return column->kind != TOP_TEXT ? NUMBER_WIDTH : last ? 0 : -TEXT_WIDTH;
}

static const char *cell_of(const struct top_list *list, const struct top_row *row, unsigned c, char text[32])
{
    const struct top_column *column = &list->column[c];
    if (column->kind == TOP_TEXT)
        return table_cell(&list->table, row->cell, column->from);
    return number(text, row->shown[c], column->kind == TOP_BYTES || column->kind == TOP_BYTES_RATE);
}

static void put_titles(struct page *page, const struct top_list *list, bool chosen)
{
    char text[512];
    size_t len = 0;
    for (unsigned c = 0; c < list->columns; c++) {
        char title[32];
        snprintf(title, sizeof title, "%s%s", list->column[c].title,
                 c != list->sort ? ""
                 : list->rising  ? "^"
                                 : "v");
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%*s", c ? "  " : "",
                                width_of(&list->column[c], c + 1 == list->columns), title);
    }
    put_line(page, chosen ? "\x1b[7m" : "\x1b[4m", "%s", text);
}

static void put_row(struct page *page, const struct top_list *list, const struct top_row *row)
{
    char text[1024], value[32];
    size_t len = 0;
    for (unsigned c = 0; c < list->columns && len < sizeof text; c++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%*s", c ? "  " : "",
                                width_of(&list->column[c], c + 1 == list->columns),
                                cell_of(list, row, c, value));
    const char *vhost = table_cell(&list->table, row->cell, "vhost");
    if (len < sizeof text && strcmp(vhost, "/") != 0)
        snprintf(text + len, sizeof text - len, "  (%s)", vhost);
    put_line(page, "", "%s", text);
}

static void put_list(struct page *page, struct top_list *list, bool chosen, size_t most)
{
    top_list_sort(list);
    put_titles(page, list, chosen);
    for (size_t i = 0; i < list->rows && i < most; i++)
        put_row(page, list, list->order[i]);
}

/* Half of what is left for each, or what one doesn't need. */
static void share(const struct top_screen *screen, struct top_list *const lists[2], size_t most[2])
{
    enum { ALL = 10 }; /* of a list, where there is no end */
    size_t room = screen->height > HEAD_LINES + 3 ? screen->height - HEAD_LINES - 3 : 0;
    most[0] = screen->height ? room / 2 : ALL;
    most[1] = screen->height ? room - most[0] : ALL;
    for (unsigned i = 0; screen->height && i < 2; i++)
        if (lists[i]->rows < most[i])
            most[1 - i] += most[i] - lists[i]->rows;
}

void top_screen_put(FILE *out, const struct top_screen *screen, const char *where,
                    const struct top_counts *counts, struct top_list *const lists[2], const char *trouble)
{
    struct page page = {.out = out, .screen = screen};
    size_t most[2];
    share(screen, lists, most);
    if (screen->terminal)
        fputs("\x1b[H", out);
    put_head(&page, where, counts, trouble);
    for (unsigned i = 0; i < 2; i++) {
        put_line(&page, "", "%s", "");
        put_list(&page, lists[i], screen->terminal && screen->chosen == i, most[i]);
    }
    if (!screen->terminal)
        return;
    put_line(&page, "\x1b[2m", "q quits  Tab: the other list  sort by %s  + - slower, faster",
             screen->chosen ? "i o c s l u n" : "m u c b p d a n");
    fputs("\x1b[J", out);
}
