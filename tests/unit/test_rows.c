/* What operators are shown: cells that stay cells, and JSON that is JSON. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/rows.h"
#include "router/table_out.h"

static void is(struct rows *rows, const char *text)
{
    cr_assert_str_eq(rows->text, text);
    free(rows->text);
    *rows = (struct rows){0};
}

Test(rows, cells)
{
    struct rows rows = {0};
    rows_text(&rows, span_of("a\tb\n\\\0c\x7f", 8));
    rows_text(&rows, span_of(NULL, 0));
    rows_number(&rows, 0);
    rows_number(&rows, UINT64_MAX);
    rows_flag(&rows, true);
    rows_end(&rows);
    rows_flag(&rows, false);
    rows_table(&rows, span_of(NULL, 0));
    rows_end(&rows);
    is(&rows, "a\\x09b\\x0a\\\\\\x00c\\x7f\t\t0\t18446744073709551615\ttrue\nfalse\t{}\n");
}

Test(rows, what_is_no_utf8_is_replaced)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\xc3\xb6", "\xc3\xb6"},
        {"\xff"
         "a",
         "\\ufffda"},
        {"\xc3", "\\ufffd"},
        {"\xc0\x80", "\\ufffd\\ufffd"},
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
        {"\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd"},
        {"\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\xf0\x9f\x90\xa6", "\xf0\x9f\x90\xa6"},
        {"\xe2\x82", "\\ufffd\\ufffd"},
        {"\"\\\n", "\\\"\\\\\\u000a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t table[64], *end = put_field_str(table, "k", span_str(cases[i].in));
        char wanted[64];
        struct rows rows = {0};
        rows_table(&rows, span_of(table, (size_t)(end - table)));
        snprintf(wanted, sizeof wanted, "{\"k\":\"%s\"}", cases[i].out);
        is(&rows, wanted);
    }
}

Test(rows, every_type_of_field)
{
    uint8_t table[512], *at = table, *open;
    struct rows rows = {0};
    at = put_field_long(at, "l", -5);
    at = put_field_time(at, "T", 7);
    at = put_u8(put_field(at, "t", 't'), 1);
    at = put_u8(put_field(at, "b", 'b'), 255);
    at = put_u8(put_field(at, "B", 'B'), 255);
    at = put_be64(put_field(at, "d", 'd'), 0x3ff8000000000000u);
    at = put_be64(put_field(at, "nan", 'd'), 0x7ff8000000000000u);
    at = put_be32(put_field(at, "f", 'f'), 0xbf000000u);
    at = put_be32(put_u8(put_field(at, "D", 'D'), 2), 125);
    at = put_field(at, "V", 'V');
    at = put_long_str(put_field(at, "x", 'x'), span_str("bytes"));
    at = open = put_open(at, "F", 'F');
    at = put_field_long(at, "in", 1);
    put_length(open, at);
    at = open = put_open(at, "A", 'A');
    at = put_long_str(put_u8(at, 'S'), span_str("s"));
    at = put_u8(put_u8(at, 't'), 0);
    put_length(open, at);
    cr_assert(table_check(span_of(table, (size_t)(at - table))));
    rows_table(&rows, span_of(table, (size_t)(at - table)));
    is(&rows, "{\"l\":-5,\"T\":7,\"t\":true,\"b\":-1,\"B\":255,\"d\":1.5,\"nan\":null,\"f\":-0.5,\"D\":1.25,"
              "\"V\":null,"
              "\"x\":\"bytes\",\"F\":{\"in\":1},\"A\":[\"s\",false]}");
}
