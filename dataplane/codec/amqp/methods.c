#include "codec/amqp/methods.h"

#include <assert.h>

#include "base/check.h"
#include "codec/amqp/handlers.h"
#include "router/table.h"

#define OCTET(name)    "o"
#define SHORT(name)    "h"
#define LONG(name)     "l"
#define LONGLONG(name) "q"
#define STR(name)      "s"
#define TEXT(name)     "S"
#define TABLE(name)    "T"
#define BIT(name)      "b"
#define on_none        NULL

const struct method_row methods[METHODS] = {
    [METHOD_NONE] = {0, 0, "no method", "", NULL, WHEN_SERVER},
#define X(name, class_id, method_id, text, fields, handler, when)                                            \
    [METHOD_##name] = {class_id, method_id, text, "" fields, on_##handler, WHEN_##when},
#include "codec/amqp/methods.def"
#undef X
};

enum { CLASS_LAST = 90, METHOD_LAST = 120 };

static const uint8_t method_by_id[CLASS_LAST + 1][METHOD_LAST + 1] = {
#define X(name, class_id, method_id, text, fields, handler, when) [class_id][method_id] = METHOD_##name,
#include "codec/amqp/methods.def"
#undef X
};

#define X(name, class_id, method_id, text, fields, handler, when)                                            \
    static_assert(sizeof(struct args_##name) <= METHOD_FIELDS_MAX * sizeof(union value), text);
#include "codec/amqp/methods.def"
#undef X

static_assert(METHODS <= UINT8_MAX, "method_by_id holds octets");

enum method method_of(uint16_t class_id, uint16_t method_id)
{
    if (class_id > CLASS_LAST || method_id > METHOD_LAST)
        return METHOD_NONE;
    return method_by_id[class_id][method_id];
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* Takes n bytes off *in. */
static bool take(struct span *in, size_t n, struct span *taken)
{
    if (in->len < n)
        return false;
    *taken = span_of(in->at, n);
    in->at += n;
    in->len -= n;
    return true;
}

static bool take_int(struct span *in, unsigned bytes, uint64_t *n)
{
    struct span s;
    if (!take(in, bytes, &s))
        return false;
    *n = 0;
    for (unsigned i = 0; i < bytes; i++)
        *n = *n << 8 | s.at[i];
    return true;
}

/* A string behind its length of so many bytes. */
static bool take_string(struct span *in, unsigned length_bytes, struct span *s)
{
    uint64_t n;
    return take_int(in, length_bytes, &n) && take(in, n, s);
}

/* *bits: the octet that bits are taken from, and above it how many are left in it. */
static bool take_bit(struct span *in, uint16_t *bits, uint64_t *n)
{
    struct span octet;
    if (!(*bits >> 8)) {
        if (!take(in, 1, &octet))
            return false;
        *bits = (uint16_t)(8 << 8 | octet.at[0]);
    }
    *n = *bits & 1;
    *bits = (uint16_t)(((*bits >> 8) - 1) << 8 | (*bits & 0xff) >> 1);
    return true;
}

static bool take_field(char type, struct span *in, union value *value)
{
    switch (type) {
    case 'o':
        return take_int(in, 1, &value->n);
    case 'h':
        return take_int(in, 2, &value->n);
    case 'l':
        return take_int(in, 4, &value->n);
    case 'q':
        return take_int(in, 8, &value->n);
    case 's':
        return take_string(in, 1, &value->s);
    case 'S':
        return take_string(in, 4, &value->s);
    case 'T':
        return take_string(in, 4, &value->s) && table_check(value->s);
    default:
        UNREACHABLE();
    }
}

bool method_decode(enum method method, struct span bytes, union value *args)
{
    uint16_t bits = 0;
    for (const char *type = methods[method].layout; *type; type++, args++) {
        if (*type == 'b') {
            if (!take_bit(&bytes, &bits, &args->n))
                return false;
            continue;
        }
        bits = 0;
        if (!take_field(*type, &bytes, args))
            return false;
    }
    return bytes.len == 0;
}

/* ---- writing --------------------------------------------------------------------------------------- */

size_t method_size(enum method method, const union value *args)
{
    size_t size = 4;
    unsigned bits = 0;
    for (const char *type = methods[method].layout; *type; type++, args++) {
        bits = *type == 'b' ? bits + 1 : 0;
        switch (*type) {
        case 'b':
            size += bits % 8 == 1;
            break;
        case 's':
            size += 1 + args->s.len;
            break;
        case 'S':
        case 'T':
            size += 4 + args->s.len;
            break;
        default:
            size += *type == 'o' ? 1 : *type == 'h' ? 2 : *type == 'l' ? 4 : 8;
        }
    }
    return size;
}

static uint8_t *put_field(uint8_t *p, char type, const union value *value)
{
    switch (type) {
    case 'o':
        return put_u8(p, (uint8_t)value->n);
    case 'h':
        return put_be16(p, (uint16_t)value->n);
    case 'l':
        return put_be32(p, (uint32_t)value->n);
    case 'q':
        return put_be64(p, value->n);
    case 's':
        return put_str(p, value->s);
    default:
        p = put_be32(p, (uint32_t)value->s.len);
        return put_span(p, value->s);
    }
}

uint8_t *method_encode(uint8_t *p, enum method method, const union value *args)
{
    p = put_be16(p, methods[method].class_id);
    p = put_be16(p, methods[method].method_id);
    unsigned bits = 0;
    for (const char *type = methods[method].layout; *type; type++, args++) {
        if (*type != 'b') {
            bits = 0;
            p = put_field(p, *type, args);
            continue;
        }
        if (bits % 8 == 0)
            *p++ = 0;
        p[-1] |= (uint8_t)(args->n << bits % 8);
        bits++;
    }
    return p;
}
