/*
 * Kernel TCP sockets for one front, and Unix sockets ("unix:DIRECTORY/NAME"). The io_uring is the event loop:
 * it accepts (multishot) and says which sockets can be read or written (multishot poll); the bytes themselves
 * go through plain non-blocking recv and sendmsg calls of up to RX_READ_MAX bytes, which at these sizes cost
 * no more than the ring's own (measured; README.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "transport/transport.h"

struct transport_uring_options {
    const char *agent;    /* names the front in the log; outlives the transport */
    bool shared;          /* other fronts listen on the same addresses: SO_REUSEPORT */
    uint32_t streams_max; /* more connections than this are closed as they come */
    uint32_t
        linger_ms; /* how long close() waits for the peer to take what was sent, 0 for the default of 5 s */
};

/* Returns NULL and says why in error if the kernel gives no io_uring. All but listen() is called on one
 * thread, the one that first polls. */
struct transport *transport_uring_new(const struct transport_uring_options *options, struct transport_user up,
                                      char *error, size_t error_size);
