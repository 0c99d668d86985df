/*
 * AMQP 0-9-1 on the wire, as the simulator's clients and its model know it: written for them alone, so that a
 * mistake of the broker's codec isn't made twice. Names are NUL-terminated here; the simulator uses none with
 * a NUL in it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FRAME_OF_METHOD = 1, FRAME_OF_HEADER = 2, FRAME_OF_BODY = 3, FRAME_OF_HEARTBEAT = 8 };

#define METHOD(class_id, method_id) ((uint32_t)(class_id) << 16 | (method_id))

enum amqp_method {
    CONNECTION_START = METHOD(10, 10),
    CONNECTION_START_OK = METHOD(10, 11),
    CONNECTION_TUNE = METHOD(10, 30),
    CONNECTION_TUNE_OK = METHOD(10, 31),
    CONNECTION_OPEN = METHOD(10, 40),
    CONNECTION_OPEN_OK = METHOD(10, 41),
    CONNECTION_CLOSE = METHOD(10, 50),
    CONNECTION_CLOSE_OK = METHOD(10, 51),
    CONNECTION_BLOCKED = METHOD(10, 60),
    CONNECTION_UNBLOCKED = METHOD(10, 61),
    CHANNEL_OPEN = METHOD(20, 10),
    CHANNEL_OPEN_OK = METHOD(20, 11),
    CHANNEL_FLOW = METHOD(20, 20),
    CHANNEL_FLOW_OK = METHOD(20, 21),
    CHANNEL_CLOSE = METHOD(20, 40),
    CHANNEL_CLOSE_OK = METHOD(20, 41),
    EXCHANGE_DECLARE = METHOD(40, 10),
    EXCHANGE_DECLARE_OK = METHOD(40, 11),
    EXCHANGE_DELETE = METHOD(40, 20),
    EXCHANGE_DELETE_OK = METHOD(40, 21),
    EXCHANGE_BIND = METHOD(40, 30),
    EXCHANGE_BIND_OK = METHOD(40, 31),
    EXCHANGE_UNBIND = METHOD(40, 40),
    EXCHANGE_UNBIND_OK = METHOD(40, 51),
    QUEUE_DECLARE = METHOD(50, 10),
    QUEUE_DECLARE_OK = METHOD(50, 11),
    QUEUE_BIND = METHOD(50, 20),
    QUEUE_BIND_OK = METHOD(50, 21),
    QUEUE_PURGE = METHOD(50, 30),
    QUEUE_PURGE_OK = METHOD(50, 31),
    QUEUE_DELETE = METHOD(50, 40),
    QUEUE_DELETE_OK = METHOD(50, 41),
    QUEUE_UNBIND = METHOD(50, 50),
    QUEUE_UNBIND_OK = METHOD(50, 51),
    BASIC_QOS = METHOD(60, 10),
    BASIC_QOS_OK = METHOD(60, 11),
    BASIC_CONSUME = METHOD(60, 20),
    BASIC_CONSUME_OK = METHOD(60, 21),
    BASIC_CANCEL = METHOD(60, 30),
    BASIC_CANCEL_OK = METHOD(60, 31),
    BASIC_PUBLISH = METHOD(60, 40),
    BASIC_RETURN = METHOD(60, 50),
    BASIC_DELIVER = METHOD(60, 60),
    BASIC_GET = METHOD(60, 70),
    BASIC_GET_OK = METHOD(60, 71),
    BASIC_GET_EMPTY = METHOD(60, 72),
    BASIC_ACK = METHOD(60, 80),
    BASIC_REJECT = METHOD(60, 90),
    BASIC_RECOVER = METHOD(60, 110),
    BASIC_RECOVER_OK = METHOD(60, 111),
    BASIC_NACK = METHOD(60, 120),
    CONFIRM_SELECT = METHOD(85, 10),
    CONFIRM_SELECT_OK = METHOD(85, 11),
    TX_SELECT = METHOD(90, 10),
    TX_SELECT_OK = METHOD(90, 11),
    TX_COMMIT = METHOD(90, 20),
    TX_COMMIT_OK = METHOD(90, 21),
    TX_ROLLBACK = METHOD(90, 30),
    TX_ROLLBACK_OK = METHOD(90, 31),
};

/* "queue.declare", or "?" */
const char *method_text(uint32_t method);

/* ---- bytes that grow -------------------------------------------------------------------------------- */

struct buffer {
    uint8_t *at; /* malloc'd */
    size_t len, room;
};

void buffer_add(struct buffer *b, const void *bytes, size_t n);
/* Takes n bytes off the beginning. */
void buffer_drop(struct buffer *b, size_t n);
void buffer_free(struct buffer *b);

/* ---- writing ---------------------------------------------------------------------------------------- */

void add_octet(struct buffer *b, uint8_t v);
void add_short(struct buffer *b, uint16_t v);
void add_long(struct buffer *b, uint32_t v);
void add_longlong(struct buffer *b, uint64_t v);
void add_name(struct buffer *b, const char *name);
/* A table: its length and then its fields, as given. */
void add_table(struct buffer *b, const void *fields, size_t n);
/* One field of a table. */
void add_text_field(struct buffer *b, const char *name, const char *value);
void add_int_field(struct buffer *b, const char *name, int32_t value);
void add_bool_field(struct buffer *b, const char *name, bool value);
void add_time_field(struct buffer *b, const char *name, uint64_t seconds); /* since 1970 */
void add_texts_field(struct buffer *b, const char *name, const char *const *values, size_t count);

/* Opens a frame; returns what frame_close wants. */
size_t frame_open(struct buffer *b, uint8_t type, uint16_t channel);
size_t method_open(struct buffer *b, uint16_t channel, uint32_t method);
void frame_close(struct buffer *b, size_t opened);

/* ---- reading ---------------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at, *end;
    bool bad; /* was read past the end */
};

struct text {
    char s[256];
};

uint8_t read_octet(struct reader *r);
uint16_t read_short(struct reader *r);
uint32_t read_long(struct reader *r);
uint64_t read_longlong(struct reader *r);
struct text read_name(struct reader *r);
/* The fields of a table, without its length. */
struct reader read_table(struct reader *r);

/* A field of a table: text, a number (booleans, times and integers alike), or an array or a table. */
struct table_field {
    struct text name;
    char type;
    struct text text;
    int64_t number;
    struct reader inside;
};

/* False at the end, or at a type that is neither sent by the simulator nor due from the broker. */
bool read_field(struct reader *table, struct table_field *field);
/* The same of an array, whose items have no names. */
bool read_item(struct reader *array, struct table_field *item);
