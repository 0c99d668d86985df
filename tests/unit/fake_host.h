/*
 * host.h over arrays: what a codec writes and sends is kept for the test to look at; what it asks for is
 * answered as the test says. One fake is one connection.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/codec.h"
#include "codec/host.h"

struct fake_bytes {
    uint8_t *at;
    size_t len, room;
};

struct fake_publish {
    struct command_publish command; /* bytes: a copy */
    uint64_t routers;
};

struct fake_part {
    struct command_part command; /* bytes: a copy */
    uint64_t routers;
};

struct fake_settle {
    unsigned router;
    uint64_t queue, seq, consumer;
    uint32_t count;
    enum settle how;
};

struct fake_credit {
    unsigned router;
    uint64_t consumer;
    uint32_t bytes;
    uint8_t flags;
    uint16_t round;
    uint64_t seen;
};

struct fake_op {
    struct op *op;
    unsigned router;
};

enum { FAKE_EXCHANGES = 8, FAKE_BUFFER = 64 * 1024 };
#define FAKE_VHOST 7u

struct host {
    /* The test's to set. */
    struct host_options options;
    unsigned routers;
    uint64_t interest; /* of every exchange but the default one */
    bool park;         /* publishes must wait, */
    unsigned admitted; /* but for so many */
    bool quiet;        /* nothing is kept of publishes and output is thrown away: for benchmarks */
    size_t backlog;
    size_t buffers_most;
    uint64_t now_ns, random;
    uint16_t local_port;
    struct exchange_row exchange[FAKE_EXCHANGES];
    const char *exchange_name[FAKE_EXCHANGES];
    unsigned exchanges;
    uint64_t exchange_version;
    bool login_waits, entered;
    bool trusted;
    const char *certified;           /* the name in the certificate; or NULL */
    enum host_entry full;            /* why nobody enters the virtual host */
    unsigned channels, channels_max; /* open; 0: any number */
    bool refuse_entry;               /* to the virtual host */
    enum access_right refused_right; /* is not granted on, */
    const char *refused_name;        /* NULL: none */
    const char *refused_topic;       /* likewise, of a routing key */

    /* What the codec did. */
    struct fake_bytes output, transcript, log;
    struct fake_publish *publish;
    struct fake_part *part;
    struct fake_settle *settle;
    struct fake_credit *credit;
    struct fake_op *op; /* sent and not yet answered */
    size_t publishes, parts, settles, credits, ops;
    uint16_t round;    /* of the last RESUME */
    size_t done, lent; /* pages given back, pages lent */
    bool closed;
    uint64_t wake_ns, published_to;
    size_t buffers, buffer_bytes, ops_alive;
    uint8_t *scratch;
    size_t scratch_bytes;
    uint8_t buffer[FAKE_BUFFER]; /* host_reserve's */
    size_t reserved;
};

struct host *fake_host_new(void);
/* Checks that the codec has given back every buffer and op. */
void fake_host_free(struct host *host);
/* An exchange beside the default one and amq.direct. */
void fake_exchange(struct host *host, const char *name, bool internal);
/* Takes the oldest unanswered op; NULL if there is none. */
struct op *fake_take_op(struct host *host, unsigned *router);
/* Forgets what was sent and written. */
void fake_forget(struct host *host);
