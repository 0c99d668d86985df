/* What the files of the simulated network share: sim_network.c (time, and the clients' side) and
 * transport_sim.c (the fronts' side). Included by nobody else. */
#pragma once

#include "base/prng.h"
#include "transport/rx.h"
#include "transport/sim_pipe.h"
#include "transport/transport_sim.h"

enum { ADDRESSES_MAX = 16 };

/* What the broker's side knows of a stream. */
enum side { SIDE_COMING, SIDE_OPEN, SIDE_CLOSING, SIDE_GONE };

/* Both ends of one connection. Freed when neither side knows it. */
struct sim_stream {
    uint64_t id;
    struct sim_pipe in, out; /* to the broker, to the client */
    /* the broker's side */
    struct sim *owner; /* NULL: gone */
    int tag;
    void *user;
    struct rx_rest rest;
    enum side side;
    uint64_t deadline_ns; /* CLOSING */
    uint64_t reset_at_ns; /* the client's reset arrives; UINT64_MAX: none */
    uint64_t sent;        /* bytes, ever */
    bool paused, replay, blocked;
    bool lends; /* send() keeps pointers */
    /* the client's side */
    enum sim_state state;
    uint64_t accept_at_ns;
    bool deaf, vanished, forgotten;
    uint64_t client_reset_at_ns; /* the broker's reset arrives */
};

/* One front's transport. */
struct sim {
    struct transport base;
    struct sim_network *network;
    struct rx rx;
    char address[ADDRESSES_MAX][ADDRESS_TEXT];
    int tag[ADDRESSES_MAX];
    unsigned addresses;
    struct sim *next;
};

struct sim_network {
    struct sim_network_options options;
    struct prng prng;
    uint64_t now_ns;
    struct sim *transports;
    struct sim_stream **stream;  /* by id - 1; NULL: gone */
    size_t streams, room, first; /* those before first are all gone */
};

/* NULL: no such id any more. */
struct sim_stream *sim_find(const struct sim_network *network, uint64_t id);
/* A time of arrival for what is sent now. */
uint64_t sim_due(struct sim_network *network);
/* Frees what neither side knows any more. */
void sim_drop_if_gone(struct sim_network *network, struct sim_stream *s);
