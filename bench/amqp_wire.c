#include "amqp_wire.h"

#include <stdlib.h>

/* ---- reading ---- */
static const uint8_t *reader_take(struct reader *r, size_t n)
{
    static const uint8_t zeros[8];
    if ((size_t)(r->end - r->at) < n) {
        r->bad = true;
        return zeros;
    }
    r->at += n;
    return r->at - n;
}

uint8_t read_u8(struct reader *r)
{
    return *reader_take(r, 1);
}

uint16_t read_u16(struct reader *r)
{
    return get_u16(reader_take(r, 2));
}

uint32_t read_u32(struct reader *r)
{
    return get_u32(reader_take(r, 4));
}

uint64_t read_u64(struct reader *r)
{
    return get_u64(reader_take(r, 8));
}

void read_shortstr(struct reader *r, char text[256])
{
    size_t n = read_u8(r);
    if ((size_t)(r->end - r->at) < n)
        n = 0, r->bad = true;
    memcpy(text, r->at, n);
    text[n] = 0;
    r->at += n;
}

/* ---- writing ---- */
void write_u8(struct buffer *b, uint8_t v)
{
    buffer_put(b, &v, 1);
}

void write_u16(struct buffer *b, uint16_t v)
{
    v = htobe16(v);
    buffer_put(b, &v, sizeof v);
}

void write_u32(struct buffer *b, uint32_t v)
{
    v = htobe32(v);
    buffer_put(b, &v, sizeof v);
}

void write_u64(struct buffer *b, uint64_t v)
{
    v = htobe64(v);
    buffer_put(b, &v, sizeof v);
}

/* Longer text is cut: options.c has refused it before. */
void write_shortstr(struct buffer *b, const char *text)
{
    size_t n = strnlen(text, 255);
    write_u8(b, (uint8_t)n);
    buffer_put(b, text, n);
}

void write_longstr(struct buffer *b, const void *bytes, size_t n)
{
    write_u32(b, (uint32_t)n);
    buffer_put(b, bytes, n);
}

/* What this client understands, as RabbitMQ names it: without these a broker may close the socket where it
 * could have explained itself. */
static const struct field CAPABILITIES[] = {
    {"publisher_confirms", "true", 't'},     {"basic.nack", "true", 't'},
    {"connection.blocked", "true", 't'},     {"authentication_failure_close", "true", 't'},
    {"consumer_cancel_notify", "true", 't'},
};

static void write_field(struct buffer *b, const struct field *f)
{
    write_shortstr(b, f->name);
    write_u8(b, (uint8_t)f->type);
    switch (f->type) {
    case 'l':
        write_u64(b, (uint64_t)strtoll(f->value, NULL, 10));
        break;
    case 't':
        write_u8(b, strcmp(f->value, "true") == 0);
        break;
    case 'F':
        write_table(b, CAPABILITIES, sizeof CAPABILITIES / sizeof *CAPABILITIES);
        break;
    default:
        write_longstr(b, f->value, strlen(f->value));
    }
}

void write_table(struct buffer *b, const struct field *fields, size_t n)
{
    size_t at = b->len;
    write_u32(b, 0);
    for (size_t i = 0; i < n; i++)
        write_field(b, &fields[i]);
    set_u32(b->data + at, (uint32_t)(b->len - at - 4));
}

static size_t frame_open(struct buffer *b, enum wire_frame_type type, uint16_t channel)
{
    size_t at = b->len;
    write_u8(b, (uint8_t)type);
    write_u16(b, channel);
    write_u32(b, 0);
    return at;
}

static void frame_close(struct buffer *b, size_t at)
{
    set_u32(b->data + at + 3, (uint32_t)(b->len - at - FRAME_HEAD));
    write_u8(b, FRAME_END);
}

size_t method_open(struct buffer *b, uint16_t channel, enum wire_method method)
{
    size_t at = frame_open(b, FRAME_METHOD, channel);
    write_u32(b, (uint32_t)method);
    return at;
}

void method_close(struct buffer *b, size_t at)
{
    frame_close(b, at);
}

/* Content header, 4.2.6.1: class, weight, body size, property flags, the properties present. */
static void write_content_header(struct buffer *b, const struct publish *p, size_t size)
{
    struct field headers[3];
    size_t n = 0, at = frame_open(b, FRAME_HEADER, 1);
    if (p->header)
        headers[n++] = (struct field){"gannet-bench", p->header, 'S'};
    if (p->producer) {
        headers[n++] = (struct field){"x-producer-id", p->producer, 'S'};
        headers[n++] = (struct field){"x-producer-seq", "0", 'l'};
    }
    write_u16(b, 60);
    write_u16(b, 0);
    write_u64(b, size);
    write_u16(b, (uint16_t)((n ? 1 << 13 : 0) | (p->persistent ? 1 << 12 : 0) |
                            (p->priority >= 0 ? 1 << 11 : 0) | (p->expiration ? 1 << 8 : 0)));
    if (n)
        write_table(b, headers, n);
    if (p->persistent)
        write_u8(b, 2); /* delivery-mode */
    if (p->priority >= 0)
        write_u8(b, (uint8_t)p->priority);
    if (p->expiration)
        write_shortstr(b, p->expiration);
    frame_close(b, at);
}

void write_publish(struct buffer *b, const struct publish *p, const uint8_t *body, size_t size,
                   uint32_t frame_max)
{
    size_t at = method_open(b, 1, BASIC_PUBLISH);
    write_u16(b, 0); /* reserved-1 */
    write_shortstr(b, p->exchange);
    write_shortstr(b, p->key);
    write_u8(b, p->mandatory);
    method_close(b, at);
    write_content_header(b, p, size);
    for (size_t off = 0, part; off < size; off += part) {
        part = size - off < frame_max - FRAME_OVERHEAD ? size - off : frame_max - FRAME_OVERHEAD;
        at = frame_open(b, FRAME_BODY, 1);
        buffer_put(b, body + off, part);
        frame_close(b, at);
    }
}
