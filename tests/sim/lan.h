/*
 * A LAN: a host for each client and one for each front of the broker, all with stacks of our own TCP, on the
 * hostile wire of tcp/device_sim.h. One seed decides what the wire does (loss, duplicates, damage,
 * reordering, delay, partitions), what the devices can, how small the stacks' tables are, and IPv4 or IPv6.
 *
 * The calls are those of transport_sim.h, with what real hosts do: a vanished client's host is switched off,
 * and comes back with its address or with another one; a killed broker's fronts send resets, or nothing;
 * streams of a client who learns nothing end by keepalive or retransmissions in vain.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/transport_sim.h"

#define LAN_LISTEN "0.0.0.0:5672"

struct lan;

struct lan *lan_new(uint64_t seed);
void lan_free(struct lan *lan);
/* Frames arrive; the clients' hosts have their turn; perhaps something breaks. */
void lan_advance(struct lan *lan, uint64_t now_ns);
uint64_t lan_deadline(const struct lan *lan);
/* No frame is on its way. */
bool lan_is_silent(const struct lan *lan);
/* And all that clients wrote was acknowledged. */
bool lan_quiet(const struct lan *lan);
/* From now on the wire is good. */
void lan_calm(struct lan *lan);

/* lan_broker.c: for the fronts, each on a host of its own. */
struct transport *lan_transport(struct lan *lan, struct transport_user up);
void lan_transport_free(struct lan *lan, struct transport *transport);
uint64_t lan_accepted(struct lan *lan, const char *peer);
bool lan_knows(const struct lan *lan, uint64_t id);
void lan_dies(struct lan *lan);

/* lan_client.c */
uint64_t lan_connect(struct lan *lan, unsigned client);
enum sim_state lan_state(const struct lan *lan, uint64_t id);
size_t lan_write(struct lan *lan, uint64_t id, struct span bytes);
size_t lan_read(struct lan *lan, uint64_t id, void *to, size_t room);
void lan_close(struct lan *lan, uint64_t id);
void lan_reset(struct lan *lan, uint64_t id);
void lan_vanish(struct lan *lan, uint64_t id);
void lan_deafen(struct lan *lan, uint64_t id, bool deaf);
void lan_forget(struct lan *lan, uint64_t id);
