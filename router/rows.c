#include "router/rows.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/table.h"

/* ---- bytes ----------------------------------------------------------------------------------------- */

/* Room for so many more, and a NUL. */
static char *make_room(struct rows *rows, size_t bytes)
{
    if (rows->len + bytes >= rows->room) {
        rows->room = 2 * (rows->len + bytes) + 4096;
        rows->text = realloc(rows->text, rows->room);
        CHECK(rows->text);
    }
    return rows->text + rows->len;
}

static void put(struct rows *rows, const void *bytes, size_t len)
{
    char *to = make_room(rows, len);
    if (len)
        memcpy(to, bytes, len);
    to[len] = '\0';
    rows->len += len;
}

static void put_str(struct rows *rows, const char *text)
{
    put(rows, text, strlen(text));
}

static void put_char(struct rows *rows, char c)
{
    put(rows, &c, 1);
}

__attribute__((format(printf, 2, 3))) static void put_format(struct rows *rows, const char *format, ...)
{
    char text[64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_str(rows, text);
}

static void begin_cell(struct rows *rows)
{
    if (rows->within)
        put_char(rows, '\t');
    rows->within = true;
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

/* The length of the UTF-8 character that s begins with; 0: that is none. */
static size_t character(struct span s)
{
    uint8_t c = s.at[0], least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (n > s.len || (n > 1 && (s.at[1] < least || s.at[1] > most)))
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s.at[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static void json_string(struct rows *rows, struct span s)
{
    put_char(rows, '"');
    while (s.len) {
        size_t n = character(s);
        uint8_t c = s.at[0];
        if (n == 0)
            put_str(rows, "\\ufffd");
        else if (c < ' ' || c == 127)
            put_format(rows, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            put_format(rows, "\\%c", c);
        else
            put(rows, s.at, n);
        n += n == 0;
        s = span_of(s.at + n, s.len - n);
    }
    put_char(rows, '"');
}

static void json_value(struct rows *rows, const struct field *field);

static void json_table(struct rows *rows, struct span table)
{
    struct field field;
    const char *before = "";
    put_char(rows, '{');
    for (; table_next(&table, &field); before = ",") {
        put_str(rows, before);
        json_string(rows, field.name);
        put_char(rows, ':');
        json_value(rows, &field);
    }
    put_char(rows, '}');
}

static void json_array(struct rows *rows, struct span array)
{
    struct field field;
    const char *before = "";
    put_char(rows, '[');
    for (; array_next(&array, &field); before = ",") {
        put_str(rows, before);
        json_value(rows, &field);
    }
    put_char(rows, ']');
}

/* JSON has no word for what is no number. */
static void json_real(struct rows *rows, double real)
{
    if (__builtin_isfinite(real))
        put_format(rows, "%.17g", real);
    else
        put_str(rows, "null");
}

static void json_float(struct rows *rows, const struct field *field)
{
    union {
        uint32_t bits;
        float real;
    } four = {.bits = get_be32(field->value.at)};
    union {
        uint64_t bits;
        double real;
    } eight = {.bits = field->value.len == 8 ? get_be64(field->value.at) : 0};
    json_real(rows, field->value.len == 8 ? eight.real : (double)four.real);
}

/* So many of its digits stand behind the point. */
static void json_decimal(struct rows *rows, const struct field *field)
{
    double real = get_be32(field->value.at + 1);
    for (unsigned places = field->value.at[0]; places; places--)
        real /= 10;
    json_real(rows, real);
}

static void json_value(struct rows *rows, const struct field *field)
{
    int64_t number;
    bool flag;
    if (field_int(field, &number))
        put_format(rows, "%" PRId64, number);
    else if (field_bool(field, &flag))
        put_str(rows, flag ? "true" : "false");
    else if (field->type == 'S' || field->type == 'x')
        json_string(rows, field->value);
    else if (field->type == 'F')
        json_table(rows, field->value);
    else if (field->type == 'A')
        json_array(rows, field->value);
    else if (field->type == 'T')
        put_format(rows, "%" PRIu64, get_be64(field->value.at));
    else if (field->type == 'f' || field->type == 'd')
        json_float(rows, field);
    else if (field->type == 'D')
        json_decimal(rows, field);
    else
        put_str(rows, "null");
}

/* ---- cells ----------------------------------------------------------------------------------------- */

void rows_text(struct rows *rows, struct span text)
{
    begin_cell(rows);
    size_t plain = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c >= ' ' && c != 127 && c != '\\')
            continue;
        put(rows, text.at + plain, i - plain);
        if (c == '\\')
            put_str(rows, "\\\\");
        else
            put_format(rows, "\\x%02x", c);
        plain = i + 1;
    }
    if (plain < text.len)
        put(rows, text.at + plain, text.len - plain);
}

void rows_number(struct rows *rows, uint64_t number)
{
    char digits[20], *at = digits + sizeof digits;
    begin_cell(rows);
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    put(rows, at, (size_t)(digits + sizeof digits - at));
}

void rows_flag(struct rows *rows, bool flag)
{
    begin_cell(rows);
    put_str(rows, flag ? "true" : "false");
}

void rows_table(struct rows *rows, struct span table)
{
    begin_cell(rows);
    json_table(rows, table);
}

void rows_string(struct rows *rows, struct span text)
{
    begin_cell(rows);
    json_string(rows, text);
}

void rows_end(struct rows *rows)
{
    put_char(rows, '\n');
    rows->within = false;
}
