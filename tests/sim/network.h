/*
 * What is between the clients and the broker: either the simulated streams of transport_sim.h, or a LAN
 * (lan.h) on which both ends are stacks of our own TCP. Clients, taps and site call this; nobody else knows
 * which it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/transport_sim.h"

struct network;

struct network *network_new(const struct sim_network_options *options);
/* Over TCP. */
struct network *network_new_lan(uint64_t seed);
/* After its transports. */
void network_free(struct network *network);
bool network_is_lan(const struct network *network);
/* A step begins. */
void network_advance(struct network *network, uint64_t now_ns);
/* When the next thing happens by itself; UINT64_MAX for never. */
uint64_t network_deadline(const struct network *network);
/* Nothing is on its way to the broker. */
bool network_quiet(const struct network *network);
/* No frame is on its way over TCP, though timers may run. Always false for streams. */
bool network_is_silent(const struct network *network);
/* It does no harm any more. */
void network_calm(struct network *network);

/* ---- the broker's side ------------------------------------------------------------------------------- */

/* What its fronts listen on. */
const char *network_address(const struct network *network);
struct transport *network_transport(struct network *network, struct transport_user up);
void network_transport_free(struct network *network, struct transport *transport);
/* The client's name for a stream that a front has accepted; from NETWORK_GHOSTS on: no client's. */
enum { NETWORK_GHOSTS = 1 << 30 };
uint64_t network_accepted(struct network *network, uint64_t stream, const char *peer);
/* Whether a client still has it: over TCP it may be accepted when it has been given up. */
bool network_knows(const struct network *network, uint64_t stream);
/* The broker is about to be killed: perhaps nothing that it says from now on gets out. */
void network_dies(struct network *network);

/* ---- the clients' side: as in transport_sim.h ---------------------------------------------------------- */

/* client: its number. */
uint64_t network_connect(struct network *network, unsigned client);
enum sim_state network_state(const struct network *network, uint64_t id);
size_t network_write(struct network *network, uint64_t id, struct span bytes);
size_t network_read(struct network *network, uint64_t id, void *to, size_t room);
void network_close(struct network *network, uint64_t id);
void network_reset(struct network *network, uint64_t id);
void network_vanish(struct network *network, uint64_t id);
void network_deafen(struct network *network, uint64_t id, bool deaf);
void network_forget(struct network *network, uint64_t id);
