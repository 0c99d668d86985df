#include "wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const struct {
    uint32_t method;
    const char *text;
} texts[] = {
    {CONNECTION_START, "connection.start"},
    {CONNECTION_START_OK, "connection.start-ok"},
    {CONNECTION_TUNE, "connection.tune"},
    {CONNECTION_TUNE_OK, "connection.tune-ok"},
    {CONNECTION_OPEN, "connection.open"},
    {CONNECTION_OPEN_OK, "connection.open-ok"},
    {CONNECTION_CLOSE, "connection.close"},
    {CONNECTION_CLOSE_OK, "connection.close-ok"},
    {CONNECTION_BLOCKED, "connection.blocked"},
    {CONNECTION_UNBLOCKED, "connection.unblocked"},
    {CHANNEL_OPEN, "channel.open"},
    {CHANNEL_OPEN_OK, "channel.open-ok"},
    {CHANNEL_FLOW, "channel.flow"},
    {CHANNEL_FLOW_OK, "channel.flow-ok"},
    {CHANNEL_CLOSE, "channel.close"},
    {CHANNEL_CLOSE_OK, "channel.close-ok"},
    {EXCHANGE_DECLARE, "exchange.declare"},
    {EXCHANGE_DECLARE_OK, "exchange.declare-ok"},
    {EXCHANGE_DELETE, "exchange.delete"},
    {EXCHANGE_DELETE_OK, "exchange.delete-ok"},
    {EXCHANGE_BIND, "exchange.bind"},
    {EXCHANGE_BIND_OK, "exchange.bind-ok"},
    {EXCHANGE_UNBIND, "exchange.unbind"},
    {EXCHANGE_UNBIND_OK, "exchange.unbind-ok"},
    {QUEUE_DECLARE, "queue.declare"},
    {QUEUE_DECLARE_OK, "queue.declare-ok"},
    {QUEUE_BIND, "queue.bind"},
    {QUEUE_BIND_OK, "queue.bind-ok"},
    {QUEUE_PURGE, "queue.purge"},
    {QUEUE_PURGE_OK, "queue.purge-ok"},
    {QUEUE_DELETE, "queue.delete"},
    {QUEUE_DELETE_OK, "queue.delete-ok"},
    {QUEUE_UNBIND, "queue.unbind"},
    {QUEUE_UNBIND_OK, "queue.unbind-ok"},
    {BASIC_QOS, "basic.qos"},
    {BASIC_QOS_OK, "basic.qos-ok"},
    {BASIC_CONSUME, "basic.consume"},
    {BASIC_CONSUME_OK, "basic.consume-ok"},
    {BASIC_CANCEL, "basic.cancel"},
    {BASIC_CANCEL_OK, "basic.cancel-ok"},
    {BASIC_PUBLISH, "basic.publish"},
    {BASIC_RETURN, "basic.return"},
    {BASIC_DELIVER, "basic.deliver"},
    {BASIC_GET, "basic.get"},
    {BASIC_GET_OK, "basic.get-ok"},
    {BASIC_GET_EMPTY, "basic.get-empty"},
    {BASIC_ACK, "basic.ack"},
    {BASIC_REJECT, "basic.reject"},
    {BASIC_RECOVER, "basic.recover"},
    {BASIC_RECOVER_OK, "basic.recover-ok"},
    {BASIC_NACK, "basic.nack"},
    {CONFIRM_SELECT, "confirm.select"},
    {CONFIRM_SELECT_OK, "confirm.select-ok"},
    {TX_SELECT, "tx.select"},
    {TX_SELECT_OK, "tx.select-ok"},
    {TX_COMMIT, "tx.commit"},
    {TX_COMMIT_OK, "tx.commit-ok"},
    {TX_ROLLBACK, "tx.rollback"},
    {TX_ROLLBACK_OK, "tx.rollback-ok"},
};

const char *method_text(uint32_t method)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].method == method)
            return texts[i].text;
    return "?";
}

/* ---- bytes that grow -------------------------------------------------------------------------------- */

void buffer_add(struct buffer *b, const void *bytes, size_t n)
{
    if (b->len + n > b->room) {
        b->room = 2 * (b->len + n);
        b->at = realloc(b->at, b->room);
        CHECK(b->at);
    }
    if (n)
        memcpy(b->at + b->len, bytes, n);
    b->len += n;
}

void buffer_drop(struct buffer *b, size_t n)
{
    CHECK(n <= b->len);
    b->len -= n;
    if (b->len)
        memmove(b->at, b->at + n, b->len);
}

void buffer_free(struct buffer *b)
{
    free(b->at);
    *b = (struct buffer){0};
}

/* ---- writing ---------------------------------------------------------------------------------------- */

static void add_number(struct buffer *b, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        uint8_t octet = (uint8_t)(v >> (8 * bytes));
        buffer_add(b, &octet, 1);
    }
}

void add_octet(struct buffer *b, uint8_t v)
{
    add_number(b, v, 1);
}

void add_short(struct buffer *b, uint16_t v)
{
    add_number(b, v, 2);
}

void add_long(struct buffer *b, uint32_t v)
{
    add_number(b, v, 4);
}

void add_longlong(struct buffer *b, uint64_t v)
{
    add_number(b, v, 8);
}

void add_name(struct buffer *b, const char *name)
{
    size_t n = strlen(name);
    CHECK(n < 256);
    add_octet(b, (uint8_t)n);
    buffer_add(b, name, n);
}

void add_table(struct buffer *b, const void *fields, size_t n)
{
    add_long(b, (uint32_t)n);
    buffer_add(b, fields, n);
}

void add_text_field(struct buffer *b, const char *name, const char *value)
{
    add_name(b, name);
    add_octet(b, 'S');
    add_table(b, value, strlen(value)); /* a long string has the form of a table */
}

void add_int_field(struct buffer *b, const char *name, int32_t value)
{
    add_name(b, name);
    add_octet(b, 'I');
    add_long(b, (uint32_t)value);
}

void add_bool_field(struct buffer *b, const char *name, bool value)
{
    add_name(b, name);
    add_octet(b, 't');
    add_octet(b, value);
}

void add_time_field(struct buffer *b, const char *name, uint64_t seconds)
{
    add_name(b, name);
    add_octet(b, 'T');
    add_longlong(b, seconds);
}

void add_texts_field(struct buffer *b, const char *name, const char *const *values, size_t count)
{
    struct buffer items = {0};
    for (size_t i = 0; i < count; i++) {
        add_octet(&items, 'S');
        add_table(&items, values[i], strlen(values[i]));
    }
    add_name(b, name);
    add_octet(b, 'A');
    add_table(b, items.at, items.len);
    buffer_free(&items);
}

size_t frame_open(struct buffer *b, uint8_t type, uint16_t channel)
{
    add_octet(b, type);
    add_short(b, channel);
    add_long(b, 0); /* set by frame_close */
    return b->len;
}

size_t method_open(struct buffer *b, uint16_t channel, uint32_t method)
{
    size_t opened = frame_open(b, FRAME_OF_METHOD, channel);
    add_long(b, method);
    return opened;
}

void frame_close(struct buffer *b, size_t opened)
{
    size_t size = b->len - opened;
    for (unsigned i = 0; i < 4; i++)
        b->at[opened - 4 + i] = (uint8_t)(size >> (24 - 8 * i));
    add_octet(b, 0xce);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static uint64_t read_number(struct reader *r, unsigned bytes)
{
    uint64_t v = 0;
    if ((size_t)(r->end - r->at) < bytes) {
        r->bad = true;
        r->at = r->end;
        return 0;
    }
    while (bytes--)
        v = v << 8 | *r->at++;
    return v;
}

uint8_t read_octet(struct reader *r)
{
    return (uint8_t)read_number(r, 1);
}

uint16_t read_short(struct reader *r)
{
    return (uint16_t)read_number(r, 2);
}

uint32_t read_long(struct reader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t read_longlong(struct reader *r)
{
    return read_number(r, 8);
}

static struct reader read_bytes(struct reader *r, size_t n)
{
    if ((size_t)(r->end - r->at) < n) {
        r->bad = true;
        n = 0;
    }
    struct reader part = {r->at, r->at + n, false};
    r->at += n;
    return part;
}

static struct text text_of(struct reader bytes)
{
    struct text text = {{0}};
    size_t n = (size_t)(bytes.end - bytes.at);
    if (n)
        memcpy(text.s, bytes.at, n < 255 ? n : 255);
    return text;
}

struct text read_name(struct reader *r)
{
    return text_of(read_bytes(r, read_octet(r)));
}

struct reader read_table(struct reader *r)
{
    return read_bytes(r, read_long(r));
}

bool read_item(struct reader *array, struct table_field *item)
{
    if (array->at == array->end)
        return false;
    *item = (struct table_field){.type = (char)read_octet(array)};
    switch (item->type) {
    case 'S':
        item->text = text_of(read_table(array));
        break;
    case 'I':
        item->number = (int32_t)read_long(array);
        break;
    case 'l':
    case 'T':
        item->number = (int64_t)read_longlong(array);
        break;
    case 't':
        item->number = read_octet(array);
        break;
    case 'A':
    case 'F':
        item->inside = read_table(array);
        break;
    default:
        return false;
    }
    return !array->bad;
}

bool read_field(struct reader *table, struct table_field *field)
{
    if (table->at == table->end)
        return false;
    struct text name = read_name(table);
    bool well = read_item(table, field);
    field->name = name;
    return well;
}
