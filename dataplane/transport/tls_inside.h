/* What the files of the transport over TLS share: transport_tls.c (the turn, the table of calls) and
 * tls_stream.c (one stream: handshake, decrypting, its end). Included by nobody else. */
#pragma once

#include <stdatomic.h>
#include <sys/queue.h>

#include "base/slots.h"
#include "transport/output.h"
#include "transport/rx.h"
#include "transport/transport_tls.h"

/* A stream with more encrypted bytes than this on their way takes no more. */
#define TLS_HIGH_BYTES (OUTPUT_HIGH_BYTES / 4)
/* The most of one record (RFC 8446, section 5.1). */
#define TLS_RECORD_BYTES (TLS_HIGH_BYTES < 16384u ? TLS_HIGH_BYTES : 16384u)

enum tls_state {
    TLS_SHAKING, /* hands; the owner doesn't know it */
    TLS_OPEN,
    TLS_CLOSING, /* what is encrypted goes out, then the stream below is closed; what comes is thrown away */
    TLS_GONE,    /* freed at the end of the turn: it may be on the stack */
};

/* Owner: the transport. */
struct tls_stream {
    struct tls *tls;
    uint64_t id;        /* the owner's name for it */
    uint64_t below;     /* that of the transport below */
    void *user;         /* the owner's */
    struct ssl_st *ssl; /* NULL until the first byte; made with: */
    struct tls_context *context;
    struct span in;       /* handed up by the transport below and not yet read; in that upcall only */
    struct output out;    /* encrypted */
    struct rx_rest rest;  /* decrypted, not used up */
    uint64_t sent;        /* bytes, ever, before encryption */
    uint64_t deadline_ns; /* of the handshake, of closing */
    int tag;
    int error; /* what closed() is to say when all before the end has been handed up */
    uint8_t state;
    bool paused;
    bool replay;       /* resumed: the rest comes again even if nothing new does */
    bool held;         /* the stream below is paused */
    bool blocked;      /* send() took less than it was given */
    bool ended;        /* nothing more can be decrypted */
    bool broken;       /* nothing can be encrypted: ends when next served */
    bool told;         /* the owner knows no more of it */
    bool below_closed; /* close() was called there */
    bool listed, dirty, lagging;
    TAILQ_ENTRY(tls_stream) ready, unsent, lag, time;
    char peer[ADDRESS_TEXT], local[ADDRESS_TEXT];
};

TAILQ_HEAD(tls_list, tls_stream);

/* Owner: the front, on its thread; freed by its transport's free(). */
struct tls {
    struct transport base;
    struct transport *below;
    struct transport_tls_options options;
    struct tls_context *context;           /* of the next stream */
    _Atomic(struct tls_context *) offered; /* the one to come, or NULL */
    uint64_t linger_ns;
    uint64_t now_ns; /* of the last poll */
    struct bio_method_st *bio;
    struct slots streams;
    struct rx rx; /* of decrypted bytes */
    struct output_pool pool;
    struct tls_list ready;            /* to be served in the next turn */
    struct tls_list unsent;           /* to be sent when the owner's turn ends */
    struct tls_list lagging;          /* blocked though all is sent: only released() tells when it goes on */
    struct tls_list shaking, closing; /* by deadline */
    struct tls_list dead;
    uint32_t ready_count, shaking_count;
    uint64_t below_epoch, below_released;
    unsigned shakes; /* steps of handshakes in this turn */
    bool starved;    /* every receive chunk is in use */
    uint8_t scratch[TLS_RECORD_BYTES];
};

/* What OpenSSL reads and writes through; its data is the stream. */
struct bio_method_st *tls_bio_new(void);
void tls_bio_free(struct bio_method_st *method);

struct tls_stream *tls_stream_new(struct tls *t, uint64_t below, int tag, const char *peer,
                                  const char *local);
/* Nobody knows it any more; no upcall. The stream below is gone or aborted. */
void tls_stream_bury(struct tls_stream *s);
/* Frees those that are buried. */
void tls_reap(struct tls *t);

/* It has nothing to do: its record buffers are given back, where nothing is in them. An idle stream
 * has none, a busy one doesn't ask for them again at each record. */
void tls_rest(struct tls_stream *s);
/* The stream has something to be done for it in the next turn. */
void tls_list(struct tls_stream *s);
/* Lets the stream below be read from, or not, as things stand. */
void tls_settle(struct tls_stream *s);
/* One step of the handshake with what is in `in`. */
void tls_shake(struct tls_stream *s);
/* Decrypts what there is and hands it up. */
void tls_pump(struct tls_stream *s);
/* Returns whether it could; at most TLS_RECORD_BYTES. */
bool tls_encrypt(struct tls_stream *s, struct span plain);
/* Gives the transport below what it takes. */
void tls_drain(struct tls_stream *s);
/* Tells the peer of the end, and closes when all is out. told: the owner is not to be told. */
void tls_close(struct tls_stream *s, bool told);
/* Ends it for the owner, then for the peer. */
void tls_end(struct tls_stream *s, int error);
/* The stream below is given up at once; why: for the log, or NULL. */
void tls_drop(struct tls_stream *s, const char *why);
