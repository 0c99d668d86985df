/* What clients of MQTT do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "mqtt_client.h"

enum { LARGE_MAX = 6000, SMALL_MAX = 40, NUMBER_BYTES = 8 };

static uint64_t below(struct mqtt_client *c, uint64_t n)
{
    return prng_below(&c->party->prng, n);
}

static bool chance(struct mqtt_client *c, uint32_t ppm)
{
    return prng_chance(&c->party->prng, ppm);
}

/* ---- connecting -------------------------------------------------------------------------------------------
 */

static void draw_will(struct mqtt_client *c)
{
    struct mqtt_message *m = mqtt_model_message(c->party->model);
    m->client = c->number;
    m->will = true;
    m->qos = (uint8_t)below(c, 3);
    m->retain = chance(c, c->party->plan->retain_ppm);
    m->len = NUMBER_BYTES + (uint32_t)below(c, SMALL_MAX);
    m->line = c->conn;
    snprintf(m->topic, sizeof m->topic, "%s", mqtt_plan_will_topic(&c->party->prng));
    c->will = m;
    c->will_delay_s = c->version == 5 && below(c, 4) == 0 ? 1 + (uint32_t)below(c, 2) : 0;
}

void mqtt_draw_connection(struct mqtt_client *c)
{
    const struct mqtt_plan *plan = c->party->plan;
    c->keep_alive_s = plan->keeps_alive && below(c, 2) ? 1 + (uint16_t)below(c, 3) : 0;
    c->receive_max = plan->limits && c->version == 5 && below(c, 2) ? 1 + (uint16_t)below(c, 5) : 0;
    c->alias = c->version == 5 && below(c, 2);
    c->lazy = !c->party->calm && chance(c, plan->lazy_ppm);
    c->will_delay_s = 0;
    if (chance(c, plan->will_ppm) && !c->party->calm)
        draw_will(c);
}

static void connect(struct mqtt_client *c)
{
    const struct mqtt_plan *plan = c->party->plan;
    static const uint32_t expiries[] = {0, 1, MQ_LONG_S, UINT32_MAX};
    bool clean = chance(c, plan->clean_ppm);
    uint32_t expiry = chance(c, plan->brief_ppm) ? expiries[below(c, 4)] : MQ_LONG_S;
    if (!c->known)
        c->version = chance(c, plan->five_ppm) ? 5 : 4;
    mqtt_connect(c, clean, expiry);
}

/* ---- publishing -------------------------------------------------------------------------------------------
 */

static void publish(struct mqtt_client *c)
{
    const struct mqtt_plan *plan = c->party->plan;
    if (c->out_count + c->asked_count >= MQ_IDS)
        return;
    struct mqtt_message *m = mqtt_model_message(c->party->model);
    m->qos = (uint8_t)below(c, 3);
    m->retain = chance(c, plan->retain_ppm);
    m->len = NUMBER_BYTES + (uint32_t)below(c, chance(c, plan->large_ppm) ? LARGE_MAX : SMALL_MAX);
    if (m->retain && chance(c, plan->empty_ppm))
        m->len = 0;
    snprintf(m->topic, sizeof m->topic, "%s", mqtt_plan_topic(plan, &c->party->prng));
    mqtt_say(c, m);
}

/* ---- subscribing
 * ------------------------------------------------------------------------------------------- */

static struct mqtt_asked *ask(struct mqtt_client *c, bool quits)
{
    uint16_t id = mqtt_new_id(c);
    CHECK(id);
    c->asked = realloc(c->asked, (c->asked_count + 1) * sizeof *c->asked);
    CHECK(c->asked);
    c->asked[c->asked_count] = (struct mqtt_asked){.id = id, .quits = quits};
    return &c->asked[c->asked_count++];
}

static struct buffer begin(const struct mqtt_client *c, uint16_t id)
{
    struct buffer b = {0};
    add_short(&b, id);
    if (c->version == 5)
        add_octet(&b, 0);
    return b;
}

void mqtt_subscribe(struct mqtt_client *c, unsigned count, const char *const *filters, const uint8_t *options)
{
    struct mqtt_asked *asked = ask(c, false);
    struct buffer b = begin(c, asked->id);
    asked->count = count;
    for (unsigned i = 0; i < count; i++) {
        mqtt_text_add(&b, filters[i]);
        add_octet(&b, options[i]);
        asked->places[i] = mqtt_model_wish(c->party->model, c->session, filters[i], options[i]);
        history_note("mqtt %u subscribes to %s: options 0x%02x", c->number, filters[i], options[i]);
    }
    mqtt_packet_add(&c->out, MQ_SUBSCRIBE, 2, &b);
}

static void subscribe(struct mqtt_client *c)
{
    const char *filters[3];
    uint8_t options[3];
    unsigned count = below(c, 4) ? 1 : 2;
    if (c->out_count + c->asked_count >= MQ_IDS)
        return;
    for (unsigned i = 0; i < count; i++) {
        filters[i] = mqtt_plan_filter(c->party->plan, &c->party->prng);
        bool shared = filters[i][0] == '$';
        options[i] = shared ? c->party->plan->share_qos : (uint8_t)below(c, 3);
        if (c->version == 5 && !shared)
            options[i] |= (uint8_t)((below(c, 5) == 0) << 2 | (below(c, 3) == 0) << 3 | below(c, 3) << 4);
    }
    mqtt_subscribe(c, count, filters, options);
}

static void unsubscribe(struct mqtt_client *c)
{
    if (c->out_count + c->asked_count >= MQ_IDS)
        return;
    const char *filter = mqtt_plan_filter(c->party->plan, &c->party->prng);
    if (c->session->sub_count && below(c, 4)) {
        const struct mqtt_sub *s = &c->session->subs[below(c, c->session->sub_count)];
        filter = s->group < 0 ? s->filter : filter;
    }
    struct mqtt_asked *asked = ask(c, true);
    struct buffer b = begin(c, asked->id);
    asked->count = 1;
    snprintf(asked->filters[0], MQ_TEXT, "%s", filter);
    mqtt_text_add(&b, filter);
    mqtt_packet_add(&c->out, MQ_UNSUBSCRIBE, 2, &b);
    asked->sent = mqtt_model_quit(c->party->model, c->session, filter);
    history_note("mqtt %u unsubscribes from %s", c->number, filter);
}

/* ---- deeds
 * -------------------------------------------------------------------------------------------------- */

static void burst(struct mqtt_client *c)
{
    for (uint64_t n = 2 + below(c, 8); n; n--)
        publish(c);
}

/* On a connection that is there. */
static void act(struct mqtt_client *c, enum mqtt_deed deed)
{
    switch (deed) {
    case MQTT_PUBLISH:
        publish(c);
        return;
    case MQTT_BURST:
        burst(c);
        return;
    case MQTT_SUBSCRIBE:
        subscribe(c);
        return;
    case MQTT_UNSUBSCRIBE:
        unsubscribe(c);
        return;
    case MQTT_REPLY:
        mqtt_reply(c, 1 + (unsigned)below(c, 4));
        return;
    case MQTT_PING:
        mqtt_ping(c);
        return;
    case MQTT_DISCONNECT:
        mqtt_disconnect(c, below(c, 4) == 0);
        return;
    default:
        return;
    }
}

void mqtt_act(struct mqtt_client *c)
{
    enum mqtt_deed deed = mqtt_plan_deed(c->party->plan, &c->party->prng);
    c->party->all->deeds++;
    if (c->state == MQ_AWAY) {
        connect(c);
        return;
    }
    if (deed == MQTT_RESET)
        mqtt_reset(c);
    else if (deed == MQTT_VANISH)
        mqtt_vanish(c);
    else if (deed == MQTT_TAKE_OVER)
        mqtt_abandon(c);
    else if (deed == MQTT_DEAF || deed == MQTT_HEAR)
        mqtt_deafen(c, deed == MQTT_DEAF);
    else if (c->state == MQ_CONNECTED && c->out.len < LARGE_MAX)
        act(c, deed);
}
