/*
 * A simulated client: one connection at a time, some channels on it, a will of its own (deeds.c). It judges
 * nothing: it only knows enough to say what a client may say. What it has read is in its channels; what it
 * wants to say goes out as the network takes it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"
#include "talk.h"

struct network;
struct taps;

enum { CLIENT_CHANNELS = 5, CLIENT_TAGS = 64, CLIENT_CONSUMERS = 3, CLIENT_GETS = 16 };

enum client_state {
    CLIENT_AWAY,    /* no connection */
    CLIENT_OPENING, /* until connection.open-ok */
    CLIENT_OPEN,
    CLIENT_CLOSING, /* connection.close was sent */
};

enum chan_state { CHAN_SHUT, CHAN_OPENING, CHAN_OPEN, CHAN_CLOSING };
enum chan_mode { CHAN_PLAIN, CHAN_CONFIRM, CHAN_TX };

struct chan {
    enum chan_state state;
    enum chan_mode mode;
    unsigned awaited;           /* answers */
    unsigned recovering;        /* recover-oks that are awaited: tags from before them are void */
    bool consumed;              /* a consumer has been on it */
    uint64_t tags[CLIENT_TAGS]; /* to be acknowledged */
    unsigned tag_count;
    struct client_consumer {
        char tag[PLAN_NAME_BYTES];
        bool no_ack;
    } consumers[CLIENT_CONSUMERS];
    unsigned consumer_count;
    bool gets[CLIENT_GETS]; /* under way, oldest first: no_ack */
    unsigned get_count;
};

/* What the clients share; their owner's. */
enum { CLIENTS_BOUND = 16 };

/* Bindings that somebody made, as they stand in a bind behind the ticket but without the no-wait bit. */
struct bound {
    struct buffer binding[CLIENTS_BOUND];
    unsigned count; /* made so far; the youngest are kept */
};

/* deeds_producer.c: who numbers messages, and the latest of them as they were first sent. */
enum { CLIENTS_PRODUCERS = 3, CLIENTS_NUMBERED = 128 };

struct numbered {
    char producer[PLAN_NAME_BYTES], exchange[PLAN_NAME_BYTES], key[2 * PLAN_NAME_BYTES];
    int32_t seq;
    bool persistent;
};

struct producer_deeds {
    int32_t seq;
    unsigned count; /* of numbers given */
    struct numbered sent[CLIENTS_NUMBERED];
};

struct clients {
    struct network *network;
    struct taps *taps;
    struct prng *prng;
    const struct plan *plan;
    uint64_t now_ns;
    uint64_t messages; /* published so far: their names */
    uint64_t deeds;    /* done so far */
    struct producer_deeds producers[CLIENTS_PRODUCERS];
    uint64_t tags;                                       /* consumer tags given so far */
    struct bound bound[2];                               /* queues', exchanges' */
    bool exchanges[PLAN_EXCHANGES], queues[PLAN_QUEUES]; /* somebody has declared it: it may be there */
};

struct client {
    struct clients *all;
    unsigned number;
    enum client_state state;
    uint64_t stream; /* 0: none */
    struct talk in;
    struct buffer out;
    struct chan chan[CLIENT_CHANNELS]; /* by number; [0] isn't used */
    bool deaf;
    unsigned again;       /* numbered messages that it sends once more, since its last connection ended */
    bool auto_ack;        /* the one that empties the queues at the end */
    bool closed;          /* both sides have said so: nothing more is read */
    char last_queue[256]; /* named by the broker, exclusive to this connection */
    uint64_t heartbeat_ns, said_ns; /* interval, 0 for none; when something was last sent */
};

void client_init(struct client *client, struct clients *all, unsigned number);
void client_free(struct client *client);

void client_connect(struct client *client);
/* Sends, reads, keeps the connection alive. */
void client_move(struct client *client);
/* Says goodbye properly. */
void client_close(struct client *client);
/* Breaks the connection. */
void client_reset(struct client *client);
/* Is gone, and the broker isn't told. */
void client_vanish(struct client *client);
void client_deafen(struct client *client, bool deaf);
/* When it wants to move though nothing arrives. */
uint64_t client_deadline(const struct client *client);

/* Forgets everything about the channel. */
void chan_reset(struct chan *chan);

/* ---- deeds.c, deeds_message.c ----------------------------------------------------------------------- */

/* Does something, perhaps. */
void client_act(struct client *client);
void deed_topology(struct client *client, uint16_t channel, enum deed deed);
void deed_message(struct client *client, uint16_t channel, enum deed deed);

/* The queue may be a stream: says how much the client takes, mostly, and adds where it begins. Returns
 * whether it is one, and must be told that it will be answered. (deeds_stream.c) */
bool stream_consume(struct client *client, uint16_t channel, const char *queue, struct buffer *arguments);
/* Adds the header that says what the confirm is to mean. */
void level_write(struct client *client, struct buffer *headers);
/* What streams filter by: a letter; NULL: this message has none. */
const char *stream_value(struct client *client);

/* The client has connected, perhaps once more. (deeds_producer.c) */
void producer_reconnects(struct client *client);
/* The number of the next message, which may be one to be sent again, to where it was sent. NULL: none. */
struct numbered *producer_next(struct client *client, const char *exchange, const char *key);
/* Adds what the consumer of the queue asks for. (deeds_consumer.c) */
void consumer_write(struct client *client, const char *queue, struct buffer *arguments);
void producer_write(const struct numbered *number, struct buffer *headers);

/* The body of a message. */
uint8_t body_octet(uint64_t message, uint64_t at);
