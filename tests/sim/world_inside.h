/* What the files of the world share. */
#pragma once

#include "client.h"
#include "guard_party.h"
#include "model.h"
#include "mqtt_party.h"
#include "overseer.h"
#include "site.h"
#include "stomp_party.h"
#include "world.h"

enum { CLIENTS = PLAN_CLIENTS + 1 }; /* the last one empties the queues */

struct world {
    struct world_options options;
    struct prng prng;
    struct plan plan;
    struct network *network;
    struct taps *taps;
    struct site *site;
    struct model *model;
    struct overseer overseer;
    struct clients shared;
    struct mqtt_party *mqtt;   /* NULL: nobody speaks MQTT */
    struct stomp_party *stomp; /* the same of STOMP */
    struct guard_party *guard; /* NULL: nobody's permissions change */
    struct client clients[CLIENTS];
    uint64_t now_ns, step;
    uint64_t down_until; /* step */
    bool acts;           /* clients do things in this step */
    uint64_t hush_until; /* step: clients do nothing */
    unsigned quiet;      /* steps in a row in which the broker had nothing to do */
    unsigned still;      /* steps in a row with nothing to come soon */
    struct sim_faults faults;
    uint64_t slow_until, full_until; /* steps */
    uint64_t kill_by;                /* step; 0: no kill is due */
    unsigned kill_blocks;            /* of writes under way, that it waits for until then */
    uint64_t kill_rejected;          /* as the model counts, when the kill was decided on */
    enum sim_crash crash;
};

/* One step of everything but the clients' own will. Returns whether the broker has had nothing to do. */
bool world_step(struct world *world);
/* The broker is killed, and the model told. */
void world_kill(struct world *world, enum sim_crash crash);
/* troubles.c: something befalls the broker, perhaps. */
void trouble_step(struct world *world);
/* No more of it. */
void trouble_end(struct world *world);
/* ending.c: from the calm on. */
void world_end(struct world *world);
