/* What the files of the LAN share. storage_sim.h has a struct sim_faults too: not included together. */
#pragma once

#include "base/prng.h"
#include "lan.h"
#include "tcp/device_sim.h"
#include "tcp/stack.h"

enum { LAN_CLIENTS = 8, LAN_FRONTS = 4, LAN_PORT = 5672, LAN_TEXT = 64 };

/* A stack on the wire. */
struct host {
    struct device *device; /* NULL: switched off */
    struct stack *stack;
    struct ip_address address;
    unsigned generation;         /* of a client's: part of the address */
    struct transport *transport; /* a front's */
    uint64_t plugged_ns;         /* unplugged until then; 0: it is not */
};

/* What was written, lent to TCP until it is acknowledged. */
struct piece {
    struct piece *next;
    uint64_t end; /* of all bytes ever written, where this one ends */
    uint8_t bytes[];
};

/* A client's end of a connection. Freed when the client has forgotten it, and its stack too. */
struct lan_stream {
    struct lan *lan;
    uint64_t id, conn;
    struct host *host;   /* NULL: switched off */
    char peer[LAN_TEXT]; /* as the broker is told */
    enum sim_state state;
    bool open;    /* connected, and neither gone nor closed */
    bool closing; /* by the client */
    bool gone;    /* for TCP */
    bool ended;   /* by the broker */
    bool kept;    /* TCP has data that wasn't taken */
    bool deaf, forgotten, accepted;
    uint64_t written;
    struct piece *first, **end;
    uint8_t *in; /* arrived, not read */
    size_t in_len, window;
};

/* What the seed draws of the wire's and the hosts' ways. */
struct lan_plan {
    struct sim_faults faults;
    bool v6, small; /* small: devices have few buffers */
    uint32_t rto_min_us, give_up_ms, keepalive_ms;
    uint32_t idle_ppm;      /* a client's host has no turn */
    uint32_t partition_ppm; /* in a step */
    uint64_t partition_ns;  /* at most */
    size_t window;          /* of a client, at most */
};

struct lan {
    struct prng prng;
    struct lan_plan plan;
    struct sim_wire *wire;
    uint64_t now_ns;
    bool calm;
    struct host front[LAN_FRONTS], client[LAN_CLIENTS];
    struct lan_stream **stream;  /* by id - 1; NULL: gone */
    size_t streams, room, first; /* those before first are all gone */
    uint64_t ghosts;
};

/* lan.c */
/* who: the last byte of its addresses; generation: the one before. */
void host_on(struct lan *lan, struct host *host, unsigned who, bool broker);
void host_off(struct host *host);
struct ip_address lan_host_address(const struct lan *lan, unsigned generation, unsigned who);
struct lan_stream *lan_find(const struct lan *lan, uint64_t id);
/* lan_client.c */
void lan_stream_free(struct lan_stream *s);
/* Forgets it where nobody knows it any more. */
void lan_reap(struct lan *lan);
