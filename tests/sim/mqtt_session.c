/* The client's session: what it has published and subscribed to, and what is still to be answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "mqtt_client.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- publishing -------------------------------------------------------------------------------------------
 */

static void send_publish(struct mqtt_client *c, const struct mqtt_message *m, uint16_t id, bool dup)
{
    struct buffer b = {0};
    uint8_t *body = malloc(m->len + 1);
    CHECK(body);
    mqtt_body(m, body);
    mqtt_text_add(&b, m->topic);
    if (m->qos)
        add_short(&b, id);
    if (c->version == 5)
        add_octet(&b, 0);
    buffer_add(&b, body, m->len);
    free(body);
    mqtt_packet_add(&c->out, MQ_PUBLISH, (dup ? 8u : 0u) | (unsigned)m->qos << 1 | m->retain, &b);
    history_note("mqtt %u publishes message %08u to %s: QoS %u, id %u%s%s, %u bytes", c->number, m->number,
                 m->topic, m->qos, id, dup ? ", again" : "", m->retain ? ", retained" : "", m->len);
}

static bool in_use(const struct mqtt_client *c, uint16_t id)
{
    for (unsigned i = 0; i < c->out_count; i++)
        if (c->outs[i].id == id)
            return true;
    for (unsigned i = 0; i < c->asked_count; i++)
        if (c->asked[i].id == id)
            return true;
    return false;
}

uint16_t mqtt_new_id(struct mqtt_client *c)
{
    for (unsigned i = 0; i < MQ_IDS; i++) {
        c->last_id = c->last_id % MQ_IDS + 1;
        if (!in_use(c, c->last_id))
            return c->last_id;
    }
    return 0;
}

void mqtt_say(struct mqtt_client *c, struct mqtt_message *m)
{
    uint16_t id = 0;
    m->client = c->number;
    m->line = m->qos ? c->line : c->conn;
    if (m->qos) {
        id = mqtt_new_id(c);
        CHECK(id);
        c->outs = realloc(c->outs, (c->out_count + 1) * sizeof *c->outs);
        CHECK(c->outs);
        c->outs[c->out_count++] = (struct mqtt_out){.id = id, .message = m};
    }
    send_publish(c, m, id, false);
}

static void drop_out(struct mqtt_client *c, unsigned i)
{
    memmove(&c->outs[i], &c->outs[i + 1], (--c->out_count - i) * sizeof *c->outs);
}

/* ---- a connection has the session --------------------------------------------------------------------- */

/* The connections before this one are surely gone: nothing more gets in from there. */
static void messages_loose(struct mqtt_client *c)
{
    const struct mqtt_model *model = c->party->model;
    for (unsigned i = 1; i < model->message_count; i++) {
        struct mqtt_message *m = model->messages[i];
        if (m->client == c->number && m->end == MQ_OPEN && (m->will ? m != c->will : !m->qos))
            m->loose = true;
    }
}

static void begin_anew(struct mqtt_client *c)
{
    for (unsigned i = 0; i < c->out_count; i++)
        c->outs[i].message->loose = true;
    c->out_count = c->in_count = 0;
    c->line = c->conn;
    memset(c->freed, 0, sizeof c->freed);
    mqtt_session_anew(c->session);
}

static void send_again(struct mqtt_client *c)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->in_count; i++) {
        c->ins[i].sent = false;
        if (c->ins[i].qos == 2)
            c->ins[kept++] = c->ins[i];
    }
    c->in_count = kept;
    for (unsigned i = 0; i < c->out_count; i++) {
        struct mqtt_out *out = &c->outs[i];
        if (out->released) {
            mqtt_answer_add(&c->out, MQ_PUBREL, out->id);
            continue;
        }
        mqtt_message_again(c->party->model, out->message, c->version == 5);
        send_publish(c, out->message, out->id, true);
    }
}

static void judge_present(const struct mqtt_client *c, bool present)
{
    bool kept = c->kept_s == UINT32_MAX || c->party->now_ns < c->left_ns + c->kept_s * SECOND_NS;
    bool may_be = !c->clean && (c->unsure || (c->known && c->kept_s));
    bool must_be = may_be && c->known && !c->unsure && kept;
    if (present && !may_be)
        history_fail("client %u of MQTT: a session is present, and can't be", c->number);
    if (!present && must_be)
        history_fail("client %u of MQTT: its session is gone", c->number);
}

void mqtt_session_resumed(struct mqtt_client *c, bool present)
{
    bool failed = c->party->model->failed;
    history_note("mqtt %u is connected: session present %u", c->number, present);
    judge_present(c, present);
    messages_loose(c);
    if (!present)
        begin_anew(c);
    else
        send_again(c);
    c->known = true;
    c->must_clean &= failed || c->stray_wipes;
    c->unsure = failed || c->strays;
    c->kept_s = c->unsure && c->kept_s < c->expiry_s ? c->kept_s : c->expiry_s;
    c->must_clean |= !c->kept_s && c->conn_downs != c->party->model->downs; /* as in mqtt_party_down */
}

/* ---- answers to PUBLISH and PUBREL
 * ------------------------------------------------------------------------- */

static void answered(struct mqtt_client *c, unsigned i, unsigned type, uint8_t code)
{
    struct mqtt_message *m = c->outs[i].message;
    struct mqtt_model *model = c->party->model;
    if (m->qos != (type == MQ_PUBACK ? 1 : 2))
        history_fail("client %u of MQTT: %s for QoS %u", c->number, mqtt_type_text(type), m->qos);
    if (code >= 0x80 && !mqtt_failed(c))
        history_fail("client %u of MQTT: message %u was refused with 0x%02x", c->number, m->number, code);
    mqtt_message_over(model, m, code < 0x80 ? MQ_YES : MQ_MAYBE);
    if (code >= 0x80 || type == MQ_PUBACK) {
        drop_out(c, i);
        return;
    }
    c->outs[i].released = true;
    mqtt_reply_later(c, MQ_PUBREL, c->outs[i].id, false);
}

void mqtt_on_answer(struct mqtt_client *c, const struct mqtt_packet *p)
{
    struct reader r = p->args;
    uint16_t id = read_short(&r);
    uint8_t code = r.at < r.end ? read_octet(&r) : 0;
    bool completes = p->type == MQ_PUBCOMP;
    unsigned i = 0;
    while (i < c->out_count && c->outs[i].released != completes)
        i++;
    if (i == c->out_count || c->outs[i].id != id)
        history_fail("client %u of MQTT: %s for %u, and due is %u", c->number, mqtt_type_text(p->type), id,
                     i == c->out_count ? 0 : c->outs[i].id);
    if (!completes) {
        answered(c, i, p->type, code);
        return;
    }
    if (code)
        history_fail("client %u of MQTT: PUBCOMP for %u with 0x%02x", c->number, id, code);
    drop_out(c, i);
}

/* ---- SUBACK, UNSUBACK
 * ---------------------------------------------------------------------------------------
 */

void mqtt_on_suback(struct mqtt_client *c, const struct mqtt_packet *p)
{
    struct mqtt_model *model = c->party->model;
    bool failed = mqtt_failed(c);
    struct reader r = p->args;
    uint16_t id = read_short(&r);
    struct mqtt_asked asked = c->asked_count ? c->asked[0] : (struct mqtt_asked){0};
    if (id != asked.id || asked.quits != (p->type == MQ_UNSUBACK))
        history_fail("client %u of MQTT: %s for %u, and due is %u", c->number, mqtt_type_text(p->type), id,
                     asked.id);
    memmove(c->asked, c->asked + 1, --c->asked_count * sizeof *c->asked);
    if (c->version == 5 && mqtt_properties_read(&r).bad)
        history_fail("client %u of MQTT: %s with wrong properties", c->number, mqtt_type_text(p->type));
    bool codes = !asked.quits || c->version == 5;
    if ((size_t)(r.end - r.at) != (codes ? asked.count : 0))
        history_fail("client %u of MQTT: %s with %zu codes", c->number, mqtt_type_text(p->type),
                     (size_t)(r.end - r.at));
    for (unsigned i = 0; i < asked.count; i++) {
        uint8_t code = codes ? read_octet(&r) : 0;
        if (asked.quits)
            mqtt_model_quitted(model, c->session, asked.filters[i], asked.sent, code < 0x80, failed);
        else
            mqtt_model_wished(model, c->session, asked.places[i], code, failed);
    }
}
