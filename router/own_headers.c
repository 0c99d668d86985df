#include "router/own_headers.h"

#include "base/limits.h"
#include "router/table.h"

static const char *read_producer(const struct field *field, struct own_headers *own)
{
    own->producer = field->value;
    return field->type == 'S' && field->value.len && field->value.len <= NAME_MAX_BYTES
               ? NULL
               : "header 'x-producer-id' must be a string of 1 to 255 bytes";
}

static const char *read_seq(const struct field *field, struct own_headers *own)
{
    int64_t seq;
    if (!field_int(field, &seq) || seq < 1)
        return "header 'x-producer-seq' must be an integer of at least 1";
    own->seq = (uint64_t)seq;
    own->seq_at = field->value.at - 1;
    return NULL;
}

static const char *read_confirm(const struct field *field, struct own_headers *own)
{
    own->ram = field->type == 'S' && span_is(field->value, "ram");
    own->disk = field->type == 'S' && span_is(field->value, "disk");
    return own->ram || own->disk ? NULL : "header 'x-confirm' must be 'ram' or 'disk'";
}

/* Literals, and no table of names: so each comparison is one of a length and a few words. */
const char *own_headers_add(struct own_headers *own, const struct field *field)
{
    if (span_is(field->name, "x-producer-id"))
        return read_producer(field, own);
    if (span_is(field->name, "x-producer-seq"))
        return read_seq(field, own);
    if (span_is(field->name, "x-confirm"))
        return read_confirm(field, own);
    return NULL;
}

const char *own_headers_end(const struct own_headers *own)
{
    if (own->producer.len && !own->seq)
        return "header 'x-producer-seq' is missing beside 'x-producer-id'";
    if (own->seq && !own->producer.len)
        return "header 'x-producer-id' is missing beside 'x-producer-seq'";
    return NULL;
}

const char *own_headers_read(struct span headers, struct own_headers *own)
{
    struct field field;
    const char *wrong = NULL;
    *own = (struct own_headers){0};
    while (!wrong && table_next(&headers, &field))
        if (field.name.len > 2 && field.name.at[0] == 'x' && field.name.at[1] == '-')
            wrong = own_headers_add(own, &field);
    return wrong ? wrong : own_headers_end(own);
}

/* What stands before a string: its type and its length. */
#define STRING_HEAD_BYTES 5u

void own_headers_place(const struct own_headers *own, struct span headers, uint16_t *producer_at,
                       uint16_t *number_at)
{
    if (!own->seq || own->ram || own->disk)
        return;
    size_t producer = (size_t)(own->producer.at - STRING_HEAD_BYTES - headers.at);
    size_t number = (size_t)(own->seq_at - headers.at);
    if (producer > UINT16_MAX || number > UINT16_MAX)
        return;
    *producer_at = (uint16_t)producer;
    *number_at = (uint16_t)number;
}

void own_headers_pick(const uint8_t *headers, uint16_t producer_at, uint16_t number_at,
                      struct own_headers *own)
{
    const uint8_t *id = headers + producer_at, *number = headers + number_at;
    struct field field = {.type = (char)*number, .value = span_of(number + 1, 0)};
    int64_t seq = 0;
    field_int(&field, &seq);
    *own = (struct own_headers){.producer = span_of(id + STRING_HEAD_BYTES, get_be32(id + 1)),
                                .seq = (uint64_t)seq,
                                .seq_at = number};
}
