/*
 * A transport carries ordered byte streams for one front, on the front's thread. The front knows nothing of
 * what is below: kernel sockets, our own TCP, the simulator's wire, or a wrapper of these.
 *
 * Received bytes are handed up in place and stay where they are until the front says that it (and every
 * router it told of them) is done with the buffer: buffers are numbered in epochs, and rx_release(e) gives
 * back all that was handed up with an epoch of e or less.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/span.h"

struct transport;

enum { ADDRESS_TEXT = 64 }; /* "[2001:db8::1]:5672" and its NUL fit */

/* Which name in a certificate says who has shown it. */
enum certificate_name { CERTIFICATE_NONE, CERTIFICATE_COMMON_NAME, CERTIFICATE_DNS, CERTIFICATE_EMAIL };

/* Upcalls, made from within poll only. `user` is what accepted() returned for the stream. */
struct transport_user {
    void *owner;
    /* A peer has connected to the listener with this tag. stream: its name in calls below. peer, local: their
     * addresses as text, copied if kept. Returns the front's name for the stream, or NULL to refuse it (it is
     * then closed). */
    void *(*accepted)(void *owner, uint64_t stream, int tag, const char *peer, const char *local);
    /* Bytes have arrived. Returns how many of them are used up; the rest is kept by the transport and comes
     * again in one piece with what follows it, or alone after resume(). */
    size_t (*data)(void *owner, void *user, struct span bytes, uint64_t epoch);
    /* What connect() began is open. NULL for an owner that only listens. */
    void (*connected)(void *owner, void *user);
    /* send() would take more again, after having taken less than it was given, or released() has grown. */
    void (*writable)(void *owner, void *user);
    /* The stream is gone (error: 0 for an orderly end by the peer, or an errno); the last upcall for it. Not
     * called after abort(); called once what was sent is through, or given up, after close(). */
    void (*closed)(void *owner, void *user, int error);
};

struct transport_ops {
    /* Begins to listen on "127.0.0.1:5672", "[::1]:5672" or, where the transport has it, a name of its own.
     * Returns 0, or -1 with one sentence in error. Port 0 asks for a free one; *port is the one in use. At
     * start only: may block. */
    int (*listen)(struct transport *t, const char *address, int tag, uint16_t *port, char *error,
                  size_t error_size);
    /* Begins a stream to "10.0.0.2:5672"; connected() or closed() tells what came of it. user: the owner's
     * name for it. Returns the stream, or 0 with one sentence in error. NULL: this transport only listens. */
    uint64_t (*connect)(struct transport *t, const char *address, void *user, char *error, size_t error_size);
    /* No new streams until it is called with false: peers that connect are refused as if nobody listened.
     * NULL: the owner refuses them one by one. */
    void (*rest)(struct transport *t, bool rests);
    /* No more new streams (a clean end begins). */
    void (*stop_listening)(struct transport *t);
    /* One turn: accepts, reads what is ready, makes the upcalls. Never blocks. Returns the work found. */
    unsigned (*poll)(struct transport *t, uint64_t now_ns);
    /* What was sent since, and what is owed to peers, goes out now: the end of the owner's turn. NULL: send()
     * sends. */
    void (*flush)(struct transport *t);
    /* Takes bytes to send, in order; returns how many of them it took (0 and up). Bytes taken stay lent until
     * released() counts them. */
    size_t (*send)(struct transport *t, uint64_t stream, const struct iovec *iov, int n);
    /* How many of the bytes ever taken by send() are no longer looked at. Sockets copy: always all of them.
     */
    uint64_t (*released)(struct transport *t, uint64_t stream);
    /* No data() for the stream until resume(). resume() makes the kept rest come again, at the next poll. */
    void (*pause)(struct transport *t, uint64_t stream);
    void (*resume)(struct transport *t, uint64_t stream);
    /* Ends the stream when all that send() took is out; closed() follows. No data() comes any more. */
    void (*close)(struct transport *t, uint64_t stream);
    /* Ends the stream at once. No upcall comes any more. */
    void (*abort)(struct transport *t, uint64_t stream);
    /* The name in the certificate that the peer has shown, which was found good; returns its bytes, 0: there
     * is none. NULL for a transport without certificates. */
    size_t (*certified)(struct transport *t, uint64_t stream, enum certificate_name which, uint8_t *to,
                        size_t room);
    void (*rx_release)(struct transport *t, uint64_t epoch);
    /* A descriptor that polls readable when poll() would find work, or -1 for a transport that must be
     * polled. */
    int (*wait_fd)(struct transport *t);
    void (*free)(struct transport *t);
};

/* Every transport begins with this. */
struct transport {
    const struct transport_ops *ops;
    struct transport_user up;
    bool encrypted; /* what it carries is TLS on its way */
};
