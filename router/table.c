#include "router/table.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"

enum kind { BOOL, WHOLE, REAL, DECIMAL, STRING, BINARY, ARRAY, TIME, TABLE, VOID, UNKNOWN };

static enum kind kind_of(char type)
{
    switch (type) {
    case 't':
        return BOOL;
    case 'b':
    case 'B':
    case 's':
    case 'u':
    case 'I':
    case 'i':
    case 'l':
    case 'L':
        return WHOLE;
    case 'f':
    case 'd':
        return REAL;
    case 'D':
        return DECIMAL;
    case 'S':
        return STRING;
    case 'x':
        return BINARY;
    case 'A':
        return ARRAY;
    case 'T':
        return TIME;
    case 'F':
        return TABLE;
    case 'V':
        return VOID;
    default:
        return UNKNOWN;
    }
}

/* ---- reading -------------------------------------------------------------------------------------- */

enum { BEHIND_LENGTH = UINT8_MAX };

/* Bytes of a value on the wire, and one more; 0: there is no such type. Headers are walked for each message
 * that has some. */
static const uint8_t sizes[256] = {
    ['V'] = 1,
    ['t'] = 1 + 1,
    ['b'] = 1 + 1,
    ['B'] = 1 + 1,
    ['s'] = 1 + 2,
    ['u'] = 1 + 2,
    ['I'] = 1 + 4,
    ['i'] = 1 + 4,
    ['f'] = 1 + 4,
    ['D'] = 1 + 5,
    ['l'] = 1 + 8,
    ['L'] = 1 + 8,
    ['d'] = 1 + 8,
    ['T'] = 1 + 8,
    ['S'] = BEHIND_LENGTH,
    ['x'] = BEHIND_LENGTH,
    ['A'] = BEHIND_LENGTH,
    ['F'] = BEHIND_LENGTH,
};

static bool take(struct span *from, size_t n, struct span *taken)
{
    if (from->len < n)
        return false;
    *taken = span_of(from->at, n);
    from->at += n;
    from->len -= n;
    return true;
}

/* Type and value, as they stand in tables behind a name and in arrays. */
static bool take_value(struct span *from, struct field *field)
{
    struct span type, length;
    if (!take(from, 1, &type))
        return false;
    field->type = (char)*type.at;
    size_t size = sizes[*type.at];
    if (size == 0)
        return false;
    if (size != BEHIND_LENGTH)
        return take(from, size - 1, &field->value);
    return take(from, 4, &length) && take(from, get_be32(length.at), &field->value);
}

static bool take_field(struct span *from, struct field *field)
{
    struct span length;
    return take(from, 1, &length) && take(from, *length.at, &field->name) && take_value(from, field);
}

static bool check_nested(struct span bytes, bool named, unsigned depth);

/* depth: of what is in the field. */
static bool check_field(const struct field *field, unsigned depth)
{
    return (field->type != 'F' && field->type != 'A') ||
           check_nested(field->value, field->type == 'F', depth);
}

static bool check_nested(struct span bytes, bool named, unsigned depth)
{
    if (depth > TABLE_DEPTH_MAX)
        return false;
    while (bytes.len > 0) {
        struct field field;
        if (!(named ? take_field(&bytes, &field) : take_value(&bytes, &field)) ||
            !check_field(&field, depth + 1))
            return false;
    }
    return true;
}

bool table_check(struct span table)
{
    return check_nested(table, true, 1);
}

bool table_take(struct span *table, struct field *field)
{
    return take_field(table, field) && check_field(field, 2);
}

bool table_next(struct span *table, struct field *field)
{
    return table->len > 0 && take_field(table, field);
}

bool table_find(struct span table, const char *name, struct field *field)
{
    struct span wanted = span_str(name);
    while (table_next(&table, field))
        if (span_equal(field->name, wanted))
            return true;
    return false;
}

bool array_next(struct span *array, struct field *field)
{
    return array->len > 0 && take_value(array, field);
}

const char *field_type_name(char type)
{
    static const struct {
        char type;
        const char *name;
    } names[] = {{'S', "longstr"},     {'t', "bool"},          {'T', "timestamp"}, {'A', "array"},
                 {'F', "table"},       {'V', "void"},          {'x', "binary"},    {'d', "double"},
                 {'f', "float"},       {'D', "decimal"},       {'l', "long"},      {'L', "long"},
                 {'s', "short"},       {'u', "unsignedshort"}, {'b', "byte"},      {'B', "unsignedbyte"},
                 {'i', "unsignedint"}, {'I', "signedint"}};
    unsigned i = 0;
    while (names[i].type != type && i < sizeof names / sizeof *names - 1)
        i++;
    return names[i].name;
}

/* 'L' is signed like 'l': RabbitMQ reads both so, whatever the specification says. */
bool field_int(const struct field *field, int64_t *value)
{
    const uint8_t *p = field->value.at;
    switch (field->type) {
    case 'b':
        *value = (int8_t)*p;
        return true;
    case 'B':
        *value = *p;
        return true;
    case 's':
        *value = (int16_t)get_be16(p);
        return true;
    case 'u':
        *value = get_be16(p);
        return true;
    case 'I':
        *value = (int32_t)get_be32(p);
        return true;
    case 'i':
        *value = get_be32(p);
        return true;
    case 'l':
    case 'L':
        *value = (int64_t)get_be64(p);
        return true;
    default:
        return false;
    }
}

bool field_bool(const struct field *field, bool *value)
{
    if (field->type != 't')
        return false;
    *value = *field->value.at != 0;
    return true;
}

/* ---- comparing ------------------------------------------------------------------------------------ */

static double real_of(const struct field *field)
{
    if (field->type == 'd') {
        uint64_t bits = get_be64(field->value.at);
        double d;
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    uint32_t bits = get_be32(field->value.at);
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* A number as headers are matched: whole when it is, be it written as a float or a time. */
struct number {
    bool whole;
    int64_t value;
    uint64_t bits; /* of a double that is not whole */
};

/* The range is that of int64_t; NaN is outside. A timestamp from 2^63 on is taken for negative, on both sides
 * alike. */
static struct number number_of(const struct field *field)
{
    struct number n = {.whole = true};
    if (kind_of(field->type) == REAL) {
        double d = real_of(field);
        if (d >= -0x1p63 && d < 0x1p63 && (double)(int64_t)d == d) {
            n.value = (int64_t)d;
        } else {
            n.whole = false;
            memcpy(&n.bits, &d, sizeof n.bits);
        }
    } else if (!field_int(field, &n.value)) {
        n.value = (int64_t)get_be64(field->value.at);
    }
    return n;
}

static bool number_equal(const struct field *a, const struct field *b)
{
    struct number x = number_of(a), y = number_of(b);
    return x.whole == y.whole && x.value == y.value && x.bits == y.bits;
}

static bool array_equal(struct span a, struct span b)
{
    while (a.len > 0 && b.len > 0) {
        struct field x, y;
        if (!take_value(&a, &x) || !take_value(&b, &y) || !field_equal(&x, &y))
            return false;
    }
    return a.len == 0 && b.len == 0;
}

bool field_equal(const struct field *a, const struct field *b)
{
    enum kind kind = kind_of(a->type);
    if (kind != kind_of(b->type))
        return false;
    switch (kind) {
    case BOOL:
        return (*a->value.at != 0) == (*b->value.at != 0);
    case WHOLE:
    case REAL:
        return number_equal(a, b);
    case ARRAY:
        return array_equal(a->value, b->value);
    case TABLE:
        return table_equal(a->value, b->value);
    default:
        return span_equal(a->value, b->value);
    }
}

static bool is_number(char type)
{
    enum kind kind = kind_of(type);
    return kind == WHOLE || kind == REAL || kind == TIME;
}

static bool is_bytes(char type)
{
    return type == 'S' || type == 'x';
}

bool field_matches(const struct field *a, const struct field *b)
{
    if (is_number(a->type) && is_number(b->type))
        return number_equal(a, b);
    if (is_bytes(a->type) && is_bytes(b->type))
        return span_equal(a->value, b->value);
    return field_equal(a, b);
}

/* ---- hashing -------------------------------------------------------------------------------------- */

/* Seeds keep apart the hashes of values that are of different kinds and look the same. */
static uint64_t hash_value(const struct field *field);

static uint64_t hash_array(struct span array)
{
    uint64_t hash = ARRAY;
    struct field field;
    while (array.len > 0 && take_value(&array, &field))
        hash = hash_id(hash ^ hash_value(&field));
    return hash;
}

static uint64_t hash_value(const struct field *field)
{
    if (is_number(field->type)) {
        struct number n = number_of(field);
        return n.whole ? hash_id((uint64_t)n.value) ^ WHOLE : hash_id(hash_id(n.bits) ^ REAL);
    }
    switch (kind_of(field->type)) {
    case BOOL:
        return hash_id(BOOL + 256u * (*field->value.at != 0));
    case ARRAY:
        return hash_array(field->value);
    case TABLE:
        return hash_id(table_hash(field->value) ^ TABLE);
    case BINARY:
        return hash_keyed(field->value, STRING);
    default:
        return hash_keyed(field->value, (uint64_t)kind_of(field->type));
    }
}

uint64_t field_hash(const struct field *field)
{
    return hash_keyed(field->name, hash_value(field));
}

/* A sum, so that order does not matter. */
uint64_t table_hash(struct span table)
{
    uint64_t sum = 0;
    struct field field;
    while (table_next(&table, &field))
        sum += field_hash(&field);
    return sum;
}

/* ---- tables as sets ------------------------------------------------------------------------------- */

#define FEW 16u

struct hashed {
    uint64_t hash;
    struct field field;
};

static size_t fields_in(struct span table)
{
    size_t n = 0;
    struct field field;
    while (table_next(&table, &field))
        n++;
    return n;
}

static int by_hash_and_kind(const void *a, const void *b)
{
    const struct hashed *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (int)kind_of(x->field.type) - (int)kind_of(y->field.type);
}

static void sort_fields(struct span table, struct hashed *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(table_next(&table, &fields[i].field));
        fields[i].hash = field_hash(&fields[i].field);
    }
    qsort(fields, n, sizeof *fields, by_hash_and_kind);
}

static bool same_fields(struct span a, struct span b, struct hashed *x, struct hashed *y, size_t n)
{
    sort_fields(a, x, n);
    sort_fields(b, y, n);
    for (size_t i = 0; i < n; i++)
        if (!span_equal(x[i].field.name, y[i].field.name) || !field_equal(&x[i].field, &y[i].field))
            return false;
    return true;
}

/* Sorted first: a peer may send tables of many thousand fields, and comparing each with each would stall the
 * router. */
bool table_equal(struct span a, struct span b)
{
    if (span_equal(a, b))
        return true;
    size_t n = fields_in(a);
    if (n != fields_in(b))
        return false;
    if (n <= FEW) {
        struct hashed few[2 * FEW];
        return same_fields(a, b, few, few + FEW, n);
    }
    struct hashed *many = malloc(2 * n * sizeof *many);
    CHECK(many);
    bool same = same_fields(a, b, many, many + n, n);
    free(many);
    return same;
}
