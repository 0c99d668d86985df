#include "codec/stomp/translation.h"

#include <stdio.h>

#include "base/limits.h"
#include "router/properties.h"
#include "router/table_out.h"

/* AMQP's properties in the order of their flags, from the highest; s: short string, o: octet, l: 64 bits. */
static const struct {
    const char *name;
    char type;
} rows[] = {{"content-type", 's'},    {"content-encoding", 's'}, {"", 'F'},         {"persistent", 'o'},
            {"priority", 'o'},        {"correlation-id", 's'},   {"reply-to", 's'}, {"expiration", 's'},
            {"amqp-message-id", 's'}, {"timestamp", 'l'},        {"type", 's'},     {"user-id", 's'},
            {"app-id", 's'},          {"cluster-id", 's'}};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- in -------------------------------------------------------------------------------------------- */

static bool is_own(struct span name)
{
    static const char *const own[] = {"destination", "receipt",     "content-length", "transaction",
                                      "message-id",  "ack",         "redelivered",    "subscription",
                                      "durable",     "auto-delete", "exclusive",      "id"};
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        if (span_is(name, own[i]))
            return true;
    for (unsigned i = 0; i < ROWS; i++)
        if (span_is(name, rows[i].name))
            return true;
    return false;
}

static const char *put_headers(uint8_t **at, const struct stomp_frame *f, bool *marked)
{
    struct own_headers own;
    uint8_t *start = *at;
    for (unsigned i = 0; i < f->headers; i++) {
        const struct stomp_header *h = &f->header[i];
        if (is_own(h->name) || !stomp_counts(f, i))
            continue;
        if (h->name.len > NAME_MAX_BYTES)
            return "the name of a header is longer than 255 bytes";
        *marked |= span_starts(h->name, "x-");
        *at = put_span(put_u8(*at, (uint8_t)h->name.len), h->name);
        *at = put_long_str(put_u8(*at, 'S'), h->value);
    }
    return *marked ? own_headers_read(span_of(start, (size_t)(*at - start)), &own) : NULL;
}

static const char *put_octet(uint8_t **at, unsigned row, struct span value, struct stomp_form *form,
                             bool *there)
{
    uint64_t n;
    if (1u << (15 - row) == HAS_DELIVERY_MODE) {
        form->persistent = *there = span_is(value, "true");
        if (*there)
            *at = put_u8(*at, DELIVERY_PERSISTENT);
        return NULL;
    }
    if (!stomp_number(value, &n) || n > 255)
        return "priority isn't a number of at most 255";
    form->marked = true;
    *at = put_u8(*at, (uint8_t)n);
    return NULL;
}

/* One that the frame has. there: false if it comes to nothing. */
static const char *put_one(uint8_t **at, unsigned row, struct span value, struct stomp_form *form,
                           bool *there)
{
    uint64_t n;
    switch (rows[row].type) {
    case 'o':
        return put_octet(at, row, value, form, there);
    case 'l':
        if (!stomp_number(value, &n))
            return "timestamp isn't a number";
        *at = put_be64(*at, n);
        return NULL;
    default:
        break;
    }
    unsigned flag = 1u << (15 - row);
    if (flag == HAS_USER_ID)
        return "the header user-id isn't supported";
    if (flag == HAS_EXPIRATION) {
        form->marked = true;
        if (!expiration_ms(value, &n))
            return "expiration isn't a number of milliseconds, ten years at most";
    }
    if (value.len > NAME_MAX_BYTES)
        return "the value of one of AMQP's properties is longer than 255 bytes";
    *at = put_span(put_u8(*at, (uint8_t)value.len), value);
    return NULL;
}

static const char *put_table(uint8_t *to, uint8_t **at, const struct stomp_frame *f, struct stomp_form *form,
                             bool *there)
{
    uint8_t *fields = *at + 4, *end = fields;
    const char *wrong = put_headers(&end, f, &form->marked);
    *there = end != fields;
    if (wrong || !*there)
        return wrong;
    put_be32(*at, (uint32_t)(end - fields));
    form->headers_in = (uint32_t)(fields - to);
    *at = end;
    return NULL;
}

const char *stomp_to_amqp(uint8_t *to, const struct stomp_frame *f, struct span reply_to,
                          struct stomp_form *form)
{
    uint16_t flags = 0;
    uint8_t *at = to + 2;
    *form = (struct stomp_form){0};
    for (unsigned row = 0; row < ROWS; row++) {
        const struct span *value = stomp_find(f, rows[row].name);
        const char *wrong = NULL;
        bool there = value;
        if (rows[row].type == 'F')
            wrong = put_table(to, &at, f, form, &there);
        else if (value)
            wrong = put_one(&at, row, 1u << (15 - row) == HAS_REPLY_TO && reply_to.len ? reply_to : *value,
                            form, &there);
        if (wrong)
            return wrong;
        flags |= (uint16_t)(there ? 1u << (15 - row) : 0);
    }
    put_be16(to, flags);
    form->len = (size_t)(at - to);
    return NULL;
}

/* ---- out ------------------------------------------------------------------------------------------- */

static uint8_t *put_field_text(uint8_t *to, enum stomp_version version, const struct field *field)
{
    char digits[32];
    int64_t n;
    bool flag;
    if (field->type == 'S')
        return stomp_put(to, version, field->name, field->value);
    if (field_bool(field, &flag))
        return stomp_put(to, version, field->name, span_str(flag ? "true" : "false"));
    if (field_int(field, &n)) {
        int len = snprintf(digits, sizeof digits, "%lld", (long long)n);
        return stomp_put(to, version, field->name, span_of(digits, (size_t)len));
    }
    return to;
}

static uint8_t *put_property(uint8_t *to, enum stomp_version version, unsigned row, const uint8_t **at)
{
    struct field field;
    struct span table;
    uint8_t octet;
    switch (rows[row].type) {
    case 'F':
        table = span_of(*at + 4, get_be32(*at));
        *at = table.at + table.len;
        while (table_next(&table, &field))
            to = put_field_text(to, version, &field);
        return to;
    case 'o':
        octet = *(*at)++;
        if (1u << (15 - row) == HAS_PRIORITY)
            return stomp_put_number(to, rows[row].name, octet);
        return octet == DELIVERY_PERSISTENT ? stomp_put_str(to, version, rows[row].name, span_str("true"))
                                            : to;
    case 'l':
        *at += 8;
        return stomp_put_number(to, rows[row].name, get_be64(*at - 8));
    default:
        table = span_of(*at + 1, **at);
        *at = table.at + table.len;
        return stomp_put_str(to, version, rows[row].name, table);
    }
}

uint8_t *stomp_from_amqp(uint8_t *to, enum stomp_version version, const struct message *m)
{
    struct properties p;
    struct span bytes = message_properties(m);
    if (bytes.len <= 2 || !properties_read(bytes, &p))
        return to;
    const uint8_t *at = bytes.at + 2;
    for (unsigned row = 0; row < ROWS; row++)
        if (p.flags >> (15 - row) & 1)
            to = put_property(to, version, row, &at);
    return to;
}
