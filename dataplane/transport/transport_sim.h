/*
 * A simulated network between the simulator's clients and the fronts: the contract of transport.h, from one
 * seed, in virtual time, with nothing real below.
 *
 * What it does to the streams (each by chance, within its options): bytes are delayed; arrive in other pieces
 * than they were sent in; independent streams overtake each other; send() takes less than it is given, and
 * sometimes little; memory given to send() is read late, when the bytes arrive. What the simulator does to
 * them through the client's calls: reset (bytes on their way are lost in both directions), vanish (half-open:
 * nothing arrives any more, and nobody is told), deafen (the client stops reading). A broker that is killed
 * (its transports freed) leaves its clients with resets.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/transport.h"

struct sim_network;

struct sim_network_options {
    uint64_t seed;
    uint64_t delay_min_ns, delay_max_ns; /* of each write */
    uint32_t window_min, window_max;     /* bytes on their way and unread, per stream and direction */
    uint32_t piece_max;                  /* most bytes of one data() upcall; at least 1 */
    uint32_t idle_ppm;                   /* how often (of a million) a stream is passed over in a turn */
    uint64_t linger_ns;                  /* close() waits so long for the peer */
};

/* Sensible values with this seed. */
struct sim_network_options sim_network_defaults(uint64_t seed);
struct sim_network *sim_network_new(const struct sim_network_options *options);
/* After its transports. */
void sim_network_free(struct sim_network *network);
/* Time goes on: what is due arrives. transport poll() does it too. */
void sim_advance(struct sim_network *network, uint64_t now_ns);
/* When the next thing happens by itself; UINT64_MAX for never. */
uint64_t sim_deadline(const struct sim_network *network);

/* A front's side. Addresses it listens on are any text; several fronts may share one. */
struct transport *transport_sim_new(struct sim_network *network, struct transport_user up);

/* ---- a client's side ------------------------------------------------------------------------------- */

enum sim_state {
    SIM_OPEN,
    SIM_ENDED,   /* the broker has ended the stream, and all of it has been read */
    SIM_REFUSED, /* nobody listens on the address */
    SIM_RESET,   /* by the broker, or by sim_reset */
};

/* Returns the connection's id, which is never reused; what came of it is seen by sim_state. */
uint64_t sim_connect(struct sim_network *network, const char *address);
enum sim_state sim_state(const struct sim_network *network, uint64_t id);
/* Returns how many bytes the window took. */
size_t sim_write(struct sim_network *network, uint64_t id, struct span bytes);
/* Returns how many bytes there were. */
size_t sim_read(struct sim_network *network, uint64_t id, void *to, size_t room);
/* Ends the stream behind what was written; what the broker sends can still be read. */
void sim_close(struct sim_network *network, uint64_t id);
void sim_reset(struct sim_network *network, uint64_t id);
void sim_vanish(struct sim_network *network, uint64_t id);
/* Deaf: sim_read gives nothing. */
void sim_deafen(struct sim_network *network, uint64_t id, bool deaf);
/* The client doesn't care any more: forgets the id, with a reset if the stream is open and has not vanished.
 */
void sim_forget(struct sim_network *network, uint64_t id);
