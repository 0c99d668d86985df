#include "stomp_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "network.h"
#include "tap.h"

enum { READ_BYTES = 4096 };

#define MS_NS UINT64_C(1000000)

bool stomp_client_steady(const struct stomp_client *c, uint64_t conn)
{
    const struct stomp_party *party = c->party;
    return c->conn == conn && c->state == ST_CONNECTED && !c->beat_ms && !party->stopping &&
           !party->model->failed && party->model->downs == c->conn_downs && !network_is_lan(party->network) &&
           !taps_left(party->taps, c->stream);
}

/* ---- the end of a connection ----------------------------------------------------------------------------
 */

/* The broker may have it for a while, and what was sent there. */
static void add_ghost(struct stomp_client *c)
{
    struct stomp_party *party = c->party;
    struct stomp_ghost ghost = {.stream = c->stream};
    for (unsigned i = 0; i < c->sub_count; i++) {
        ghost.queues[c->subs[i].queue] = true;
        stomp_model_ends(party->model, c->subs[i].queue, c->subs[i].mode == ST_AUTO);
    }
    party->ghosts = realloc(party->ghosts, (party->ghost_count + 1) * sizeof *party->ghosts);
    CHECK(party->ghosts);
    party->ghosts[party->ghost_count++] = ghost;
}

static void away(struct stomp_client *c)
{
    add_ghost(c);
    taps_forget(c->party->taps, c->stream);
    network_forget(c->party->network, c->stream);
    c->stream = 0;
    c->in.len = c->out.len = 0;
    c->deaf = false;
    c->sub_count = c->hold_count = c->awaited_count = 0;
    for (unsigned i = 0; i < ST_TRANSACTIONS; i++)
        c->open[i].number = c->open[i].count = 0;
    c->state = ST_AWAY;
}

void stomp_client_free(struct stomp_client *c)
{
    buffer_free(&c->in);
    buffer_free(&c->out);
    free(c->subs);
    free(c->holds);
    free(c->awaited);
    for (unsigned i = 0; i < ST_TRANSACTIONS; i++)
        free(c->open[i].kept);
}

void stomp_client_reset(struct stomp_client *c)
{
    history_note("stomp %u resets stream %llu", c->number, (unsigned long long)c->stream);
    network_reset(c->party->network, c->stream);
    away(c);
}

void stomp_client_vanish(struct stomp_client *c)
{
    if (!c->beat_ms || c->state == ST_CONNECTING) { /* nobody would ever find out */
        stomp_client_reset(c);
        return;
    }
    history_note("stomp %u vanishes from stream %llu", c->number, (unsigned long long)c->stream);
    network_vanish(c->party->network, c->stream);
    away(c);
}

void stomp_client_deafen(struct stomp_client *c, bool deaf)
{
    if (c->state == ST_AWAY)
        return;
    if (c->deaf != deaf)
        history_note("stomp %u %s", c->number, deaf ? "goes deaf" : "hears again");
    c->deaf = deaf;
    c->dull |= deaf;
    network_deafen(c->party->network, c->stream, deaf);
}

/* ---- CONNECT ------------------------------------------------------------------------------------------- */

static void send_connect(struct stomp_client *c)
{
    static const char *const accepts[] = {"1.0", "1.0,1.1", "1.0,1.1,1.2"};
    char beats[32];
    stomp_wire_begin(&c->out, c->number & 1 && c->version == 12 ? "STOMP" : "CONNECT");
    if (c->version > 10)
        stomp_wire_header(&c->out, 10, "accept-version", accepts[c->version - 10]);
    stomp_wire_header(&c->out, 10, "host", "/");
    if (c->number & 1) {
        stomp_wire_header(&c->out, 10, "login", "guest");
        stomp_wire_header(&c->out, 10, "passcode", "guest");
    }
    if (c->beat_ms) {
        snprintf(beats, sizeof beats, "%u,%u", c->beat_ms, c->beat_ms);
        stomp_wire_header(&c->out, 10, "heart-beat", beats);
    }
    stomp_wire_end(&c->out, NULL, 0);
}

void stomp_client_connect(struct stomp_client *c)
{
    struct stomp_party *party = c->party;
    CHECK(c->state == ST_AWAY && !c->stream);
    c->stream = network_connect(party->network, c->host);
    taps_expect(party->taps, c->stream, TAP_STOMP);
    c->state = ST_CONNECTING;
    c->conn = ++party->conns;
    c->conn_downs = party->model->downs;
    c->said_ns = party->now_ns;
    c->told = c->wrong = c->dull = false;
    c->frames = c->last_tag = 0;
    c->transactions = 0;
    stomp_draw_connection(c);
    send_connect(c);
    history_note("stomp %u connects: stream %llu, version %u, beats %u", c->number,
                 (unsigned long long)c->stream, c->version, c->beat_ms);
}

/* ---- moving ----------------------------------------------------------------------------------------------
 */

static void move_in(struct stomp_client *c)
{
    uint8_t bytes[READ_BYTES];
    size_t room = 1 + prng_below(&c->party->prng, sizeof bytes);
    size_t n = network_read(c->party->network, c->stream, bytes, room);
    if (!n)
        return;
    taps_read(c->party->taps, c->stream, bytes, n);
    buffer_add(&c->in, bytes, n);
    stomp_client_take(c);
}

static void move_out(struct stomp_client *c)
{
    if (c->party->calm && c->state == ST_CONNECTED)
        stomp_finish(c);
    if (c->beat_ms && c->state == ST_CONNECTED && !c->out.len && c->party->now_ns >= stomp_client_deadline(c))
        add_octet(&c->out, '\n');
    size_t n = network_write(c->party->network, c->stream, (struct span){c->out.at, c->out.len});
    if (n)
        c->said_ns = c->party->now_ns;
    buffer_drop(&c->out, n);
}

/* Why might the broker have ended it? */
static void ended(struct stomp_client *c, enum sim_state state)
{
    const struct stomp_party *party = c->party;
    bool may =
        c->told || c->beat_ms || party->stopping || party->model->failed ||
        party->model->downs != c->conn_downs || network_is_lan(party->network) ||
        (state == SIM_RESET && (c->dull || c->state == ST_LEAVING)); /* and hasn't taken what it was told */
    bool well = c->state == ST_LEAVING && !c->out.len && !c->awaited_count && !c->wrong;
    history_note("stomp %u: stream %llu has ended: %u", c->number, (unsigned long long)c->stream, state);
    if (!may && !well && state != SIM_REFUSED)
        history_fail("client %u of STOMP: the broker has ended its connection", c->number);
    away(c);
}

void stomp_client_move(struct stomp_client *c)
{
    if (c->state == ST_AWAY)
        return;
    move_out(c);
    move_in(c);
    enum sim_state state = network_state(c->party->network, c->stream);
    if (state != SIM_OPEN)
        ended(c, state);
}

uint64_t stomp_client_deadline(const struct stomp_client *c)
{
    if (c->state != ST_CONNECTED || !c->beat_ms)
        return UINT64_MAX;
    return c->said_ns + c->beat_ms * MS_NS / 2;
}

bool stomp_client_done(const struct stomp_client *c)
{
    if (c->state == ST_AWAY)
        return true;
    for (unsigned i = 0; i < ST_TRANSACTIONS; i++)
        if (c->open[i].number)
            return false;
    return c->state == ST_CONNECTED && !c->out.len && !c->in.len && !c->awaited_count && !c->hold_count &&
           !c->deaf;
}
