/* TLS over the simulated network, or over kernel sockets: a front that sends a pattern and checks one, and
 * the client's end of the stream. */
#pragma once

#include "base/limits.h"
#include "base/prng.h"
#include "tls_client.h"
#include "transport/transport_sim.h"
#include "transport/transport_tls.h"
#include "transport/transport_uring.h"

enum { HANDSHAKE_MS = 2000 };

struct site {
    struct sim_network *network; /* NULL: kernel sockets */
    uint16_t port;
    int fd; /* the client's socket */
    struct tls_context *context;
    struct transport *t;
    struct prng prng;
    uint64_t now_ns, epoch;
    uint64_t client_id;
    /* of the one stream */
    uint64_t stream;
    unsigned accepted;
    bool refuse, keep_paused, paused, wants, closed, lend;
    bool take_all;  /* what comes is used up at once */
    bool take_none; /* or nothing of it */
    size_t offered; /* by the last data() */
    int error;
    size_t received, to_send, sent; /* plain */
};

uint8_t pattern(size_t i);
/* piece_max: bytes that arrive at once; verify: as tls.verify. */
struct site *site_new(const struct tls_files *files, uint64_t seed, uint32_t piece_max, const char *verify);
/* Over kernel sockets. */
struct site *site_new_sockets(const struct tls_files *files);
void site_free(struct site *s);
/* One turn of the front's. */
void site_turn(struct site *s);
/* And one of the client's, who sends at most so many bytes at once. */
void site_both(struct site *s, struct tls_client *c, size_t most);
void site_dial(struct site *s);
/* Until the handshake is done on both sides. */
void site_shake(struct site *s, struct tls_client *c, size_t most);
/* Reads and checks what has come, behind what the client has; returns what it has then. */
size_t site_take(struct tls_client *c, size_t have);
/* Sends more of the pattern; returns what is sent then. */
size_t site_give(struct tls_client *c, size_t sent, size_t most);

#define UNTIL(s, c, most, condition)                                                                         \
    do {                                                                                                     \
        for (unsigned turns_ = 0; !(condition) && turns_ < 200000; turns_++)                                 \
            site_both(s, c, most);                                                                           \
        cr_assert(condition);                                                                                \
    } while (0)
