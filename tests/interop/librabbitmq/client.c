#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <amqp_tcp_socket.h>

#define CHANNEL    1
#define FRAME_MAX  131072
#define PATIENCE_S 30
#define LOOK_US    10000

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- tables -------------------------------------------------------------------------------------- */

static amqp_field_value_t *add(struct table *t, const char *key, uint8_t kind)
{
    if (t->n == ENTRIES_MAX)
        fail("more than %d entries in a table", ENTRIES_MAX);
    amqp_table_entry_t *e = &t->entry[t->n++];
    e->key = amqp_cstring_bytes(key);
    e->value.kind = kind;
    return &e->value;
}

struct table *with_text(struct table *t, const char *key, const char *value)
{
    add(t, key, AMQP_FIELD_KIND_UTF8)->value.bytes = amqp_cstring_bytes(value);
    return t;
}

struct table *with_number(struct table *t, const char *key, int64_t value)
{
    add(t, key, AMQP_FIELD_KIND_I64)->value.i64 = value;
    return t;
}

struct table *with_flag(struct table *t, const char *key, bool value)
{
    add(t, key, AMQP_FIELD_KIND_BOOLEAN)->value.boolean = value;
    return t;
}

amqp_table_t table_of(struct table *t)
{
    return t ? (amqp_table_t){.num_entries = t->n, .entries = t->entry} : amqp_empty_table;
}

static bool is(amqp_bytes_t bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

const amqp_field_value_t *table_find(const amqp_table_t *t, const char *key)
{
    for (int i = 0; i < t->num_entries; i++)
        if (is(t->entries[i].key, key))
            return &t->entries[i].value;
    return NULL;
}

void expect_text(const amqp_field_value_t *value, const char *wanted, const char *what)
{
    if (!value || value->kind != AMQP_FIELD_KIND_UTF8 || !is(value->value.bytes, wanted))
        fail("%s is not '%s'", what, wanted);
}

void expect_number(const amqp_field_value_t *value, int64_t wanted, const char *what)
{
    if (!value || value->kind != AMQP_FIELD_KIND_I64)
        fail("%s is no number of 64 bits", what);
    if (value->value.i64 != wanted)
        fail("%s is %ld, expected %ld", what, (long)value->value.i64, (long)wanted);
}

/* ---- the connection ------------------------------------------------------------------------------ */

static void must(amqp_rpc_reply_t reply, const char *what)
{
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        fail("%s: %s", what, amqp_error_string2(reply.library_error));
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *m = reply.reply.decoded;
        fail("%s: channel.close %u %.*s", what, m->reply_code, (int)m->reply_text.len,
             (char *)m->reply_text.bytes);
    }
    if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *m = reply.reply.decoded;
        fail("%s: connection.close %u %.*s", what, m->reply_code, (int)m->reply_text.len,
             (char *)m->reply_text.bytes);
    }
    fail("%s: no answer", what);
}

void client_must(struct client *c, const char *what)
{
    must(amqp_get_rpc_reply(c->connection), what);
}

void client_open(struct client *c, const char *host, int port)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    *c = (struct client){.connection = amqp_new_connection()};
    amqp_socket_t *socket = amqp_tcp_socket_new(c->connection);
    if (!socket || amqp_socket_open_noblock(socket, host, port, &patience) != AMQP_STATUS_OK)
        fail("no connection to %s:%d", host, port);
    amqp_set_rpc_timeout(c->connection, &patience);
    must(amqp_login(c->connection, "/", 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login");
    amqp_channel_open(c->connection, CHANNEL);
    client_must(c, "channel.open");
}

static void forget_last(struct client *c)
{
    if (c->has_last)
        amqp_destroy_envelope(&c->last);
    c->has_last = false;
}

void client_close(struct client *c)
{
    forget_last(c);
    must(amqp_connection_close(c->connection, AMQP_REPLY_SUCCESS), "connection.close");
    if (amqp_destroy_connection(c->connection) != AMQP_STATUS_OK)
        fail("the connection doesn't end");
}

/* ---- queues and messages ------------------------------------------------------------------------- */

void client_declare(struct client *c, const char *queue, struct table *arguments)
{
    amqp_queue_declare(c->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, table_of(arguments));
    client_must(c, queue);
}

void client_until_ready(struct client *c, const char *queue, uint32_t count)
{
    for (unsigned looks = 0; looks < PATIENCE_S * (1000000 / LOOK_US); looks++) {
        const amqp_queue_declare_ok_t *ok = amqp_queue_declare(
            c->connection, CHANNEL, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table);
        client_must(c, queue);
        if (ok->message_count == count)
            return;
        amqp_maybe_release_buffers(c->connection);
        usleep(LOOK_US);
    }
    fail("%u messages don't become ready in %s", count, queue);
}

void client_delete(struct client *c, const char *queue)
{
    amqp_queue_delete(c->connection, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
    client_must(c, "queue.delete");
}

void client_send(struct client *c, const char *exchange, const char *key, const char *body, int priority,
                 struct table *headers)
{
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG, .delivery_mode = 2};
    if (priority >= 0) {
        properties._flags |= AMQP_BASIC_PRIORITY_FLAG;
        properties.priority = (uint8_t)priority;
    }
    if (headers) {
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = table_of(headers);
    }
    if (amqp_basic_publish(c->connection, CHANNEL, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), 0,
                           0, &properties, amqp_cstring_bytes(body)) != AMQP_STATUS_OK)
        fail("can't publish '%s' to '%s' with '%s'", body, exchange, key);
}

void client_consume(struct client *c, const char *queue, struct table *arguments)
{
    amqp_basic_qos(c->connection, CHANNEL, 0, 100, 0);
    client_must(c, "basic.qos");
    amqp_basic_consume(c->connection, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                       table_of(arguments));
    client_must(c, "basic.consume");
}

void client_deliver(struct client *c, const char *body)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    forget_last(c);
    amqp_maybe_release_buffers(c->connection);
    must(amqp_consume_message(c->connection, &c->last, &patience, 0), body);
    c->has_last = true;
    amqp_bytes_t got = c->last.message.body;
    if (!is(got, body))
        fail("'%.*s' came, expected '%s'", (int)got.len, (char *)got.bytes, body);
    amqp_basic_ack(c->connection, CHANNEL, c->last.delivery_tag, 0);
}

const amqp_field_value_t *client_header(const struct client *c, const char *key)
{
    const amqp_basic_properties_t *p = &c->last.message.properties;
    return p->_flags & AMQP_BASIC_HEADERS_FLAG ? table_find(&p->headers, key) : NULL;
}
