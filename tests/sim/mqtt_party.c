#include "mqtt_party.h"

#include <stdlib.h>

#include "base/check.h"
#include "history.h"
#include "lan_inside.h"
#include "mqtt_client.h"
#include "network.h"

struct mqtt_party *mqtt_party_new(const struct mqtt_plan *plan, struct clients *all, uint64_t seed)
{
    /* Hosts that no client of AMQP has. */
    static const unsigned hosts[MQ_CLIENTS + 1] = {LAN_CLIENTS - 1, 5, 4, 3, LAN_CLIENTS - 1};
    if (!plan->clients)
        return NULL;
    struct mqtt_party *party = calloc(1, sizeof *party);
    CHECK(party);
    party->network = all->network;
    party->taps = all->taps;
    party->plan = plan;
    party->all = all;
    party->model = mqtt_model_new(MQ_CLIENTS + 1);
    prng_seed(&party->prng, seed);
    for (unsigned i = 0; i <= MQ_CLIENTS; i++) {
        struct mqtt_client *c = &party->clients[i];
        c->party = party;
        c->number = i;
        c->host = hosts[i];
        c->version = 5;
        c->session = party->model->sessions[i];
    }
    return party;
}

void mqtt_party_free(struct mqtt_party *party)
{
    if (!party)
        return;
    for (unsigned i = 0; i <= MQ_CLIENTS; i++)
        mqtt_client_free(&party->clients[i]);
    mqtt_model_free(party->model);
    free(party);
}

void mqtt_party_act(struct mqtt_party *party)
{
    for (unsigned i = 0; party && i < party->plan->clients; i++)
        if (prng_chance(&party->prng, party->plan->deed_ppm))
            mqtt_act(&party->clients[i]);
}

void mqtt_party_move(struct mqtt_party *party, bool stopping)
{
    if (!party)
        return;
    party->now_ns = party->all->now_ns;
    party->stopping = stopping;
    for (unsigned i = 0; i <= MQ_CLIENTS; i++) {
        struct mqtt_client *c = &party->clients[i];
        mqtt_move(c);
        if (party->calm && c->state == MQ_AWAY && i < party->plan->clients && !party->leaving)
            mqtt_connect(c, false, MQ_LONG_S);
    }
}

void mqtt_party_down(struct mqtt_party *party)
{
    if (!party)
        return;
    mqtt_model_down(party->model);
    for (unsigned i = 0; i <= MQ_CLIENTS; i++) {
        party->clients[i].must_clean |= party->clients[i].known && !party->clients[i].kept_s;
        mqtt_strays_end(&party->clients[i]);
    }
}

void mqtt_party_failed(struct mqtt_party *party)
{
    if (party)
        mqtt_model_failed(party->model);
}

uint64_t mqtt_party_deadline(const struct mqtt_party *party)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; party && i <= MQ_CLIENTS; i++) {
        uint64_t at = mqtt_deadline(&party->clients[i]);
        next = at < next ? at : next;
    }
    return next;
}

/* ---- the end ----------------------------------------------------------------------------------------------
 */

void mqtt_party_calm(struct mqtt_party *party)
{
    if (!party)
        return;
    party->calm = true;
    for (unsigned i = 0; i <= MQ_CLIENTS; i++) {
        party->clients[i].lazy = false;
        mqtt_deafen(&party->clients[i], false);
    }
}

bool mqtt_party_done(const struct mqtt_party *party)
{
    for (unsigned i = 0; party && i <= MQ_CLIENTS; i++) {
        const struct mqtt_client *c = &party->clients[i];
        if (!mqtt_done(c) || (i < party->plan->clients && c->state != MQ_CONNECTED && !party->leaving))
            return false;
        for (unsigned g = 0; g < MQ_GHOSTS; g++)
            if (c->ghosts[g])
                return false;
    }
    return true;
}

void mqtt_party_ping(struct mqtt_party *party)
{
    for (unsigned i = 0; party && i <= MQ_CLIENTS; i++)
        if (party->clients[i].state == MQ_CONNECTED)
            mqtt_ping(&party->clients[i]);
}

void mqtt_party_judge(struct mqtt_party *party, bool last)
{
    uint64_t conn_begin[MQ_CLIENTS + 1] = {0};
    if (!party)
        return;
    mqtt_model_quiet(party->model);
    for (unsigned i = 0; i <= MQ_CLIENTS; i++) {
        struct mqtt_client *c = &party->clients[i];
        conn_begin[i] = c->state == MQ_CONNECTED ? c->conn_begin : UINT64_MAX;
        mqtt_strays_end(c);
        if (c->state == MQ_CONNECTED)
            mqtt_model_owed(party->model, c->session, c->conn_begin, last);
    }
    if (last)
        mqtt_model_shared_owed(party->model, conn_begin);
    history_note("mqtt: %u deliveries judged, %u were owed", party->model->judged, party->model->owed);
}

void mqtt_party_look(struct mqtt_party *party)
{
    static const char *const filters[] = {"#", "$x/#"};
    static const uint8_t options[] = {2, 2};
    if (!party)
        return;
    struct mqtt_client *c = &party->clients[MQ_CLIENTS];
    if (c->state == MQ_AWAY)
        mqtt_connect(c, true, 0);
    else
        mqtt_subscribe(c, 1, filters, options);
}

void mqtt_party_leave(struct mqtt_party *party)
{
    if (!party)
        return;
    party->leaving = true;
    for (unsigned i = 0; i <= MQ_CLIENTS; i++)
        mqtt_disconnect(&party->clients[i], false);
}

bool mqtt_party_left(const struct mqtt_party *party)
{
    for (unsigned i = 0; party && i <= MQ_CLIENTS; i++)
        if (party->clients[i].state != MQ_AWAY)
            return false;
    return true;
}
