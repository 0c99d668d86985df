/* AMQP 0-9-1 on the wire, as far as a load generator speaks it: frames (spec 4.2.3), field types (4.2.5) and
 * the methods of spec part 1. Writing appends to a struct buffer; reading walks bytes the caller keeps alive.
 */
#ifndef BENCH_AMQP_WIRE_H
#define BENCH_AMQP_WIRE_H

#include "buffer.h"
#include "options.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define WIRE_METHOD_ID(class_id, method_id) ((uint32_t)(class_id) << 16 | (method_id))

enum wire_method {
    CONNECTION_START = WIRE_METHOD_ID(10, 10),
    CONNECTION_START_OK = WIRE_METHOD_ID(10, 11),
    CONNECTION_TUNE = WIRE_METHOD_ID(10, 30),
    CONNECTION_TUNE_OK = WIRE_METHOD_ID(10, 31),
    CONNECTION_OPEN = WIRE_METHOD_ID(10, 40),
    CONNECTION_OPEN_OK = WIRE_METHOD_ID(10, 41),
    CONNECTION_CLOSE = WIRE_METHOD_ID(10, 50),
    CONNECTION_CLOSE_OK = WIRE_METHOD_ID(10, 51),
    CONNECTION_BLOCKED = WIRE_METHOD_ID(10, 60), /* RabbitMQ extension */
    CONNECTION_UNBLOCKED = WIRE_METHOD_ID(10, 61),
    CHANNEL_OPEN = WIRE_METHOD_ID(20, 10),
    CHANNEL_OPEN_OK = WIRE_METHOD_ID(20, 11),
    CHANNEL_CLOSE = WIRE_METHOD_ID(20, 40),
    CHANNEL_CLOSE_OK = WIRE_METHOD_ID(20, 41),
    EXCHANGE_DECLARE = WIRE_METHOD_ID(40, 10),
    EXCHANGE_DECLARE_OK = WIRE_METHOD_ID(40, 11),
    EXCHANGE_DELETE = WIRE_METHOD_ID(40, 20),
    EXCHANGE_DELETE_OK = WIRE_METHOD_ID(40, 21),
    QUEUE_DECLARE = WIRE_METHOD_ID(50, 10),
    QUEUE_DECLARE_OK = WIRE_METHOD_ID(50, 11),
    QUEUE_BIND = WIRE_METHOD_ID(50, 20),
    QUEUE_BIND_OK = WIRE_METHOD_ID(50, 21),
    QUEUE_PURGE = WIRE_METHOD_ID(50, 30),
    QUEUE_PURGE_OK = WIRE_METHOD_ID(50, 31),
    QUEUE_DELETE = WIRE_METHOD_ID(50, 40),
    QUEUE_DELETE_OK = WIRE_METHOD_ID(50, 41),
    BASIC_QOS = WIRE_METHOD_ID(60, 10),
    BASIC_QOS_OK = WIRE_METHOD_ID(60, 11),
    BASIC_CONSUME = WIRE_METHOD_ID(60, 20),
    BASIC_CONSUME_OK = WIRE_METHOD_ID(60, 21),
    BASIC_CANCEL = WIRE_METHOD_ID(60, 30),
    BASIC_CANCEL_OK = WIRE_METHOD_ID(60, 31),
    BASIC_PUBLISH = WIRE_METHOD_ID(60, 40),
    BASIC_RETURN = WIRE_METHOD_ID(60, 50),
    BASIC_DELIVER = WIRE_METHOD_ID(60, 60),
    BASIC_ACK = WIRE_METHOD_ID(60, 80),
    BASIC_NACK = WIRE_METHOD_ID(60, 120), /* RabbitMQ extension */
    CONFIRM_SELECT = WIRE_METHOD_ID(85, 10),
    CONFIRM_SELECT_OK = WIRE_METHOD_ID(85, 11),
};

enum wire_frame_type { FRAME_METHOD = 1, FRAME_HEADER = 2, FRAME_BODY = 3, FRAME_HEARTBEAT = 8 };

#define FRAME_HEAD     7 /* type, channel, size */
#define FRAME_OVERHEAD 8 /* the head and the end octet */
#define FRAME_END      0xce

/* ---- fixed-width fields, big endian (4.2.5.1) ---- */
static inline uint16_t get_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return be16toh(v);
}

static inline uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static inline uint64_t get_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static inline void set_u32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

static inline void set_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

/* ---- frames ---- */
struct frame {
    uint8_t type;
    uint16_t channel;
    uint32_t size; /* of the payload */
    const uint8_t *payload;
};

/* Bytes taken by the frame at p; 0 when it is not complete yet; -1 when these bytes are no frame. */
static inline int64_t frame_read(struct frame *f, const uint8_t *p, size_t have, uint32_t frame_max)
{
    if (have < FRAME_HEAD)
        return 0;
    *f = (struct frame){p[0], get_u16(p + 1), get_u32(p + 3), p + FRAME_HEAD};
    if (f->size > frame_max)
        return -1;
    if (have < f->size + FRAME_OVERHEAD)
        return 0;
    return f->payload[f->size] == FRAME_END ? (int64_t)f->size + FRAME_OVERHEAD : -1;
}

/* ---- reading a method's arguments; past the end everything reads as zero and `bad` is set ---- */
struct reader {
    const uint8_t *at, *end;
    bool bad;
};

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* Copies a short string, with a NUL. */
void read_shortstr(struct reader *r, char text[256]);

/* ---- writing ---- */
void write_u8(struct buffer *b, uint8_t v);
void write_u16(struct buffer *b, uint16_t v);
void write_u32(struct buffer *b, uint32_t v);
void write_u64(struct buffer *b, uint64_t v);
void write_shortstr(struct buffer *b, const char *text);
void write_longstr(struct buffer *b, const void *bytes, size_t n);

void write_table(struct buffer *b, const struct field *fields, size_t n);

/* A method frame is opened, its arguments written, and closed, which fills in its size. */
size_t method_open(struct buffer *b, uint16_t channel, enum wire_method method);
void method_close(struct buffer *b, size_t at);

struct publish {
    const char *exchange, *key;
    const char *header;   /* value of the header named "gannet-bench", for headers exchanges; NULL for none */
    const char *producer; /* value of x-producer-id; x-producer-seq then ends the headers; NULL for neither */
    const char *expiration; /* NULL for none */
    int priority;           /* -1 for none */
    bool mandatory, persistent;
};

/* Appends basic.publish, the content header and `size` bytes of body in frames of at most frame_max. */
void write_publish(struct buffer *b, const struct publish *p, const uint8_t *body, size_t size,
                   uint32_t frame_max);

#endif
