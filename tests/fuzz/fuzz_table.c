/*
 * Field tables from hostile peers: whatever table_check lets through can be read, hashed, compared and
 * matched without a fault, and means the same whichever way it is written.
 *
 * clang -fsanitize=fuzzer,address,undefined; corpus/table holds one table per file.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "copy.h"
#include "router/exchange.h"
#include "router/headers.h"
#include "router/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_read_to_the_end(struct span table)
{
    struct field field;
    while (table_next(&table, &field)) {
        int64_t n;
        bool b;
        field_int(&field, &n);
        field_bool(&field, &b);
        CHECK(field_equal(&field, &field) && field_matches(&field, &field));
    }
    return table.len == 0;
}

/* The table with its fields in the opposite order. */
static struct span reversed(struct span table)
{
    uint8_t *bytes = malloc(table.len + !table.len);
    uint8_t *to = bytes + table.len;
    struct span rest = table;
    struct field field;
    while (table_next(&rest, &field)) {
        size_t len = (size_t)(rest.at - field.name.at) + 1;
        to -= len;
        put_span(to, span_of(field.name.at - 1, len));
    }
    CHECK(to == bytes);
    return span_of(bytes, table.len);
}

/* A binding that asks for all that the message has must get it. */
static void match_itself(struct span table, struct span headers)
{
    struct exchange exchange;
    struct destination queue = {0};
    struct match match = {0};
    struct field field;
    exchange_init(&exchange, 1, EXCHANGE_HEADERS);
    struct binding *binding = exchange_bind(&exchange, &queue, span_str(""), table);
    CHECK(exchange_binding(&exchange, &queue, span_str(""), headers) == binding);
    exchange_match(&exchange, &(struct message_facts){.headers = headers}, &match, NULL, NULL);
    if (!table_find(table, "x-match", &field))
        CHECK(match.count == 1);
    char text[100];
    headers_arguments_valid(table, text, sizeof text);
    exchange_clear(&exchange);
    match_free(&match);
}

/* Any two fields: equal by kind implies equal by value implies equal hashes (of equal names). */
static void compare_neighbours(struct span table)
{
    struct field last, field;
    if (!table_next(&table, &last))
        return;
    while (table_next(&table, &field)) {
        bool equal = field_equal(&last, &field), matches = field_matches(&last, &field);
        CHECK(matches == field_matches(&field, &last) && equal == field_equal(&field, &last));
        CHECK(!equal || matches);
        last.name = field.name;
        CHECK(!matches || field_hash(&last) == field_hash(&field));
        last = field;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span table = span_of(data, size);
    if (!table_check(table))
        return 0;
    CHECK(is_read_to_the_end(table));
    struct span same = copy_of(table), other = reversed(table);
    CHECK(table_check(other));
    CHECK(table_hash(table) == table_hash(other));
    CHECK(table_equal(table, same) && table_equal(table, other) && table_equal(other, table));
    compare_neighbours(table);
    match_itself(table, other);
    free_span(same);
    free_span(other);
    return 0;
}
