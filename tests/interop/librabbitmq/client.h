/*
 * librabbitmq as applications in C use it: a connection with one channel, tables of arguments and of headers.
 * Whatever goes wrong ends the process, with a sentence.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <amqp.h>

#define ENTRIES_MAX 16

/* A table under construction; its texts are the caller's and must live as long. */
struct table {
    int n;
    amqp_table_entry_t entry[ENTRIES_MAX];
};

struct client {
    amqp_connection_state_t connection;
    amqp_envelope_t last; /* what client_deliver got */
    bool has_last;
};

_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each returns the table, so that calls can be nested. */
struct table *with_text(struct table *t, const char *key, const char *value);
struct table *with_number(struct table *t, const char *key, int64_t value);
struct table *with_flag(struct table *t, const char *key, bool value);
amqp_table_t table_of(struct table *t);

void client_open(struct client *c, const char *host, int port);
void client_close(struct client *c);
/* Fails unless the last call was answered as it should be. */
void client_must(struct client *c, const char *what);
/* Durable; with the default exchange it is found under its name. arguments: NULL for none. */
void client_declare(struct client *c, const char *queue, struct table *arguments);
/* Waits until so many messages are ready in it, for a while. */
void client_until_ready(struct client *c, const char *queue, uint32_t count);
void client_delete(struct client *c, const char *queue);
/* priority: -1 for none; headers: NULL for none. */
void client_send(struct client *c, const char *exchange, const char *key, const char *body, int priority,
                 struct table *headers);
void client_consume(struct client *c, const char *queue, struct table *arguments);
/* The next message's body must be this one. It is acknowledged, and valid until the next. */
void client_deliver(struct client *c, const char *body);
/* A header of the message that came last; NULL if it has none of that name. */
const amqp_field_value_t *client_header(const struct client *c, const char *key);
/* Among the entries of a table. */
const amqp_field_value_t *table_find(const amqp_table_t *t, const char *key);
/* Fail unless the value is that; what: for the sentence. */
void expect_text(const amqp_field_value_t *value, const char *wanted, const char *what);
void expect_number(const amqp_field_value_t *value, int64_t wanted, const char *what);
