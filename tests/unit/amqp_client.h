/*
 * An AMQP client and its routers, for one codec over a fake host: builds frames, feeds them whole or in
 * pieces, answers ops and publishes, and reads what the codec wrote.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/amqp/methods.h"
#include "fake_host.h"

enum client_split { SPLIT_NOT, SPLIT_BYTES, SPLIT_RANDOM };

struct client {
    struct host *host;
    void *state;
    struct fake_bytes input; /* given, not yet taken by the codec */
    size_t shown;            /* bytes of it that the codec has been shown */
    size_t read;             /* bytes of the output that were looked at */
    enum client_split split;
    bool manual; /* ops and confirms are not answered of themselves */
    uint64_t random;
    uint64_t next_consumer; /* the router's names */
    uint64_t consumer_tag;  /* the codec's name for the last consumer */
    unsigned consumer_router;
    bool gone;
};

/* A frame that the codec wrote. */
struct reply {
    uint8_t type;
    uint16_t channel;
    enum method method;
    struct span payload;
    union value args[METHOD_FIELDS_MAX];
};

struct client *client_new(void);
/* Ends the connection if it is still there, and frees all. */
void client_free(struct client *c);
void client_gone(struct client *c);

/* Bytes on their way; client_run makes them arrive. */
void client_bytes(struct client *c, struct span bytes);
void client_frame(struct client *c, uint8_t type, uint16_t channel, struct span payload);
void client_method(struct client *c, uint16_t channel, enum method method, const void *args);
void client_header(struct client *c, uint16_t channel, uint64_t body, struct span properties);
/* Method, header without properties, one body frame. */
void client_publish(struct client *c, uint16_t channel, const char *exchange, const char *key,
                    struct span body);
/* Feeds the input, answers what the codec asks for, until nothing changes. */
void client_run(struct client *c);
/* Header to connection.open-ok, with all capabilities, and channel 1 open. */
void client_connect(struct client *c);

#define CALL(client, channel, name, ...)                                                                     \
    client_method((client), (channel), METHOD_##name, &(struct args_##name){__VA_ARGS__})

static inline union value text(const char *s)
{
    return str(span_str(s));
}

/* Takes the next frame off the output. False: there is none. */
bool client_reply(struct client *c, struct reply *reply);
/* The next frame must be this method. */
struct reply client_expect(struct client *c, uint16_t channel, enum method method);
/* The next frame must be channel.close or connection.close with that code and text. */
void client_expect_close(struct client *c, uint16_t channel, uint16_t code, const char *text);
bool client_silent(struct client *c);

/* Events. */
void client_event(struct client *c, unsigned router, const union event *event);
void client_flush(struct client *c);
/* A message for the last consumer (or a basic.get), made to order; the test frees it. */
struct message *client_message(const char *exchange, const char *key, struct span properties,
                               struct span body);
void client_deliver(struct client *c, uint64_t seq, const struct message *message);
void client_confirm(struct client *c, unsigned router, uint16_t channel, uint64_t seq, uint32_t count,
                    uint8_t flags);
/* Answers the oldest op: error ERR_NONE for success. */
void client_answer(struct client *c, enum error error, const char *text);
