#include "stomp_party.h"

#include <assert.h>
#include <stdlib.h>

#include "base/check.h"
#include "history.h"
#include "lan_inside.h"
#include "network.h"
#include "stomp_client.h"
#include "tap.h"

static_assert((int)ST_CLIENTS == STOMP_PLAN_CLIENTS && (int)ST_QUEUES == STOMP_PLAN_QUEUES,
              "the plan's are there");

struct stomp_party *stomp_party_new(const struct stomp_plan *plan, struct clients *all, uint64_t seed)
{
    /* Hosts that no client of AMQP has. */
    static const unsigned hosts[ST_CLIENTS + 1] = {LAN_CLIENTS - 1, 5, 4, LAN_CLIENTS - 1};
    if (!plan->clients)
        return NULL;
    struct stomp_party *party = calloc(1, sizeof *party);
    CHECK(party);
    party->network = all->network;
    party->taps = all->taps;
    party->plan = plan;
    party->all = all;
    party->model = stomp_model_new();
    prng_seed(&party->prng, seed);
    for (unsigned i = 0; i <= ST_CLIENTS; i++) {
        party->clients[i].party = party;
        party->clients[i].number = i;
        party->clients[i].host = hosts[i];
    }
    return party;
}

void stomp_party_free(struct stomp_party *party)
{
    if (!party)
        return;
    for (unsigned i = 0; i <= ST_CLIENTS; i++)
        stomp_client_free(&party->clients[i]);
    stomp_model_free(party->model);
    free(party->ghosts);
    free(party);
}

void stomp_party_act(struct stomp_party *party)
{
    for (unsigned i = 0; party && i < party->plan->clients; i++)
        if (prng_chance(&party->prng, party->plan->deed_ppm))
            stomp_act(&party->clients[i]);
}

void stomp_party_move(struct stomp_party *party, bool stopping)
{
    if (!party)
        return;
    party->now_ns = party->all->now_ns;
    party->stopping = stopping;
    for (unsigned i = 0; i <= ST_CLIENTS; i++) {
        struct stomp_client *c = &party->clients[i];
        stomp_client_move(c);
        if (party->calm && c->state == ST_AWAY && i < party->plan->clients && !party->leaving)
            stomp_client_connect(c);
    }
}

/* ---- subscriptions that have ended ----------------------------------------------------------------------
 */

/* Of connections that their clients have given up: those that the broker has, too, are none any more. */
static void forget_ghosts(struct stomp_party *party)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < party->ghost_count; i++)
        if (!taps_left(party->taps, party->ghosts[i].stream))
            party->ghosts[kept++] = party->ghosts[i];
    party->ghost_count = kept;
}

/* Whether the broker may still not know that one of the queue ends. */
static bool ending(const struct stomp_party *party, unsigned queue)
{
    for (unsigned i = 0; i < party->ghost_count; i++)
        if (party->ghosts[i].queues[queue])
            return true;
    for (unsigned i = 0; i <= ST_CLIENTS; i++) {
        const struct stomp_client *c = &party->clients[i];
        for (unsigned j = 0; j < c->sub_count; j++)
            if (c->subs[j].queue == queue && !c->subs[j].gone && (c->subs[j].quit || c->state == ST_LEAVING))
                return true;
    }
    return false;
}

void stomp_party_idle(struct stomp_party *party)
{
    if (!party || network_is_lan(party->network) || !network_quiet(party->network))
        return;
    forget_ghosts(party);
    for (unsigned i = 0; i < ST_QUEUES; i++)
        if (party->model->places[i].disturbed && !ending(party, i))
            stomp_model_ended(party->model, i);
}

void stomp_party_down(struct stomp_party *party)
{
    if (!party)
        return;
    party->ghost_count = 0;
    stomp_model_down(party->model);
}

void stomp_party_failed(struct stomp_party *party)
{
    if (party)
        party->model->failed = true;
}

uint64_t stomp_party_deadline(const struct stomp_party *party)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; party && i <= ST_CLIENTS; i++) {
        uint64_t at = stomp_client_deadline(&party->clients[i]);
        next = at < next ? at : next;
    }
    return next;
}

/* ---- the end ----------------------------------------------------------------------------------------------
 */

void stomp_party_calm(struct stomp_party *party)
{
    if (!party)
        return;
    party->calm = true;
    for (unsigned i = 0; i <= ST_CLIENTS; i++)
        stomp_client_deafen(&party->clients[i], false);
}

bool stomp_party_done(const struct stomp_party *party)
{
    if (!party)
        return true;
    for (unsigned i = 0; i <= ST_CLIENTS; i++) {
        const struct stomp_client *c = &party->clients[i];
        if (!stomp_client_done(c) ||
            (i < party->plan->clients && c->state != ST_CONNECTED && !party->leaving))
            return false;
    }
    for (unsigned i = 0; i < party->ghost_count; i++)
        if (!taps_left(party->taps, party->ghosts[i].stream))
            return false;
    return true;
}

static bool subscribed(const struct stomp_party *party, unsigned queue)
{
    for (unsigned i = 0; i <= ST_CLIENTS; i++) {
        const struct stomp_client *c = &party->clients[i];
        for (unsigned j = 0; j < c->sub_count; j++)
            if (c->subs[j].queue == queue && !c->subs[j].quit)
                return true;
    }
    return false;
}

void stomp_party_judge(struct stomp_party *party, bool all)
{
    if (!party)
        return;
    for (unsigned i = 0; i < party->plan->queues; i++) {
        stomp_model_ended(party->model, i);
        if (all || subscribed(party, i))
            stomp_model_owed(party->model, i);
    }
    history_note("stomp: %u deliveries judged, %u were owed", party->model->judged, party->model->owed);
}

void stomp_party_look(struct stomp_party *party)
{
    if (!party)
        return;
    struct stomp_client *c = &party->clients[ST_CLIENTS];
    if (c->state == ST_AWAY) {
        stomp_client_connect(c);
        return;
    }
    for (unsigned i = 0; i < party->plan->queues; i++)
        stomp_say_subscribe(c, i, i ? ST_INDIVIDUAL : ST_CUMULATIVE, 0, true);
}

void stomp_party_leave(struct stomp_party *party)
{
    if (!party)
        return;
    party->leaving = true;
    for (unsigned i = 0; i <= ST_CLIENTS; i++)
        if (party->clients[i].state == ST_CONNECTED)
            stomp_say_disconnect(&party->clients[i], true);
}

bool stomp_party_left(const struct stomp_party *party)
{
    for (unsigned i = 0; party && i <= ST_CLIENTS; i++)
        if (party->clients[i].state != ST_AWAY)
            return false;
    return true;
}
