/* What the command line asks for. Filled once by options_parse and constant afterwards. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "uri.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_FIELDS_MAX 16

struct fields {
    struct field row[OPTIONS_FIELDS_MAX];
    size_t n;
    char *text; /* what the rows point into */
};

struct options {
    struct uri uri;
    const char *id; /* of the run, in the live line */

    uint64_t producers, consumers, queues, threads;
    const char *queue, *exchange, *type, *key,
        *binding_key; /* a %d in queue and keys becomes a queue's number */
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

/* Explains itself and exits when the command line is wrong (status 2) or asks for help (status 0). */
void options_parse(struct options *o, int argc, char **argv);

void options_free(struct options *o);

/* "name" with its %d, if there is one, replaced by `number`. */
void options_expand(char out[256], const char *name, uint64_t number);

/* True when producer p's messages go only to the queue number p % queues: with the default exchange or a %d
 * in the key. Otherwise every bound queue gets every message. */
bool options_spread(const struct options *o);

#endif
