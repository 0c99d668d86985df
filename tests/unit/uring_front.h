/*
 * A front that the transport over kernel sockets talks to, which remembers what it is told; and the other
 * end: plain blocking sockets on the loopback interface.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/transport_uring.h"

enum { STREAMS = 64, KEEP = 1 << 20 };

/* What the fake front knows of a stream. */
struct seen {
    uint64_t stream;
    size_t bytes;     /* used up */
    size_t offered;   /* by the last data() */
    unsigned upcalls; /* of data() */
    bool writable, closed;
    int error;
    char peer[ADDRESS_TEXT], local[ADDRESS_TEXT];
    uint8_t kept[KEEP]; /* the first bytes used up */
};

/* How the fake front behaves. */
struct fake {
    struct transport *t;
    struct seen *seen;
    unsigned accepted;
    int tag;
    bool refuse;
    bool pause_on_data;
    size_t frame; /* data() uses up multiples of it; 0: nothing */
    bool lend;    /* epochs are not given back by itself */
    uint64_t epoch;
};
uint64_t clock_ns(void);
struct fake *fake_new(uint32_t streams_max);
void fake_free(struct fake *f);
/* One turn as the broker's thread makes it. Returns the work found. */
unsigned turn(struct fake *f, int wait_ms);
void turn_for(struct fake *f, unsigned ms);

#define UNTIL(f, condition)                                                                                  \
    do {                                                                                                     \
        uint64_t until_ns = clock_ns() + 10000000000ull;                                                     \
        while (!(condition) && clock_ns() < until_ns)                                                        \
            turn(f, 20);                                                                                     \
        cr_assert(condition);                                                                                \
    } while (0)

/* Listens on an address whose port is 0; returns the port. */
uint16_t listen_on(struct fake *f, const char *address, int tag);
int dial(uint16_t port);
void put(int fd, const void *bytes, size_t n);
/* Sends n bytes without waiting for the other side; returns how many went. */
size_t put_some(int fd, size_t n);
