/* What the command line asks for. Filled once by options_parse and constant afterwards. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "protocol.h"
#include "uri.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_FIELDS_MAX 16

/* A name and a value for the broker; the value is text, and `type` says how AMQP sends it. */
struct field {
    const char *name, *value;
    char type; /* 'S' long string, 'l' 64-bit integer, 't' boolean, 'F' a table of client capabilities */
};

struct fields {
    struct field row[OPTIONS_FIELDS_MAX];
    size_t n;
    char *text; /* what the rows point into */
};

struct options {
    const struct protocol *protocol;
    struct uri uri;
    const char *id; /* of the run, in the live line */
    uint32_t run;   /* what tells its messages and names from those of other runs; BODY_RUN_BITS */

    uint64_t producers, consumers, threads;
    uint64_t queues; /* or topics, or destinations */
    const char *queue, *exchange, *type, *key,
        *binding_key; /* a %d in queue and keys becomes a queue's number */
    bool fanned;      /* each consumer gets every message of its topic, instead of sharing its queue */
    bool spread;      /* each producer publishes to all topics in turn, instead of to one */
    bool durable, auto_delete, predeclared, purge, remove;
    uint64_t extra_bindings;
    const char *extra_key;
    struct fields queue_args, consumer_args;

    uint64_t size;              /* bytes a body has */
    double rate, consumer_rate; /* messages a second and producer (consumer); 0 is flat out */
    uint64_t confirms;          /* messages a producer may have unconfirmed; 0: no confirms */
    bool persistent, mandatory;
    unsigned priorities;    /* of the queues; producers get them in turn, evenly; 0: none */
    const char *expiration; /* of each message, ms; NULL: none */
    bool numbered;          /* producers name themselves and number their messages */

    uint64_t prefetch, ack_every;
    bool auto_ack;

    uint64_t qos, subscribe_qos; /* of MQTT; qos 1 and 2: confirms */
    unsigned mqtt_version;       /* as CONNECT says it: 4 is 3.1.1 */
    bool session;                /* of subscribers: it outlives their connections */
    const char *client_id;       /* what client identifiers begin with; NULL: names of this run only */
    const char *share;           /* the group of a shared subscription; NULL: none */

    uint64_t idle, filters; /* connections that do nothing; subscriptions of theirs that match nothing */
    uint64_t churn;         /* connections that come, do one thing and go, at the same time */
    double churn_rate;      /* of them, a second; 0: flat out */
    bool churn_subscribe;   /* they subscribe instead of publishing */
    uint64_t sources;       /* local addresses that connections are spread over */

    double seconds, warmup;
    uint64_t producer_messages, consumer_messages; /* each; 0 is no limit */
    double drain;   /* seconds without progress before a message counts as lost */
    double wait;    /* seconds for the broker to come up */
    double survive; /* seconds the broker may be away; 0: a lost connection ends the run */

    enum { TRANSPORT_SOCKETS, TRANSPORT_DPDK } transport;
    const char *eal, *dpdk_port, *address; /* NULL: not given */
    uint64_t mtu, buffers;

    uint64_t batch; /* bytes a write may move */
    bool spin;
    uint64_t broker_pid;
    const char *hgrm;
    bool json, quiet;
};

/* argv[1] may name the protocol. Explains itself and exits when the command line is wrong (status 2) or asks
 * for help (status 0). */
void options_parse(struct options *o, int argc, char **argv);

void options_free(struct options *o);

/* "name" with its %d, if there is one, replaced by `number`. */
void options_expand(char out[256], const char *name, uint64_t number);

/* "name" for the place (queue, topic, destination) with this index, from 0. */
void options_place(const struct options *o, char out[256], const char *name, uint64_t index);

/* True when producer p's messages go only to the queue number p % queues: with the default exchange or a %d
 * in the key. Otherwise every bound queue gets every message. */
bool options_spread(const struct options *o);

#endif
