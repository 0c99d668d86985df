/* What the files of the transport over kernel sockets share: transport_uring.c (listening, the turn, the
 * table of calls) and uring_stream.c (reading, ending). Included by nobody else. */
#pragma once

#include "transport/address.h"
#include "transport/loop_uring.h"
#include "transport/rx.h"
#include "transport/streams.h"
#include "transport/transport.h"

enum { LISTENERS_MAX = 64 };

/* What an event of the loop is of; kept in bits of a stream's id that its slot leaves free. */
enum tag {
    TAG_INPUT,  /* of a stream: recv would find something */
    TAG_OUTPUT, /* of a stream: send would take something */
    TAG_RESET,  /* of a stream that may not be read from */
    TAG_ACCEPT,
    TAG_TICK,
    TAG_KICK,
    TAG_NONE,
};

static_assert(TAG_NONE < 1 << (32 - STREAM_SLOT_BITS), "a tag fits beside a slot");

struct listener {
    int fd;
    int tag; /* the front's */
    bool armed;
    bool resting;         /* the last accept failed; tried again at the next tick */
    bool deaf;            /* nor does it listen, */
    struct address bound; /* where it is to, after a rest */
};

/* Owner: the front, on its thread; freed by its transport's free(). */
struct uring {
    struct transport base;
    struct loop *loop;
    struct rx rx;
    struct streams streams;
    struct stream_list ready;
    struct stream_list lingering; /* by deadline */
    struct listener listeners[LISTENERS_MAX];
    unsigned listener_count;
    const char *agent;
    bool shared;
    uint32_t streams_max;
    uint64_t linger_ns;
    uint64_t now_ns; /* of the last poll */
    uint64_t complain_at_ns;
    uint32_t ready_count;
    size_t share; /* bytes that a stream may read in this turn */
    bool started, stopped, rests, polling, ticking, kicked;
    bool starved; /* every receive chunk is in use */
};

static inline struct uring *uring_of(struct transport *base)
{
    return (struct uring *)base;
}

static inline uint64_t uring_name(uint64_t id, enum tag tag)
{
    return id | (uint64_t)tag << STREAM_SLOT_BITS;
}

/* Makes wait_fd readable, if it is not: there is work that no descriptor tells of. */
void uring_kick(struct uring *t);
/* Outside of poll nothing else would submit before the thread sleeps. */
void uring_submit(struct uring *t);

/* The stream has something to be done for it in the next turn. */
void uring_list(struct uring *t, struct stream *s);
/* Asks for the event that comes next, if it is not asked for. */
void uring_watch(struct uring *t, struct stream *s, enum tag tag);
/* Ends the stream without an upcall; from here on only the loop may still know it. */
void uring_detach(struct uring *t, struct stream *s, bool reset);
/* The same, with the upcall. */
void uring_finish(struct uring *t, struct stream *s, int error, bool reset);
/* Gives each listed stream its share. Returns the work found. */
unsigned uring_read_ready(struct uring *t);
/* An event of a stream. */
void uring_on_watched(struct uring *t, uint64_t id, enum tag tag, int result);
