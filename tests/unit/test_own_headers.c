/* The headers that are meant for the broker, right and wrong. */
#include <criterion/criterion.h>

#include "router/own_headers.h"
#include "router/table_out.h"

enum { HEADERS_MAX = 400 };

static const char *read(const uint8_t *table, const uint8_t *end, struct own_headers *own)
{
    struct span span = span_of(table, (size_t)(end - table));
    cr_assert(table_check(span));
    return own_headers_read(span, own);
}

Test(own_headers, headers_of_the_broker_among_others)
{
    uint8_t table[HEADERS_MAX], *at = put_field_str(table, "x", span_str("y"));
    struct own_headers own;
    at = put_field_str(at, "x-producer-id", span_str("me"));
    at = put_field_long(at, "x-other", -1);
    at = put_field_long(at, "x-producer-seq", INT64_MAX);
    at = put_field_str(at, "x-confirm", span_str("ram"));
    cr_assert_null(read(table, at, &own));
    cr_assert(span_is(own.producer, "me"));
    cr_assert_eq(own.seq, INT64_MAX);
    cr_assert(own.ram && !own.disk);
    cr_assert_null(read(table, table, &own));
    cr_assert(!own.seq && !own.producer.len && !own.ram && !own.disk);
}

Test(own_headers, wrong_headers)
{
    uint8_t table[2 * HEADERS_MAX], long_name[256] = "";
    struct own_headers own;
    cr_assert(read(table, put_field_str(table, "x-producer-id", span_str("me")), &own));
    cr_assert(read(table, put_field_long(table, "x-producer-seq", 1), &own));
    cr_assert(read(table, put_field_str(table, "x-confirm", span_str("rams")), &own));
    cr_assert(read(table, put_field_long(table, "x-confirm", 1), &own));
    for (int64_t seq = -1; seq < 2; seq++) {
        uint8_t *at = put_field_str(table, "x-producer-id", span_str("me"));
        at = put_field_long(at, "x-producer-seq", seq);
        cr_assert_eq(read(table, at, &own) == NULL, seq == 1);
    }
    for (size_t len = 0; len <= 256; len += 255 - len % 255 ? 255 : 1) {
        uint8_t *at = put_field_long(table, "x-producer-seq", 1);
        at = put_field_str(at, "x-producer-id", span_of(long_name, len));
        cr_assert_eq(read(table, at, &own) == NULL, len == 255);
    }
}
