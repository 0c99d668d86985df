#include "mqtt_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "network.h"
#include "tap.h"

enum { READ_BYTES = 4096 };

#define SECOND_NS UINT64_C(1000000000)

/* ---- the end of a connection ----------------------------------------------------------------------------
 */

/* The client will not connect as it was: nothing is told of a will that didn't have to come. */
static void will_ends(struct mqtt_client *c, bool well)
{
    struct mqtt_message *will = c->will;
    c->will = NULL;
    if (!will)
        return;
    if (well && !c->keep_alive_s && c->conn_downs == c->party->model->downs && !c->party->model->failed &&
        !c->told && !c->party->stopping) {
        mqtt_message_over(c->party->model, will, MQ_NO);
        if (will->came)
            history_fail("client %u of MQTT: its will came though it had said DISCONNECT", c->number);
        return;
    }
    if (c->state == MQ_CONNECTED && !c->will_delay_s)
        will->fate = MQ_YES;
}

/* Whether a CONNECT has been taken isn't known before it is answered: if the session before it may have
 * ended, there may be another one now. */
static void session_left(struct mqtt_client *c)
{
    bool kept = c->kept_s == UINT32_MAX || c->party->now_ns < c->left_ns + c->kept_s * SECOND_NS;
    bool early =
        c->keep_alive_s || network_is_lan(c->party->network); /* the broker may have ended it before */
    if (c->state != MQ_CONNECTING) {
        c->left_ns = c->party->now_ns;
        c->unsure |= early && c->kept_s && c->kept_s < MQ_LONG_S;
        return;
    }
    c->unsure = true;
    c->must_clean |= c->known && (!kept || c->kept_s < MQ_LONG_S);
    c->kept_s = c->kept_s < c->expiry_s ? c->kept_s : c->expiry_s;
    c->strays += !c->told;
    c->stray_wipes |= c->clean || c->expiry_s < MQ_LONG_S;
}

bool mqtt_failed(const struct mqtt_client *c)
{
    const struct mqtt_model *model = c->party->model;
    return model->failed || (model->ever_failed && model->downs != c->conn_downs);
}

void mqtt_strays_end(struct mqtt_client *c)
{
    c->strays = 0;
    c->stray_wipes = false;
}

/* There is no connection any more; well: the broker has ended it when the client had said DISCONNECT. */
static void away(struct mqtt_client *c, bool well)
{
    will_ends(c, well);
    if (c->stream) {
        taps_forget(c->party->taps, c->stream);
        network_forget(c->party->network, c->stream);
    }
    c->stream = 0;
    c->in.len = c->out.len = 0;
    c->deaf = false;
    c->pings = c->pinged = c->unanswered = 0;
    c->asked_count = c->reply_count = 0;
    session_left(c);
    if (!c->kept_s && c->party->model->failed && c->state != MQ_CONNECTING)
        c->must_clean = true;
    c->state = MQ_AWAY;
}

void mqtt_client_free(struct mqtt_client *c)
{
    buffer_free(&c->in);
    buffer_free(&c->out);
    free(c->outs);
    free(c->ins);
    free(c->replies);
    free(c->asked);
}

void mqtt_reset(struct mqtt_client *c)
{
    history_note("mqtt %u resets stream %llu", c->number, (unsigned long long)c->stream);
    network_reset(c->party->network, c->stream);
    away(c, false);
}

static void forget_ghost(struct mqtt_client *c, unsigned i)
{
    if (!c->ghosts[i])
        return;
    taps_forget(c->party->taps, c->ghosts[i]);
    network_forget(c->party->network, c->ghosts[i]);
    c->ghosts[i] = 0;
}

void mqtt_vanish(struct mqtt_client *c)
{
    history_note("mqtt %u vanishes from stream %llu", c->number, (unsigned long long)c->stream);
    network_vanish(c->party->network, c->stream);
    for (unsigned i = 0; i < MQ_GHOSTS && network_is_lan(c->party->network); i++)
        forget_ghost(c, i); /* they were on the same host */
    away(c, false);
}

void mqtt_abandon(struct mqtt_client *c)
{
    unsigned i = 0;
    while (i < MQ_GHOSTS && c->ghosts[i])
        i++;
    if (i == MQ_GHOSTS) {
        mqtt_reset(c);
        return;
    }
    history_note("mqtt %u leaves stream %llu behind", c->number, (unsigned long long)c->stream);
    network_deafen(c->party->network, c->stream, false);
    c->ghosts[i] = c->stream;
    c->stream = 0;
    away(c, false);
}

void mqtt_deafen(struct mqtt_client *c, bool deaf)
{
    if (c->state == MQ_AWAY)
        return;
    if (c->deaf != deaf)
        history_note("mqtt %u %s", c->number, deaf ? "goes deaf" : "hears again");
    c->deaf = deaf;
    network_deafen(c->party->network, c->stream, deaf);
}

/* ---- CONNECT, DISCONNECT ---------------------------------------------------------------------------------
 */

static void add_will(const struct mqtt_client *c, struct buffer *b)
{
    const struct mqtt_message *will = c->will;
    uint8_t body[64];
    if (c->version == 5) {
        mqtt_varint_add(b, c->will_delay_s ? 5 : 0);
        if (c->will_delay_s) {
            add_octet(b, 0x18);
            add_long(b, c->will_delay_s);
        }
    }
    mqtt_text_add(b, will->topic);
    mqtt_body(will, body);
    add_short(b, (uint16_t)will->len);
    buffer_add(b, body, will->len);
}

static void add_properties(const struct mqtt_client *c, struct buffer *b)
{
    struct buffer p = {0};
    if (c->expiry_s) {
        add_octet(&p, 0x11);
        add_long(&p, c->expiry_s);
    }
    if (c->receive_max) {
        add_octet(&p, 0x21);
        add_short(&p, c->receive_max);
    }
    if (c->alias) {
        add_octet(&p, 0x22);
        add_short(&p, MQ_ALIASES);
    }
    mqtt_varint_add(b, (uint32_t)p.len);
    buffer_add(b, p.at, p.len);
    buffer_free(&p);
}

static void send_connect(struct mqtt_client *c)
{
    struct buffer b = {0};
    char name[16];
    const struct mqtt_message *w = c->will;
    bool login = c->number & 1;
    snprintf(name, sizeof name, "m%u", c->number);
    mqtt_text_add(&b, "MQTT");
    add_octet(&b, c->version);
    add_octet(&b, (uint8_t)((c->clean ? 2 : 0) | (w ? 4 | w->qos << 3 | (w->retain ? 32 : 0) : 0) |
                            (login ? 0xc0 : 0)));
    add_short(&b, c->keep_alive_s);
    if (c->version == 5)
        add_properties(c, &b);
    mqtt_text_add(&b, name);
    if (w)
        add_will(c, &b);
    if (login) {
        mqtt_text_add(&b, "guest");
        mqtt_text_add(&b, "guest");
    }
    mqtt_packet_add(&c->out, MQ_CONNECT, 0, &b);
}

void mqtt_connect(struct mqtt_client *c, bool clean, uint32_t expiry_s)
{
    struct mqtt_party *party = c->party;
    CHECK(c->state == MQ_AWAY && !c->stream);
    c->stream = network_connect(party->network, c->host);
    taps_expect(party->taps, c->stream, TAP_MQTT);
    c->state = MQ_CONNECTING;
    c->clean = clean || c->must_clean;
    c->must_clean |= c->clean;
    c->expiry_s = c->version == 5 ? expiry_s : c->clean ? 0 : UINT32_MAX;
    c->conn = ++party->conns;
    c->conn_downs = party->model->downs;
    c->said_ns = party->now_ns;
    c->told = false;
    memset(c->aliases, 0, sizeof c->aliases);
    mqtt_draw_connection(c);
    send_connect(c);
    history_note("mqtt %u connects: stream %llu, MQTT %u, clean %u, expiry %u, keep alive %u, will %u",
                 c->number, (unsigned long long)c->stream, c->version, c->clean, c->expiry_s, c->keep_alive_s,
                 c->will ? c->will->number : 0);
}

void mqtt_disconnect(struct mqtt_client *c, bool with_will)
{
    struct buffer b = {0};
    if (c->state != MQ_CONNECTED)
        return;
    if (c->version == 5 && with_will)
        add_octet(&b, 4);
    mqtt_packet_add(&c->out, MQ_DISCONNECT, 0, &b);
    if (c->version == 5 && with_will && c->will)
        c->keep_alive_s = 1; /* it isn't said of that will that it mustn't come */
    c->state = MQ_LEAVING;
}

/* ---- what comes -------------------------------------------------------------------------------------------
 */

static void on_connack(struct mqtt_client *c, struct reader r)
{
    uint8_t flags = read_octet(&r), code = read_octet(&r);
    const struct mqtt_model *model = c->party->model;
    bool present = flags & 1;
    if (c->state != MQ_CONNECTING)
        history_fail("client %u of MQTT: a second CONNACK", c->number);
    if (c->version == 5 && mqtt_properties_read(&r).bad)
        history_fail("client %u of MQTT: CONNACK with wrong properties", c->number);
    if (code && !model->failed && !c->party->stopping && model->downs == c->conn_downs)
        history_fail("client %u of MQTT: CONNACK with 0x%02x", c->number, code);
    if (code) {
        c->told = true;
        c->must_clean |= c->clean;
        return;
    }
    c->state = MQ_CONNECTED;
    c->conn_begin = ++c->party->model->clock;
    mqtt_session_resumed(c, present);
}

static void on_disconnect(struct mqtt_client *c, struct reader r)
{
    uint8_t code = read_octet(&r);
    bool expected = c->party->stopping || c->party->model->failed || c->party->model->downs != c->conn_downs;
    c->told = true;
    if (code == 0x8e && c->strays) {
        c->strays--;
        return;
    }
    if (code == 0x8d ? !c->keep_alive_s : !expected)
        history_fail("client %u of MQTT: DISCONNECT with 0x%02x", c->number, code);
}

static void on_pingresp(struct mqtt_client *c)
{
    struct mqtt_model *model = c->party->model;
    if (!c->pings)
        history_fail("client %u of MQTT: PINGRESP without PINGREQ", c->number);
    if (--c->pings)
        return;
    for (unsigned i = 1; i <= c->pinged; i++) {
        struct mqtt_message *m = model->messages[i];
        if (m->client == c->number && !m->qos && !m->will && m->line == c->conn && m->end == MQ_OPEN) {
            m->loose = true;
            m->fate = MQ_YES;
        }
    }
}

static void on_packet(struct mqtt_client *c, const struct mqtt_packet *p)
{
    if (p->type != MQ_CONNACK && c->state == MQ_CONNECTING)
        history_fail("client %u of MQTT: %s before CONNACK", c->number, mqtt_type_text(p->type));
    if (p->type != MQ_PUBLISH && p->flags != (p->type == MQ_PUBREL ? 2 : 0))
        history_fail("client %u of MQTT: %s with flags %u", c->number, mqtt_type_text(p->type), p->flags);
    if (p->type == MQ_CONNACK)
        on_connack(c, p->args);
    else if (p->type == MQ_PUBLISH)
        mqtt_on_publish(c, p);
    else if (p->type == MQ_PUBACK || p->type == MQ_PUBREC || p->type == MQ_PUBCOMP)
        mqtt_on_answer(c, p);
    else if (p->type == MQ_PUBREL)
        mqtt_on_pubrel(c, p);
    else if (p->type == MQ_SUBACK || p->type == MQ_UNSUBACK)
        mqtt_on_suback(c, p);
    else if (p->type == MQ_PINGRESP)
        on_pingresp(c);
    else if (p->type == MQ_DISCONNECT && c->version == 5)
        on_disconnect(c, p->args);
    else
        history_fail("client %u of MQTT: a broker sends no packet of type %u", c->number, p->type);
}

static void take_packets(struct mqtt_client *c)
{
    struct mqtt_packet p;
    size_t n;
    while ((n = mqtt_packet_read(&c->in, &p))) {
        bool answer = p.type >= MQ_PUBACK && p.type <= MQ_PUBCOMP;
        history_note("mqtt %u < %s%s%.0u, %zu bytes", c->number, mqtt_type_text(p.type), answer ? " " : "",
                     answer ? (unsigned)p.args.at[0] << 8 | p.args.at[1] : 0, n);
        on_packet(c, &p);
        buffer_drop(&c->in, n);
    }
}

/* ---- moving
 * -------------------------------------------------------------------------------------------------
 */

static void move_in(struct mqtt_client *c)
{
    uint8_t bytes[READ_BYTES];
    size_t room = 1 + prng_below(&c->party->prng, sizeof bytes);
    size_t n = network_read(c->party->network, c->stream, bytes, room);
    if (!n)
        return;
    taps_read(c->party->taps, c->stream, bytes, n);
    buffer_add(&c->in, bytes, n);
    take_packets(c);
}

void mqtt_ping(struct mqtt_client *c)
{
    struct buffer none = {0};
    mqtt_packet_add(&c->out, MQ_PINGREQ, 0, &none);
    c->pinged = c->party->model->message_count - 1;
    c->pings++;
}

static void move_out(struct mqtt_client *c)
{
    if (!c->lazy && c->state != MQ_LEAVING)
        mqtt_reply(c, UINT32_MAX);
    if (c->keep_alive_s && c->state == MQ_CONNECTED && !c->out.len && !c->pings &&
        c->party->now_ns >= c->said_ns + c->keep_alive_s * SECOND_NS / 2)
        mqtt_ping(c);
    size_t n = network_write(c->party->network, c->stream, (struct span){c->out.at, c->out.len});
    if (n)
        c->said_ns = c->party->now_ns;
    buffer_drop(&c->out, n);
}

/* Those that were left behind: what comes there is lost. */
static void move_ghosts(struct mqtt_client *c)
{
    uint8_t bytes[READ_BYTES];
    for (unsigned i = 0; i < MQ_GHOSTS; i++) {
        uint64_t stream = c->ghosts[i];
        if (!stream)
            continue;
        size_t n = network_read(c->party->network, stream, bytes, sizeof bytes);
        if (n)
            taps_read(c->party->taps, stream, bytes, n);
        if (network_state(c->party->network, stream) != SIM_OPEN)
            forget_ghost(c, i);
    }
}

/* Why might the broker have ended it? */
static void ended(struct mqtt_client *c, enum sim_state state)
{
    const struct mqtt_model *model = c->party->model;
    bool may = c->told || c->keep_alive_s || c->party->stopping || model->failed ||
               model->downs != c->conn_downs || network_is_lan(c->party->network);
    bool well = c->state == MQ_LEAVING && state == SIM_ENDED && !c->out.len;
    history_note("mqtt %u: stream %llu has ended: %u", c->number, (unsigned long long)c->stream, state);
    c->unsure |= c->kept_s && c->kept_s < MQ_LONG_S; /* for the broker that was some time ago */
    if (!may && !well && state == SIM_ENDED && c->strays)
        c->strays--;
    else if (!may && !well && state == SIM_ENDED)
        history_fail("client %u of MQTT: the broker has ended its connection", c->number);
    away(c, well);
}

void mqtt_move(struct mqtt_client *c)
{
    move_ghosts(c);
    if (c->state == MQ_AWAY)
        return;
    move_out(c);
    move_in(c);
    enum sim_state state = network_state(c->party->network, c->stream);
    if (state != SIM_OPEN)
        ended(c, state);
}

uint64_t mqtt_deadline(const struct mqtt_client *c)
{
    if (c->state != MQ_CONNECTED || !c->keep_alive_s)
        return UINT64_MAX;
    return c->said_ns + c->keep_alive_s * SECOND_NS / 2;
}

bool mqtt_done(const struct mqtt_client *c)
{
    if (c->state == MQ_AWAY)
        return true;
    return c->state == MQ_CONNECTED && !c->out.len && !c->in.len && !c->out_count && !c->asked_count &&
           !c->reply_count && !c->pings && !c->deaf;
}
