/* What the files of the transport over WebSocket share: transport_ws.c (the turn, the table of calls),
 * ws_stream.c (one stream: its request, what is handed up and sent, its end) and ws_frame.c (frames as they
 * come, by libwslay). Included by nobody else. */
#pragma once

#include <sys/queue.h>

#include "base/slots.h"
#include "transport/output.h"
#include "transport/rx.h"
#include "transport/transport_ws.h"
#include "transport/utf8.h"

/* A stream with more bytes than this on their way takes no more. */
#define WS_HIGH_BYTES (OUTPUT_HIGH_BYTES / 4)
/* With more on their way than this, only the latest ping is answered (RFC 6455, section 5.5.3). */
#define WS_PONGS_BYTES (WS_HIGH_BYTES / 16)

enum ws_code { /* section 7.4.1 */
               WS_CODE_NONE = 0,
               WS_CODE_NORMAL = 1000,
               WS_CODE_GOING_AWAY = 1001,
               WS_CODE_PROTOCOL = 1002,
               WS_CODE_UNSUPPORTED = 1003,
               WS_CODE_NO_TEXT = 1007,
               WS_CODE_TOO_BIG = 1009,
};

enum ws_opcode { WS_MORE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum { WS_CONTROL_MAX = 125 /* payload */ };

enum ws_state {
    WS_SHAKING, /* hands; the owner doesn't know it */
    WS_OPEN,
    WS_CLOSING, /* what is to be sent goes out, then the stream below is closed; what comes is thrown away */
    WS_GONE,    /* freed when the transport below looks at nothing of it any more */
};

/* Reads frames. A stream has one from the first byte of a frame to its last. Owner: a stream, or the pool. */
struct ws_reader {
    struct wslay_frame_context *context;
    struct ws_reader *next; /* in the pool */
    struct ws_stream *stream;
    uint64_t fed;        /* bytes that libwslay has of the frame, with its header, and behind it */
    uint64_t got;        /* bytes of the frame's payload that have come out */
    struct span payload; /* data that has come out and not been handed up; stays until the next step */
    uint8_t control_len;
    uint8_t control[WS_CONTROL_MAX];
};

/* What is known of a stream while its request comes. */
struct ws_hello {
    size_t seen;
    char local[ADDRESS_TEXT];
};

/* Owner: the transport. */
struct ws_stream {
    struct ws *ws;
    uint64_t id;              /* the owner's name for it */
    uint64_t below;           /* that of the transport below */
    void *user;               /* the owner's */
    struct ws_hello *hello;   /* SHAKING only */
    struct ws_reader *reader; /* in the middle of a frame only */
    struct span in;           /* handed up by the transport below and not yet read; in that upcall only */
    struct output out;        /* frames; of messages the payload is lent by the owner */
    struct rx_rest rest;      /* payload, not used up */
    uint64_t released;        /* bytes lent by the owner, ever, that are out */
    uint64_t message;         /* bytes of the message that comes, as far as its frames have begun */
    uint64_t deadline_ns;     /* of the handshake, of closing */
    uint8_t *pong;            /* a frame that waits until all before it is out, or NULL */
    const char *why;          /* the reason of what ends it, for the peer */
    int tag;
    int error;     /* what closed() is to say when all before the end has been handed up */
    uint16_t code; /* what ends it, of enum ws_code or the peer's */
    uint8_t state;
    uint8_t opcode;   /* of the message that comes; WS_MORE: none does */
    struct utf8 utf8; /* of it, if it is text */
    bool text;        /* the last that came was */
    bool paused;
    bool replay;       /* resumed: the rest comes again even if nothing new does */
    bool held;         /* the stream below is paused */
    bool blocked;      /* send() took less than it was given */
    bool ended;        /* no frame is read any more */
    bool farewell;     /* our close frame is in `out` */
    bool told;         /* the owner knows no more of it */
    bool below_closed; /* close() was called there */
    bool listed, owing;
    TAILQ_ENTRY(ws_stream) ready, owe, time;
    char peer[ADDRESS_TEXT];
};

TAILQ_HEAD(ws_list, ws_stream);

/* Owner: the front, on its thread; freed by its transport's free(). */
struct ws {
    struct transport base;
    struct transport *below;
    struct transport_ws_options options;
    uint64_t linger_ns;
    uint64_t now_ns; /* of the last poll */
    struct slots streams;
    struct rx rx; /* of payload */
    struct output_pool pool;
    struct ws_reader *readers;       /* free ones */
    unsigned reader_count;           /* of them */
    struct ws_list ready;            /* to be served in the next turn */
    struct ws_list owing;            /* what they sent is not released below: only asking tells when it is */
    struct ws_list shaking, closing; /* by deadline */
    struct ws_list dead;
    uint32_t ready_count, owing_count, shaking_count;
    uint64_t below_epoch, below_released;
    bool starved;  /* every receive chunk is in use */
    bool stopping; /* a clean end has begun */
};

/* ---- ws_frame.c ---- */

/* The next bytes of a message stand in s->reader->payload. Returns false if more must come first, or the
 * stream has ended. */
bool ws_frame_read(struct ws_stream *s);
/* The stream needs it no more. */
void ws_reader_give(struct ws_stream *s);
void ws_readers_free(struct ws *t);
/* The header of an unmasked, whole message of so many bytes; returns the byte behind it. */
uint8_t *ws_frame_put(uint8_t *to, enum ws_opcode opcode, uint64_t bytes);
enum { WS_HEADER_MAX = 10 };

/* ---- ws_stream.c ---- */

struct ws_stream *ws_stream_new(struct ws *t, uint64_t below, int tag, const char *peer, const char *local);
/* Nobody is told of it any more; no upcall. The stream below is gone or aborted. */
void ws_stream_bury(struct ws_stream *s);
/* Frees those that are buried; all: the transport below is gone. */
void ws_reap(struct ws *t, bool all);

/* The stream has something to be done for it in the next turn. */
void ws_list(struct ws_stream *s);
/* Lets the stream below be read from, or not, as things stand. */
void ws_settle(struct ws_stream *s);
/* Looks at the request in `in`. */
void ws_shake(struct ws_stream *s);
/* Reads frames and hands up what they carry; or throws it away. */
void ws_pump(struct ws_stream *s);
/* Gives the transport below what it takes. Returns whether released() has grown. */
bool ws_drain(struct ws_stream *s);
/* A ping has come, with this payload. */
void ws_answer_ping(struct ws_stream *s, struct span payload);
/* Nothing more is read of it. error: for the owner; code, why: for the peer. */
void ws_finish(struct ws_stream *s, int error, uint16_t code, const char *why);
/* Takes leave of the peer, and closes when all is out (and, if the peer has not taken leave yet, when it
 * has). told: the owner is not to be told. */
void ws_close(struct ws_stream *s, bool told);
/* The stream below is given up at once; why: for the log, or NULL. */
void ws_drop(struct ws_stream *s, const char *why);

static inline const struct ws_speech *ws_speech_of(const struct ws_stream *s)
{
    return &s->ws->options.speech[s->tag];
}
