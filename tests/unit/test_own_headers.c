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

static bool place(const uint8_t *table, const uint8_t *end, uint16_t *producer_at, uint16_t *number_at)
{
    struct own_headers own;
    *producer_at = *number_at = 0;
    cr_assert_null(read(table, end, &own));
    own_headers_place(&own, span_of(table, (size_t)(end - table)), producer_at, number_at);
    return *producer_at;
}

Test(own_headers, found_again)
{
    uint8_t table[HEADERS_MAX], *at = put_field_long(table, "x-producer-seq", INT64_MAX - 1);
    uint16_t producer_at, number_at;
    struct own_headers own;
    at = put_field_str(put_field_long(at, "x-other", -1), "x-producer-id", span_str("somebody"));
    cr_assert(place(table, at, &producer_at, &number_at));
    own_headers_pick(table, producer_at, number_at, &own);
    cr_assert(span_is(own.producer, "somebody"));
    cr_assert_eq(own.seq, INT64_MAX - 1);
    cr_assert(!own.ram && !own.disk);
    cr_assert_not(place(table, put_field_long(table, "x-other", 1), &producer_at, &number_at));
}

Test(own_headers, not_looked_for_where_there_is_more)
{
    uint8_t table[HEADERS_MAX], *at = put_field_long(table, "x-producer-seq", 1);
    uint16_t producer_at, number_at;
    at = put_field_str(at, "x-producer-id", span_str("me"));
    cr_assert(place(table, at, &producer_at, &number_at));
    cr_assert_not(place(table, put_field_str(at, "x-confirm", span_str("ram")), &producer_at, &number_at));
    cr_assert_not(place(table, put_field_str(at, "x-confirm", span_str("disk")), &producer_at, &number_at));
}

Test(own_headers, not_looked_for_too_far_behind)
{
    static uint8_t table[UINT16_MAX + HEADERS_MAX], filling[UINT16_MAX];
    uint16_t producer_at, number_at;
    for (size_t len = UINT16_MAX - 100; len < UINT16_MAX; len++) {
        uint8_t *at = put_field_str(table, "x-producer-id", span_str("me"));
        at = put_field_str(at, "long", span_of(filling, len));
        const uint8_t *number = at + 1 + strlen("x-producer-seq");
        at = put_field_long(at, "x-producer-seq", 1);
        cr_assert_eq(place(table, at, &producer_at, &number_at), number - table <= UINT16_MAX);
    }
}
