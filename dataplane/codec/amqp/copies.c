#include "codec/amqp/copies.h"

#include "router/table.h"

static const char *const names[] = {"CC", "BCC"};

static bool is_copies(const struct field *field)
{
    return span_is(field->name, names[0]) || span_is(field->name, names[1]);
}

const char *copies_wrong_type(struct span headers, const char **name)
{
    for (unsigned i = 0; i < 2; i++) {
        struct span rest = headers;
        struct field field;
        *name = names[i];
        while (table_next(&rest, &field))
            if (span_is(field.name, names[i]) && field.type != 'A')
                return field_type_name(field.type);
    }
    return NULL;
}

/* The next key: an item that isn't a string is none. */
static bool next_key(struct span *array, struct field *key)
{
    while (array_next(array, key))
        if (key->type == 'S')
            return true;
    return false;
}

size_t copies_size(struct span headers)
{
    size_t size = 0;
    struct field field, key;
    while (table_next(&headers, &field))
        while (is_copies(&field) && next_key(&field.value, &key))
            size += 4 + key.value.len;
    return size;
}

uint8_t *copies_put(uint8_t *at, struct span headers)
{
    struct field field, key;
    while (table_next(&headers, &field))
        while (is_copies(&field) && next_key(&field.value, &key))
            at = put_span(put_be32(at, (uint32_t)key.value.len), key.value);
    return at;
}

size_t copies_hide(uint8_t *properties, size_t len, size_t headers_at, size_t headers_len)
{
    uint8_t *at = properties + headers_at, *to = at;
    const uint8_t *end = properties + len;
    struct span rest = span_of(at, headers_len);
    struct field field;
    while (rest.len) {
        const uint8_t *start = rest.at;
        table_next(&rest, &field);
        if (span_is(field.name, "BCC"))
            continue;
        memmove(to, start, (size_t)(rest.at - start));
        to += rest.at - start;
    }
    size_t hidden = headers_len - (size_t)(to - at);
    memmove(to, rest.at, (size_t)(end - rest.at));
    put_be32(at - 4, (uint32_t)(headers_len - hidden));
    return hidden;
}
