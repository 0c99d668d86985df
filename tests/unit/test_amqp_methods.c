/* The table of methods: every row can be written and read, and nothing but what was written can be read. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/map.h"
#include "codec/amqp/methods.h"
#include "router/properties.h"

static const char table[] = "\1aI\0\0\0\5\1bt\1";

/* Values that differ from row to row and field to field. */
static void fill(enum method method, uint64_t seed, union value *args)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (const char *type = methods[method].layout; *type; type++, args++) {
        uint64_t n = hash_id(++seed * 31 + method);
        unsigned bits = *type == 'o' ? 8 : *type == 'h' ? 16 : *type == 'l' ? 32 : *type == 'b' ? 1 : 64;
        if (*type == 's' || *type == 'S')
            *args = str(span_of(letters, n % 30));
        else if (*type == 'T')
            *args = str(span_of(table, n & 1 ? sizeof table - 1 : 0));
        else
            *args = num(bits == 64 ? n : n & ((1ull << bits) - 1));
    }
}

static void same(enum method method, const union value *a, const union value *b)
{
    for (const char *type = methods[method].layout; *type; type++, a++, b++) {
        if (*type == 's' || *type == 'S' || *type == 'T')
            cr_assert(span_equal(a->s, b->s), "%s", methods[method].text);
        else
            cr_assert_eq(a->n, b->n, "%s", methods[method].text);
    }
}

Test(amqp_methods, every_row_comes_back)
{
    uint8_t bytes[1024];
    for (enum method method = METHOD_NONE + 1; method < METHODS; method++) {
        const struct method_row *row = &methods[method];
        cr_assert_eq(method_of(row->class_id, row->method_id), method);
        for (uint64_t seed = 0; seed < 50; seed++) {
            union value in[METHOD_FIELDS_MAX], out[METHOD_FIELDS_MAX];
            fill(method, seed * 100, in);
            size_t size = (size_t)(method_encode(bytes, method, in) - bytes);
            cr_assert_eq(size, method_size(method, in));
            cr_assert_eq(get_be16(bytes), row->class_id);
            cr_assert_eq(get_be16(bytes + 2), row->method_id);
            cr_assert(method_decode(method, span_of(bytes + 4, size - 4), out), "%s", row->text);
            same(method, in, out);
        }
    }
}

Test(amqp_methods, neither_less_nor_more_is_read)
{
    uint8_t bytes[1024];
    for (enum method method = METHOD_NONE + 1; method < METHODS; method++) {
        union value in[METHOD_FIELDS_MAX], out[METHOD_FIELDS_MAX];
        fill(method, 7, in);
        size_t size = (size_t)(method_encode(bytes, method, in) - bytes) - 4;
        for (size_t n = 0; n < size; n++) {
            uint8_t *exact = malloc(n + 1);
            memcpy(exact, bytes + 4, n);
            cr_assert(!method_decode(method, span_of(exact, n), out), "%s of %zu bytes", methods[method].text,
                      n);
            free(exact);
        }
        bytes[4 + size] = 0;
        cr_assert(!method_decode(method, span_of(bytes + 4, size + 1), out), "%s", methods[method].text);
    }
}

Test(amqp_methods, there_are_no_others)
{
    unsigned found = 0;
    for (unsigned class_id = 0; class_id < 65536; class_id += class_id < 200 ? 1 : 997)
        for (unsigned method_id = 0; method_id < 65536; method_id += method_id < 200 ? 1 : 997)
            found += method_of((uint16_t)class_id, (uint16_t)method_id) != METHOD_NONE;
    cr_assert_eq(found, METHODS - 1);
}

Test(amqp_methods, only_what_a_server_sends_has_no_handler)
{
    for (enum method method = METHOD_NONE + 1; method < METHODS; method++)
        cr_assert_eq(methods[method].handler == NULL, methods[method].when == WHEN_SERVER, "%s",
                     methods[method].text);
}

Test(amqp_methods, bits_share_octets_with_their_neighbours_only)
{
    uint8_t bytes[64];
    struct args_QUEUE_DECLARE m = {.passive = num(1), .exclusive = num(1), .nowait = num(1)};
    uint8_t *end = method_encode(bytes, METHOD_QUEUE_DECLARE, (const void *)&m);
    cr_assert_eq(end - bytes, 4 + 2 + 1 + 1 + 4);
    cr_assert_eq(bytes[7], 0x15);
}

/* ---- properties
 * ------------------------------------------------------------------------------------------------ */

/* All of them, in order. */
static uint8_t *all_properties(uint8_t *p)
{
    p = put_be16(p, 0xfffc);
    p = put_str(put_str(p, span_str("text/plain")), span_str("utf-8"));
    p = put_be32(p, sizeof table - 1);
    p = put_span(p, span_of(table, sizeof table - 1));
    p = put_u8(put_u8(p, 2), 9);
    p = put_str(put_str(put_str(put_str(p, span_str("corr")), span_str("reply")), span_str("100")),
                span_str("id"));
    p = put_be64(p, 12345);
    return put_str(put_str(put_str(put_str(p, span_str("type")), span_str("guest")), span_str("app")),
                   span_str("cl"));
}

Test(amqp_methods, properties_are_read_to_the_last_byte)
{
    uint8_t bytes[256];
    struct properties p;
    size_t len = (size_t)(all_properties(bytes) - bytes);
    cr_assert(properties_read(span_of(bytes, len), &p));
    cr_assert_eq(p.delivery_mode, 2);
    cr_assert(span_is(p.reply_to, "reply"));
    cr_assert(span_is(p.expiration, "100"));
    cr_assert(span_is(p.user_id, "guest"));
    cr_assert_eq(p.headers.len, sizeof table - 1);
    cr_assert(!properties_read(span_of(bytes, len + 1), &p));
    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n + 1);
        memcpy(exact, bytes, n);
        cr_assert(!properties_read(span_of(exact, n), &p), "%zu of %zu bytes", n, len);
        free(exact);
    }
}

Test(amqp_methods, each_property_alone)
{
    for (unsigned bit = 0; bit < 16; bit++) {
        uint8_t bytes[16] = {0};
        struct properties p;
        put_be16(bytes, (uint16_t)(1u << bit));
        size_t size = bit == 13 ? 4 : bit == 6 ? 8 : 1;
        cr_assert_eq(properties_read(span_of(bytes, 2 + size), &p), bit > 1, "bit %u", bit);
        cr_assert(!properties_read(span_of(bytes, 2 + size + 1), &p));
        cr_assert(!properties_read(span_of(bytes, 2 + size - 1), &p));
    }
}
