/* WebSocket over the simulated network: a front that sends a pattern from memory that it lends and checks the
 * one it gets, and a client that makes its frames byte by byte, right or wrong. */
#pragma once

#include "base/limits.h"
#include "base/prng.h"
#include "transport/transport_sim.h"
#include "transport/transport_ws.h"

enum { HANDSHAKE_MS = 2000, TAG_BINARY = 0, TAG_ANY = 1, MESSAGE_MAX = 1 << 20 };
enum { FIN = 0x80, RSV = 0x40, MORE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

struct buffer {
    uint8_t *at;
    size_t len, room, from;
};

/* What the front has lent. */
struct loan {
    uint8_t *at;
    size_t len;
    struct loan *next;
};

struct frame {
    uint8_t first; /* FIN | opcode */
    size_t len;
    const uint8_t *at; /* until the next one is taken */
};

struct site {
    struct sim_network *network;
    struct transport *t;
    struct prng prng;
    uint64_t now_ns, epoch, client_id;
    struct buffer out, in; /* the client's */
    /* of the one stream */
    uint64_t stream;
    unsigned accepted;
    int tag;
    bool refuse, keep_paused, paused, wants, closed, lend;
    bool take_all, take_none;
    bool any; /* what comes is kept in `got` and not compared with the pattern */
    struct buffer got;
    size_t offered; /* by the last data() */
    int error;
    size_t received, to_send, sent, given_back;
    struct loan *loans, **loans_end;
};

uint8_t pattern(size_t i);
/* piece_max: bytes that arrive at once. origins: as web.origins, or NULL for none named. */
struct site *site_new(uint64_t seed, uint32_t piece_max, const char *origin);
void site_free(struct site *s);
/* One turn of the front's. */
void site_turn(struct site *s);
/* And one of the client's, who sends at most so many bytes at once. */
void site_both(struct site *s, size_t most);
void site_dial(struct site *s, int tag);
/* Dials, and is welcome. */
void site_shake(struct site *s, int tag);
/* What the front sends and lends. */
size_t site_send(struct site *s, const void *bytes, size_t n);

void buffer_add(struct buffer *buffer, const void *bytes, size_t n);
/* The client's bytes. */
void client_say(struct site *s, const char *text);
/* A masked frame; first: FIN | RSV | opcode. */
void client_frame(struct site *s, uint8_t first, const void *bytes, size_t n);
/* Takes the next frame that has come; false: it has not come whole. */
bool client_take(struct site *s, struct frame *frame);
/* Takes the head of the answer; the text up to and with its blank line. NULL: it has not come. */
const char *client_head(struct site *s);
/* The status code of a close frame; 0: none. */
unsigned close_code(const struct frame *frame);

/* condition: asked until it holds, and not again. */
#define UNTIL(s, most, condition)                                                                            \
    do {                                                                                                     \
        bool holds_ = false;                                                                                 \
        for (unsigned turns_ = 0; !holds_ && turns_ < 200000; turns_++) {                                    \
            site_both(s, most);                                                                              \
            holds_ = (condition);                                                                            \
        }                                                                                                    \
        cr_assert(holds_, "%s", #condition);                                                                 \
    } while (0)
