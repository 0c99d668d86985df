/* A router that is alone in its process, with one virtual host, "/", and the rings to one front and the
 * journal, both of which are the test. */

#pragma once

#include "base/tally.h"
#include "router/agent.h"

#define LONE_VHOST access_vhost_id(span_str("/"))

struct lone_router {
    struct ring *from_front, *to_front, *to_journal, *from_journal;
    struct tallies *tallies;
    struct router *router;
};

/* options: what isn't zero of them counts; those about rings, numbers of threads and first are set here. */
void lone_router_begin(struct lone_router *lone, struct router_options options);
void lone_router_end(struct lone_router *lone);
/* A restart: what stands in the log of the one from `from` on and below `until` becomes the state of the
 * other, a new one without anything, whose log goes on behind. */
void lone_router_replay(struct lone_router *other, struct lone_router *one, uint64_t from, uint64_t until);
