/* What comes to a client, and how it answers. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "mqtt_client.h"

/* From here on identifiers are shared subscriptions', which no session keeps. */
enum { SHARED_IDS = 49152 };

static struct mqtt_in *find(const struct mqtt_client *c, uint16_t id)
{
    for (unsigned i = 0; i < c->in_count; i++)
        if (c->ins[i].id == id)
            return &c->ins[i];
    return NULL;
}

static void forget(struct mqtt_client *c, struct mqtt_in *in)
{
    *in = c->ins[--c->in_count];
}

/* ---- answers ---------------------------------------------------------------------------------------------
 */

void mqtt_reply_later(struct mqtt_client *c, unsigned type, uint16_t id, bool counts)
{
    c->replies = realloc(c->replies, (c->reply_count + 1) * sizeof *c->replies);
    CHECK(c->replies);
    c->replies[c->reply_count++] = (struct mqtt_reply){(uint8_t)type, counts, id};
}

void mqtt_reply(struct mqtt_client *c, unsigned n)
{
    n = n < c->reply_count ? n : c->reply_count;
    for (unsigned i = 0; i < n; i++) {
        struct mqtt_reply reply = c->replies[i];
        struct mqtt_in *in = find(c, reply.id);
        mqtt_answer_add(&c->out, reply.type, reply.id);
        c->unanswered -= reply.counts;
        if ((reply.type == MQ_PUBACK || reply.type == MQ_PUBREC) && in)
            c->party->model->messages[in->number]->taken = true;
        if (reply.type == MQ_PUBACK && in)
            forget(c, in);
        if (reply.type == MQ_PUBREC && in)
            in->sent = true;
    }
    c->reply_count -= n;
    if (n)
        memmove(c->replies, c->replies + n, c->reply_count * sizeof *c->replies);
}

/* ---- PUBLISH ----------------------------------------------------------------------------------------------
 */

/* Its properties; the topic may be one that an alias stands for. */
static void read_alias(struct mqtt_client *c, struct reader *r, struct text *topic)
{
    struct mqtt_said said = mqtt_properties_read(r);
    if (said.bad || said.alias > (c->alias ? MQ_ALIASES : 0))
        history_fail("client %u of MQTT: PUBLISH with wrong properties", c->number);
    if (said.alias && topic->s[0])
        memcpy(c->aliases[said.alias], topic->s, MQ_TEXT);
    else if (said.alias)
        memcpy(topic->s, c->aliases[said.alias], MQ_TEXT);
}

/* QoS 1 and 2. Returns whether the client has the message already. */
static bool take_id(struct mqtt_client *c, const struct mqtt_delivery *d, unsigned *known)
{
    struct mqtt_in *in = find(c, d->id);
    if (!d->id || (in && in->conn == c->conn && d->id < SHARED_IDS))
        history_fail("client %u of MQTT: PUBLISH with identifier %u, which is in use", c->number, d->id);
    if (c->receive_max && ++c->unanswered > c->receive_max)
        history_fail("client %u of MQTT: %u deliveries are not answered; it takes %u", c->number,
                     c->unanswered, c->receive_max);
    mqtt_reply_later(c, d->qos == 1 ? MQ_PUBACK : MQ_PUBREC, d->id, d->qos == 1 && c->receive_max);
    if (in) {
        in->conn = c->conn;
        in->qos = d->qos; /* another SUBSCRIBE may have come in between */
        *known = in->number;
        return true;
    }
    c->ins = realloc(c->ins, (c->in_count + 1) * sizeof *c->ins);
    CHECK(c->ins);
    c->ins[c->in_count++] = (struct mqtt_in){.id = d->id, .qos = d->qos, .conn = c->conn};
    return false;
}

void mqtt_on_publish(struct mqtt_client *c, const struct mqtt_packet *p)
{
    struct reader r = p->args;
    struct mqtt_delivery d = {.dup = p->flags >> 3 & 1,
                              .qos = p->flags >> 1 & 3,
                              .retain = p->flags & 1,
                              .conn = c->conn,
                              .conn_begin = c->conn_begin};
    struct text topic = mqtt_text_read(&r);
    unsigned known = 0;
    if (d.qos)
        d.id = read_short(&r);
    if (c->version == 5)
        read_alias(c, &r, &topic);
    if (r.bad || d.qos == 3 || !topic.s[0])
        history_fail("client %u of MQTT: a malformed PUBLISH", c->number);
    d.topic = topic.s;
    d.body = r.at;
    d.len = (uint32_t)(r.end - r.at);
    if (d.qos)
        d.again = take_id(c, &d, &known);
    history_note("mqtt %u has message %.*s: QoS %u, id %u%s%s%s", c->number, d.len ? 8 : 0,
                 (const char *)d.body, d.qos, d.id, d.dup ? ", DUP" : "", d.retain ? ", RETAIN" : "",
                 d.again ? ", known" : "");
    unsigned number = mqtt_model_delivered(c->party->model, c->session, &d);
    if (d.again && known != number && d.id < SHARED_IDS)
        history_fail("client %u of MQTT: message %u came as identifier %u, which is message %u's", c->number,
                     number, d.id, known);
    if (d.qos)
        find(c, d.id)->number = number;
}

/* ---- PUBREL
 * ------------------------------------------------------------------------------------------------ */

void mqtt_on_pubrel(struct mqtt_client *c, const struct mqtt_packet *p)
{
    struct reader r = p->args;
    uint16_t id = read_short(&r);
    uint8_t code = r.at < r.end ? read_octet(&r) : 0;
    struct mqtt_in *in = find(c, id);
    bool was = c->freed[id / 8] >> id % 8 & 1, now = in && in->conn == c->conn;
    if (code)
        history_fail("client %u of MQTT: PUBREL for %u with 0x%02x", c->number, id, code);
    if (in ? in->qos != 2 || (now && !in->sent) : !was)
        history_fail("client %u of MQTT: PUBREL for %u, which isn't due", c->number, id);
    c->freed[id / 8] |= (uint8_t)(1 << id % 8);
    mqtt_reply_later(c, MQ_PUBCOMP, id, now && c->receive_max);
    if (in)
        forget(c, in);
}
