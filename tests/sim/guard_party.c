#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "broker.h"
#include "client.h"
#include "guard_client.h"
#include "history.h"
#include "plan.h"
#include "router/access_change.h"
#include "router/password.h"
#include "site.h"
#include "tap.h"

enum { AMQP_CLIENTS = 4 };

/* There is one operator at a time, and where others speak, no hosts are left. */
void guard_plan_draw(struct guard_plan *guard, struct plan *plan, struct prng *prng)
{
    *guard = (struct guard_plan){0};
    if (plan->mqtt.clients || plan->stomp.clients || plan->policy_ppm || prng_below(prng, 3))
        return;
    guard->clients = 1 + (unsigned)prng_below(prng, GUARD_CLIENTS);
    guard->deed_ppm = 20000 + (uint32_t)prng_below(prng, 300000);
    guard->change_ppm = 2000 + (uint32_t)prng_below(prng, 20000);
    plan->clients = plan->clients < AMQP_CLIENTS ? plan->clients : AMQP_CLIENTS;
}

struct guard_party *guard_party_new(const struct guard_plan *plan, struct clients *all, uint64_t seed)
{
    /* Hosts that no other client has. */
    static const unsigned hosts[GUARD_CLIENTS] = {7, 5, 4};
    if (!plan->clients)
        return NULL;
    struct guard_party *party = calloc(1, sizeof *party);
    CHECK(party);
    party->plan = plan;
    party->all = all;
    party->model = guard_model_new();
    party->changed = GUARD_NOTHING;
    prng_seed(&party->prng, seed);
    for (unsigned i = 0; i < GUARD_CLIENTS; i++)
        party->clients[i] =
            (struct guard_client){.party = party, .number = i, .host = hosts[i], .consumes = GUARD_NOTHING};
    return party;
}

void guard_party_free(struct guard_party *party)
{
    if (!party)
        return;
    history_note("guarded: %u done, %u refused, %u changes", party->model->judged, party->model->refused,
                 party->model->changes);
    for (unsigned i = 0; i < GUARD_CLIENTS; i++) {
        buffer_free(&party->clients[i].out);
        talk_free(&party->clients[i].in);
    }
    guard_model_free(party->model);
    free(party);
}

void guard_party_act(struct guard_party *party)
{
    for (unsigned i = 0; party && i < party->plan->clients; i++)
        if (prng_chance(&party->prng, party->plan->deed_ppm))
            guard_client_act(&party->clients[i]);
}

/* ---- the operator
 * ---------------------------------------------------------------------------------------------- */

static struct guard_say draw(struct guard_party *party, unsigned user)
{
    struct prng *prng = &party->prng;
    struct guard_say say = *guard_now(party->model, user);
    if (!say.there)
        return (struct guard_say){.there = true};
    if (prng_below(prng, 12) == 0)
        return (struct guard_say){0};
    say.entered = prng_below(prng, 10) != 0;
    for (unsigned i = 0; i < GUARD_RIGHTS; i++)
        say.things[i] =
            say.entered ? (uint8_t)(prng_next(prng) | prng_next(prng)) & ((1u << GUARD_THINGS) - 1) : 0;
    return say;
}

static bool was_there(const struct guard_party *party)
{
    const struct guard_user *u = &party->model->users[party->changed];
    return u->versions[u->count - 2].say.there;
}

static void ask(struct guard_party *party, const struct site *site)
{
    static const uint8_t salt[PASSWORD_QUICK_SALT_BYTES] = {5, 6, 7, 8};
    const struct guard_say *say = guard_now(party->model, party->changed);
    char name[8], password[PASSWORD_TEXT_BYTES], patterns[GUARD_RIGHTS][64];
    struct access_change change = {.kind = !say->there         ? ACCESS_USER_GONE
                                           : !was_there(party) ? ACCESS_USER
                                           : say->entered      ? ACCESS_PERMISSION
                                                               : ACCESS_PERMISSION_GONE};
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    snprintf(name, sizeof name, "u%u", party->changed);
    change.text[TEXT_USER] = span_str(name);
    if (change.kind == ACCESS_USER) {
        password_make_quick(password, span_str("pw"), salt);
        change.text[TEXT_PASSWORD] = span_str(password);
    } else if (change.kind != ACCESS_USER_GONE)
        change.text[TEXT_VHOST] = span_str("/");
    for (unsigned i = 0; i < GUARD_RIGHTS && change.kind == ACCESS_PERMISSION; i++) {
        guard_pattern(say->things[i], patterns[i], sizeof patterns[i]);
        change.text[TEXT_CONFIGURE + i] = span_str(patterns[i]);
    }
    op->kind = OP_ACCESS_CHANGE;
    op->flags = change.kind == ACCESS_USER ? OP_NEW : 0;
    op->tag = ++party->tag;
    op->arguments = access_pack(&change);
    history_note("the operator: u%u is%s there, enters %u, may %02x %02x %02x", party->changed,
                 say->there ? "" : " not", say->entered, say->things[0], say->things[1], say->things[2]);
    party->starts = site->starts;
    party->waits = true;
    front_ask(site->broker->front[0], op);
}

/* Whoever asks again may hear that it is so already. With a failed journal nothing is changed; it is asked
 * again after the next start. */
static void take(struct guard_party *party, const struct op *op)
{
    bool so = party->again && (op->error == ERR_NOT_FOUND || op->error == ERR_PRECONDITION_FAILED);
    history_note("the operator is told: %s", op->error == ERR_NONE ? "ok" : op->text);
    party->waits = false;
    if (op->error != ERR_NONE && op->error != ERR_INTERNAL && !so)
        history_fail("a change of what u%u may do was refused: %s", party->changed, op->text);
    if (op->error == ERR_INTERNAL)
        return;
    guard_answered(party->model, party->changed);
    party->changed = GUARD_NOTHING;
}

static void operate(struct guard_party *party, struct site *site)
{
    if (site->state != SITE_UP)
        return;
    if (party->changed == GUARD_NOTHING && !party->calm &&
        prng_chance(&party->prng, party->plan->change_ppm)) {
        party->changed = (unsigned)prng_below(&party->prng, GUARD_USERS);
        struct guard_say say = draw(party, party->changed);
        guard_asked(party->model, party->changed, &say);
        party->again = false;
        ask(party, site);
    } else if (party->changed != GUARD_NOTHING && party->starts != site->starts) {
        party->again = true;
        ask(party, site);
    } else if (party->waits) {
        struct op *op = front_take_answer(site->broker->front[0]);
        if (op && op->tag == party->tag)
            take(party, op);
        front_free_answer(op);
    }
}

/* ---- moving
 * -------------------------------------------------------------------------------------------------------- */

void guard_party_move(struct guard_party *party, struct site *site)
{
    if (!party)
        return;
    for (unsigned i = 0; i < party->plan->clients; i++)
        guard_client_move(&party->clients[i]);
    operate(party, site);
}

/* Over TCP it isn't known whether all has been heard. */
void guard_party_idle(struct guard_party *party)
{
    if (!party || network_is_lan(party->all->network) || !network_quiet(party->all->network) ||
        !taps_all_read(party->all->taps))
        return;
    for (unsigned i = 0; i < party->plan->clients; i++)
        guard_client_idle(&party->clients[i]);
}

void guard_party_calm(struct guard_party *party)
{
    if (party)
        party->calm = true;
}

bool guard_party_done(const struct guard_party *party)
{
    for (unsigned i = 0; party && i < party->plan->clients; i++) {
        const struct guard_client *c = &party->clients[i];
        if (c->out.len || c->under_way || (c->state != GUARD_AWAY && c->state != GUARD_OPEN))
            return false;
    }
    return !party || !party->waits;
}

void guard_party_leave(struct guard_party *party)
{
    for (unsigned i = 0; party && i < party->plan->clients; i++)
        guard_client_reset(&party->clients[i]);
}
