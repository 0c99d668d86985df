#include <criterion/criterion.h>
#include <stdlib.h>

#include "naive.h"
#include "router/table.h"

#define BYTES(...) span_of((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__})

static struct field first_field(struct span table)
{
    struct field field;
    cr_assert(table_check(table));
    cr_assert(table_next(&table, &field));
    return field;
}

Test(table, empty_table)
{
    struct span none = {0};
    struct field field;
    cr_assert(table_check(none));
    cr_assert_not(table_next(&none, &field));
    cr_assert_not(table_find(none, "a", &field));
    cr_assert(table_equal(none, none));
}

Test(table, every_type_is_read_and_cut_short_refused)
{
    static const struct {
        char type;
        size_t size;
    } types[] = {{'t', 1}, {'b', 1}, {'B', 1}, {'s', 2}, {'u', 2}, {'I', 4}, {'i', 4}, {'l', 8}, {'L', 8},
                 {'f', 4}, {'d', 8}, {'D', 5}, {'T', 8}, {'V', 0}, {'S', 4}, {'x', 4}, {'A', 4}, {'F', 4}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint8_t bytes[16] = {1, 'n', (uint8_t)types[i].type};
        size_t whole = 3 + types[i].size;
        for (size_t len = 1; len < whole; len++)
            cr_assert_not(table_check(span_of(bytes, len)), "%c %zu", types[i].type, len);
        struct field field = first_field(span_of(bytes, whole));
        cr_assert_eq(field.type, types[i].type);
        cr_assert(span_is(field.name, "n"));
        cr_assert_not(table_check(span_of(bytes, whole + 1)));
    }
    cr_assert_not(table_check(BYTES(1, 'n', 'Z', 0)));
    cr_assert_not(table_check(BYTES(1, 'n', 'S', 0, 0, 0, 2, 'a')));
    cr_assert_not(table_check(BYTES(1, 'n', 'S', 0xff, 0xff, 0xff, 0xff, 'a')));
}

Test(table, numbers)
{
    int64_t v;
    struct field f = first_field(BYTES(0, 'b', 0xff));
    cr_assert(field_int(&f, &v) && v == -1);
    f = first_field(BYTES(0, 'B', 0xff));
    cr_assert(field_int(&f, &v) && v == 255);
    f = first_field(BYTES(0, 's', 0x80, 0));
    cr_assert(field_int(&f, &v) && v == -32768);
    f = first_field(BYTES(0, 'u', 0x80, 0));
    cr_assert(field_int(&f, &v) && v == 32768);
    f = first_field(BYTES(0, 'I', 0x80, 0, 0, 0));
    cr_assert(field_int(&f, &v) && v == INT32_MIN);
    f = first_field(BYTES(0, 'i', 0x80, 0, 0, 0));
    cr_assert(field_int(&f, &v) && v == INT64_C(0x80000000));
    f = first_field(BYTES(0, 'L', 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe));
    cr_assert(field_int(&f, &v) && v == -2);
    f = first_field(BYTES(0, 'T', 0, 0, 0, 0, 0, 0, 0, 1));
    cr_assert_not(field_int(&f, &v));
    bool b;
    cr_assert_not(field_bool(&f, &b));
    f = first_field(BYTES(0, 't', 2));
    cr_assert(field_bool(&f, &b) && b);
    cr_assert_not(field_int(&f, &v));
}

Test(table, find)
{
    struct span table = BYTES(1, 'a', 'V', 2, 'a', 'b', 't', 1, 1, 'b', 'B', 9);
    struct field field;
    cr_assert(table_find(table, "b", &field) && field.type == 'B' && *field.value.at == 9);
    cr_assert(table_find(table, "ab", &field) && field.type == 't');
    cr_assert_not(table_find(table, "c", &field));
    cr_assert_not(table_find(table, "", &field));
}

/* Depth of tables (or arrays) in tables; built from the inside. */
static struct span nest(uint8_t *bytes, size_t size, char type, unsigned depth)
{
    uint8_t *at = bytes + size;
    for (unsigned i = 1; i < depth; i++) {
        uint32_t len = (uint32_t)(bytes + size - at);
        at -= 4;
        put_be32(at, len);
        *--at = (uint8_t)(i + 1 < depth ? type : 'F');
        if (type == 'F' || i + 1 == depth)
            *--at = 0;
    }
    return span_of(at, (size_t)(bytes + size - at));
}

Test(table, nesting_has_a_bound)
{
    uint8_t bytes[1000];
    cr_assert(table_check(nest(bytes, sizeof bytes, 'F', 2)));
    cr_assert(table_check(nest(bytes, sizeof bytes, 'F', TABLE_DEPTH_MAX)));
    cr_assert_not(table_check(nest(bytes, sizeof bytes, 'F', TABLE_DEPTH_MAX + 1)));
    cr_assert_not(table_check(nest(bytes, sizeof bytes, 'F', 100)));
    cr_assert_not(table_check(BYTES(0, 'F', 0, 0, 0, 2, 0, 'Z')));
    cr_assert_not(table_check(BYTES(0, 'A', 0, 0, 0, 2, 't', 1, 0)));
}

static void compare(struct span a, struct span b, bool equal, bool matches)
{
    struct field x = first_field(a), y = first_field(b);
    cr_assert_eq(field_equal(&x, &y), equal);
    cr_assert_eq(field_equal(&y, &x), equal);
    cr_assert_eq(field_matches(&x, &y), matches);
    cr_assert_eq(field_matches(&y, &x), matches);
    if (matches)
        cr_assert_eq(field_hash(&x), field_hash(&y));
    else
        cr_assert_neq(field_hash(&x), field_hash(&y));
}

Test(table, values_are_compared_by_kind_or_by_value)
{
    struct span one_byte = BYTES(0, 'b', 1), one_long = BYTES(0, 'l', 0, 0, 0, 0, 0, 0, 0, 1);
    struct span one_double = BYTES(0, 'd', 0x3f, 0xf0, 0, 0, 0, 0, 0, 0),
                one_float = BYTES(0, 'f', 0x3f, 0x80, 0, 0);
    struct span one_time = BYTES(0, 'T', 0, 0, 0, 0, 0, 0, 0, 1), truth = BYTES(0, 't', 1);
    compare(one_byte, one_long, true, true);
    compare(one_byte, BYTES(0, 'b', 2), false, false);
    compare(one_byte, one_double, false, true);
    compare(one_float, one_double, true, true);
    compare(one_time, one_long, false, true);
    compare(one_time, one_double, false, true);
    compare(truth, one_byte, false, false);
    compare(truth, BYTES(0, 't', 255), true, true);
    compare(BYTES(0, 'f', 0, 0, 0, 0), BYTES(0, 'f', 0x80, 0, 0, 0), true, true);
    compare(BYTES(0, 'f', 0x3f, 0, 0, 0), BYTES(0, 'd', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0), true, true);
    compare(BYTES(0, 'd', 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), BYTES(0, 'd', 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), true,
            true);
    compare(BYTES(0, 'S', 0, 0, 0, 1, 'a'), BYTES(0, 'x', 0, 0, 0, 1, 'a'), false, true);
    compare(BYTES(0, 'S', 0, 0, 0, 1, 'a'), BYTES(0, 'S', 0, 0, 0, 1, 'b'), false, false);
    compare(BYTES(0, 'V'), BYTES(0, 'V'), true, true);
    compare(BYTES(0, 'V'), BYTES(0, 'S', 0, 0, 0, 0), false, false);
    compare(BYTES(0, 'D', 1, 0, 0, 0, 1), BYTES(0, 'D', 1, 0, 0, 0, 1), true, true);
}

/* 2^63 is no int64; 2^53 + 1 is no double. */
Test(table, large_numbers_are_compared_exactly)
{
    compare(BYTES(0, 'd', 0x43, 0xe0, 0, 0, 0, 0, 0, 0), BYTES(0, 'l', 0x80, 0, 0, 0, 0, 0, 0, 0), false,
            false);
    compare(BYTES(0, 'd', 0xc3, 0xe0, 0, 0, 0, 0, 0, 0), BYTES(0, 'l', 0x80, 0, 0, 0, 0, 0, 0, 0), false,
            true);
    compare(BYTES(0, 'd', 0x43, 0x40, 0, 0, 0, 0, 0, 0), BYTES(0, 'l', 0, 0x20, 0, 0, 0, 0, 0, 1), false,
            false);
    compare(BYTES(0, 'd', 0x43, 0x40, 0, 0, 0, 0, 0, 0), BYTES(0, 'l', 0, 0x20, 0, 0, 0, 0, 0, 0), false,
            true);
}

Test(table, nested_values_are_compared)
{
    struct span array = BYTES(0, 'A', 0, 0, 0, 4, 'b', 1, 't', 1);
    compare(array, BYTES(0, 'A', 0, 0, 0, 5, 's', 0, 1, 't', 2), true, true);
    compare(array, BYTES(0, 'A', 0, 0, 0, 4, 't', 1, 'b', 1), false, false);
    compare(array, BYTES(0, 'A', 0, 0, 0, 2, 'b', 1), false, false);
    struct span table = BYTES(0, 'F', 0, 0, 0, 8, 1, 'a', 'b', 1, 1, 'b', 't', 1);
    compare(table, BYTES(0, 'F', 0, 0, 0, 8, 1, 'b', 't', 1, 1, 'a', 'b', 1), true, true);
    compare(table, BYTES(0, 'F', 0, 0, 0, 8, 1, 'b', 'b', 1, 1, 'a', 't', 1), false, false);
    compare(table, array, false, false);
}

Test(table, tables_are_equal_in_any_order)
{
    struct prng prng;
    prng_seed(&prng, 4);
    for (int i = 0; i < 20000; i++) {
        uint8_t a_bytes[NAIVE_BYTES_MAX], b_bytes[NAIVE_BYTES_MAX];
        struct naive_table table, other;
        naive_random_table(&table, &prng, NAIVE_FIELDS_MAX);
        struct span a = naive_encode(&table, a_bytes);
        other.count = table.count;
        for (unsigned f = 0; f < table.count; f++)
            other.fields[f] = table.fields[(f + 1) % table.count];
        struct span b = naive_encode(&other, b_bytes);
        cr_assert(table_check(a) && table_check(b));
        cr_assert(table_equal(a, b));
        cr_assert_eq(table_hash(a), table_hash(b));
        if (table.count == 0)
            continue;
        other.count--;
        cr_assert_not(table_equal(a, naive_encode(&other, b_bytes)));
        other.count++;
        other.fields[0].name = "other";
        cr_assert_not(table_equal(a, naive_encode(&other, b_bytes)));
    }
}

/* The bits of the least double are a whole number, 1: fields of one name and both values mustn't be taken for
 * each other when tables are sorted. */
Test(table, least_double_is_not_one)
{
    uint8_t a[64], b[64];
    uint64_t one = 0x3ff0000000000000, least = 1;
    uint8_t *p = put_be64(put_u8(put_u8(a, 0), 'd'), one), *q = put_be64(put_u8(put_u8(b, 0), 'd'), least);
    p = put_be64(put_u8(put_u8(p, 0), 'd'), least), q = put_be64(put_u8(put_u8(q, 0), 'd'), one);
    cr_assert(table_equal(span_of(a, (size_t)(p - a)), span_of(b, (size_t)(q - b))));
}

/* A peer may send such tables: comparing each field with each would take minutes. */
Test(table, large_tables_are_compared_in_time, .timeout = 10)
{
    enum { FIELDS = 200000 };
    uint8_t *a = malloc(FIELDS * 8), *b = malloc(FIELDS * 8);
    uint8_t *p = a, *q = b;
    for (uint32_t i = 0; i < FIELDS; i++) {
        p = put_be32(put_u8(put_u8(p, 0), 'I'), i);
        q = put_be32(put_u8(put_u8(q, 0), 'i'), FIELDS - 1 - i);
    }
    struct span x = span_of(a, (size_t)(p - a)), y = span_of(b, (size_t)(q - b));
    cr_assert(table_check(x) && table_check(y));
    cr_assert(table_equal(x, y));
    b[2] ^= 1;
    cr_assert_not(table_equal(x, y));
    free(a);
    free(b);
}
