/* features HOST PORT CASE NAME: what queues' arguments and messages' headers do. NAME: of what is declared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define NAME_MAX_BYTES 100

/* What all cases have: a queue's name, and another's. */
struct names {
    char queue[NAME_MAX_BYTES], other[NAME_MAX_BYTES];
};

static void expires_to_a_dead_letter(struct client *c, const struct names *n)
{
    struct table arguments = {0}, headers = {0};
    client_declare(c, n->other, NULL);
    with_number(&arguments, "x-message-ttl", 50);
    with_text(&arguments, "x-dead-letter-exchange", "");
    with_text(&arguments, "x-dead-letter-routing-key", n->other);
    client_declare(c, n->queue, &arguments);
    client_send(c, "", n->queue, "mortal", -1, with_text(&headers, "own", "kept"));
    client_consume(c, n->other, NULL);
    client_deliver(c, "mortal");
    expect_text(client_header(c, "own"), "kept", "its header");
    expect_text(client_header(c, "x-first-death-reason"), "expired", "x-first-death-reason");
    expect_text(client_header(c, "x-first-death-queue"), n->queue, "x-first-death-queue");
    const amqp_field_value_t *deaths = client_header(c, "x-death");
    if (!deaths || deaths->kind != AMQP_FIELD_KIND_ARRAY || deaths->value.array.num_entries != 1 ||
        deaths->value.array.entries->kind != AMQP_FIELD_KIND_TABLE)
        fail("x-death is no array of one table");
    const amqp_table_t *death = &deaths->value.array.entries->value.table;
    expect_number(table_find(death, "count"), 1, "count");
    expect_text(table_find(death, "reason"), "expired", "reason");
    expect_text(table_find(death, "queue"), n->queue, "queue");
    const amqp_field_value_t *time = table_find(death, "time");
    if (!time || time->kind != AMQP_FIELD_KIND_TIMESTAMP)
        fail("time is no timestamp");
}

static void priorities(struct client *c, const struct names *n)
{
    struct table arguments = {0};
    client_declare(c, n->queue, with_number(&arguments, "x-max-priority", 9));
    client_send(c, "", n->queue, "none", -1, NULL);
    client_send(c, "", n->queue, "5", 5, NULL);
    client_send(c, "", n->queue, "9", 9, NULL);
    client_send(c, "", n->queue, "200", 200, NULL);
    client_send(c, "", n->queue, "0", 0, NULL);
    client_until_ready(c, n->queue, 5);
    client_consume(c, n->queue, NULL);
    static const char *const order[] = {"9", "200", "5", "none", "0"};
    for (unsigned i = 0; i < 5; i++)
        client_deliver(c, order[i]);
}

static void a_stream_from_an_offset(struct client *c, const struct names *n)
{
    struct table arguments = {0}, from = {0};
    client_declare(c, n->queue, with_text(&arguments, "x-queue-type", "stream"));
    static const char *const body[] = {"0", "1", "2", "3", "4"};
    for (unsigned i = 0; i < 5; i++)
        client_send(c, "", n->queue, body[i], -1, NULL);
    client_until_ready(c, n->queue, 5);
    client_consume(c, n->queue, with_number(&from, "x-stream-offset", 2));
    for (unsigned i = 2; i < 5; i++) {
        client_deliver(c, body[i]);
        expect_number(client_header(c, "x-stream-offset"), i, "x-stream-offset");
    }
}

static void a_quorum_queue(struct client *c, const struct names *n)
{
    struct table arguments = {0};
    with_text(&arguments, "x-queue-type", "quorum");
    client_declare(c, n->queue, with_number(&arguments, "x-delivery-limit", 3));
    client_send(c, "", n->queue, "x", -1, NULL);
    client_until_ready(c, n->queue, 1);
    amqp_rpc_reply_t reply = amqp_basic_get(c->connection, 1, amqp_cstring_bytes(n->queue), 0);
    amqp_message_t message;
    if (reply.reply_type != AMQP_RESPONSE_NORMAL || reply.reply.id != AMQP_BASIC_GET_OK_METHOD)
        fail("basic.get got nothing");
    uint64_t tag = ((const amqp_basic_get_ok_t *)reply.reply.decoded)->delivery_tag;
    reply = amqp_read_message(c->connection, 1, &message, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        fail("there is no message");
    amqp_destroy_message(&message);
    amqp_basic_nack(c->connection, 1, tag, 0, 1);
    client_consume(c, n->queue, NULL);
    client_deliver(c, "x");
    expect_number(client_header(c, "x-delivery-count"), 1, "x-delivery-count");
}

static void numbers_and_gaps(struct client *c, const struct names *n)
{
    struct table arguments = {0};
    with_flag(&arguments, "x-sequence", true);
    client_declare(c, n->queue, with_number(&arguments, "x-max-length", 2));
    static const char *const body[] = {"1", "2", "3", "4", "5"};
    for (unsigned i = 0; i < 5; i++)
        client_send(c, "", n->queue, body[i], -1, NULL);
    client_until_ready(c, n->queue, 2);
    client_consume(c, n->queue, NULL);
    client_deliver(c, "4");
    expect_number(client_header(c, "x-sequence"), 4, "x-sequence");
    expect_number(client_header(c, "x-gap-from"), 1, "x-gap-from");
    expect_number(client_header(c, "x-gap-to"), 3, "x-gap-to");
    expect_text(client_header(c, "x-gap-reason"), "maxlen", "x-gap-reason");
    client_deliver(c, "5");
    expect_number(client_header(c, "x-sequence"), 5, "x-sequence");
    if (client_header(c, "x-gap-from"))
        fail("a gap is told twice");
}

static void last_values(struct client *c, const struct names *n)
{
    struct table arguments = {0};
    client_declare(c, n->queue, with_text(&arguments, "x-last-value-key", "sym"));
    static const char *const update[][2] = {{"B", "B1"}, {"A", "A1"}, {"B", "B2"}};
    for (unsigned i = 0; i < 3; i++) {
        struct table headers = {0};
        client_send(c, "", n->queue, update[i][1], -1, with_text(&headers, "sym", update[i][0]));
    }
    client_until_ready(c, n->queue, 2);
    client_consume(c, n->queue, NULL);
    client_deliver(c, "B2");
    client_deliver(c, "A1");
    expect_text(client_header(c, "sym"), "A", "its key");
}

static void delayed(struct client *c, const struct names *n)
{
    struct table arguments = {0}, late = {0};
    amqp_exchange_declare(c->connection, 1, amqp_cstring_bytes(n->other),
                          amqp_cstring_bytes("x-delayed-message"), 0, 1, 1, 0,
                          table_of(with_text(&arguments, "x-delayed-type", "direct")));
    client_must(c, "exchange.declare");
    client_declare(c, n->queue, NULL);
    amqp_queue_bind(c->connection, 1, amqp_cstring_bytes(n->queue), amqp_cstring_bytes(n->other),
                    amqp_cstring_bytes("k"), amqp_empty_table);
    client_must(c, "queue.bind");
    client_consume(c, n->queue, NULL);
    client_send(c, n->other, "k", "late", -1, with_number(&late, "x-delay", 200));
    client_send(c, n->other, "k", "at once", -1, NULL);
    client_deliver(c, "at once");
    client_deliver(c, "late");
    expect_number(client_header(c, "x-delay"), -200, "x-delay");
}

static void exactly_once(struct client *c, const struct names *n)
{
    client_declare(c, n->queue, NULL);
    static const char *const body[] = {"1", "2", "3"};
    for (unsigned i = 0; i < 9; i++) {
        struct table headers = {0};
        with_text(&headers, "x-producer-id", n->queue);
        client_send(c, "", n->queue, body[i % 3], -1, with_number(&headers, "x-producer-seq", i % 3 + 1));
    }
    client_until_ready(c, n->queue, 3);
    client_consume(c, n->queue, NULL);
    for (unsigned i = 0; i < 3; i++)
        client_deliver(c, body[i]);
}

/* The channel is closed for it, with a code and a text, and another goes on. */
static void a_refusal(struct client *c, const struct names *n)
{
    struct table arguments = {0};
    char wanted[3 * NAME_MAX_BYTES];
    snprintf(
        wanted, sizeof wanted,
        "PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue '%s' in vhost '/': {value_negative,-1}",
        n->queue);
    amqp_channel_open(c->connection, 2);
    client_must(c, "channel.open");
    amqp_queue_declare(c->connection, 2, amqp_cstring_bytes(n->queue), 0, 1, 0, 0,
                       table_of(with_number(&arguments, "x-message-ttl", -1)));
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c->connection);
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION || reply.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        fail("the channel is not closed");
    const amqp_channel_close_t *m = reply.reply.decoded;
    if (m->reply_code != AMQP_PRECONDITION_FAILED || m->reply_text.len != strlen(wanted) ||
        memcmp(m->reply_text.bytes, wanted, m->reply_text.len) != 0)
        fail("%u %.*s, expected 406 %s", m->reply_code, (int)m->reply_text.len, (char *)m->reply_text.bytes,
             wanted);
    amqp_channel_close_ok_t ok = {0};
    amqp_send_method(c->connection, 2, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    client_declare(c, n->queue, NULL);
}

static const struct {
    const char *name;
    void (*run)(struct client *c, const struct names *n);
} cases[] = {
    {"expires_to_a_dead_letter", expires_to_a_dead_letter},
    {"priorities", priorities},
    {"a_stream_from_an_offset", a_stream_from_an_offset},
    {"a_quorum_queue", a_quorum_queue},
    {"numbers_and_gaps", numbers_and_gaps},
    {"last_values", last_values},
    {"delayed", delayed},
    {"exactly_once", exactly_once},
    {"a_refusal", a_refusal},
};

int main(int argc, char **argv)
{
    if (argc != 5)
        fail("usage: features HOST PORT CASE NAME");
    struct names names;
    snprintf(names.queue, sizeof names.queue, "%s-queue", argv[4]);
    snprintf(names.other, sizeof names.other, "%s-other", argv[4]);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[3], cases[i].name) == 0) {
            struct client c;
            client_open(&c, argv[1], (int)strtol(argv[2], NULL, 10));
            cases[i].run(&c, &names);
            client_delete(&c, names.queue);
            client_delete(&c, names.other);
            client_close(&c);
            return 0;
        }
    fail("there is no case '%s'", argv[3]);
}
