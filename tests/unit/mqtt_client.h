/*
 * An MQTT client and its routers, for one codec over a fake host: sends packets, whole or in pieces, answers
 * ops, and reads what the codec wrote.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/mqtt/connection.h"
#include "fake_host.h"
#include "router/message.h"

struct client {
    struct host *host;
    struct mqtt *c;
    struct fake_bytes input; /* given, not yet taken by the codec */
    size_t shown, read;      /* bytes of it that the codec has seen; of the output that were looked at */
    size_t piece;            /* bytes that arrive at once; 0: all */
    uint64_t next_consumer;
    struct op *last; /* a copy of each op is kept while `keep` is set */
    size_t kept;
    bool keep;
};

/* A packet that the codec wrote. */
struct packet_out {
    uint8_t head;
    struct span body;
};

#define SPAN(literal) span_of(literal, sizeof(literal) - 1)

struct client *client_new(void);
void client_free(struct client *client);
void client_bytes(struct client *client, struct span bytes);
void client_packet(struct client *client, uint8_t head, struct span body);
/* Makes what is given arrive, and answers ops, until nothing changes. */
void client_run(struct client *client);
/* CONNECT of that version, clean, for the client "me"; with MQTT 5.0 the session is kept if `kept`. */
void client_connect(struct client *client, uint8_t version, bool kept);
void client_subscribe(struct client *client, const char *filter, uint8_t options);
void client_publish(struct client *client, const char *topic, unsigned qos, uint16_t id,
                    struct span properties, struct span payload);
/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
void client_answer(struct client *client, enum packet packet, uint16_t id);
void client_confirm(struct client *client, uint64_t seq, uint32_t count, uint8_t flags);
/* malloc'd. properties: as AMQP has them. */
struct message *client_message(uint8_t protocol, bool persistent, struct span key, struct span properties,
                               struct span body);
/* For the session's queue. */
void client_deliver(struct client *client, uint64_t seq, const struct message *message);

/* The next packet that was written; it must be of that type. */
struct span client_expect(struct client *client, enum packet packet);
/* PUBACK and the like, of this identifier and reason. */
void client_expect_answer(struct client *client, enum packet packet, uint16_t id, enum reason reason);
/* DISCONNECT with that reason, and the end. */
void client_expect_end(struct client *client, enum reason reason);
bool client_silent(const struct client *client);
