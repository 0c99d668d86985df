#include "codec/mqtt/answer.h"

#include "codec/mqtt/property.h"

/* Whether there is such a code for it: MQTT 5.0, tables 3-4 to 3-7. */
static bool code_valid(enum packet packet, uint8_t code)
{
    if (packet == PACKET_PUBREL || packet == PACKET_PUBCOMP)
        return code == REASON_SUCCESS || code == REASON_ID_NOT_FOUND;
    switch (code) {
    case REASON_SUCCESS:
    case REASON_NO_SUBSCRIBERS:
    case REASON_UNSPECIFIED:
    case REASON_IMPLEMENTATION:
    case REASON_NOT_AUTHORIZED:
    case REASON_TOPIC:
    case REASON_ID_IN_USE:
    case REASON_QUOTA:
    case REASON_PAYLOAD_FORMAT:
        return true;
    default:
        return false;
    }
}

static enum reason read(struct mqtt *c, struct span *in, enum packet packet, struct answer *answer)
{
    struct mqtt_properties p;
    answer->reason = REASON_SUCCESS;
    if (!take_u16(in, &answer->id) || !answer->id)
        return REASON_MALFORMED;
    if (c->version != MQTT_5 || !in->len)
        return REASON_SUCCESS;
    take_u8(in, &answer->reason);
    if (!code_valid(packet, answer->reason))
        return REASON_PROTOCOL;
    return in->len ? properties_take(in, packet, &p) : REASON_SUCCESS;
}

bool answer_read(struct mqtt *c, struct span in, enum packet packet, struct answer *answer)
{
    enum reason reason = read(c, &in, packet, answer);
    if (reason == REASON_SUCCESS && in.len)
        reason = REASON_MALFORMED;
    if (reason != REASON_SUCCESS)
        mqtt_fail(c, reason, "packet of type %u", packet);
    return reason == REASON_SUCCESS;
}

/* ---- a client's, to deliveries --------------------------------------------------------------------- */

static void settled(struct mqtt *c, uint16_t id, const struct sent *sent)
{
    const struct source *source = slots_get(&c->sources, sent->consumer);
    settle_add(&c->settle, c->host, sent->router, sent->queue, sent->seq, SETTLE_ACK,
               source ? source->id : 0);
    inflight_remove(&c->inflight, id);
    held_send(c);
}

/* The one that waits for this, or NULL. */
static struct sent *find(struct mqtt *c, struct span in, enum packet packet, unsigned state, struct answer *a)
{
    if (!answer_read(c, in, packet, a))
        return NULL;
    struct sent *sent = inflight_find(&c->inflight, a->id);
    return sent && sent->state == state ? sent : NULL;
}

/* An error said with it ends the delivery all the same ([MQTT-4.4.0-2]). */
void on_puback(struct mqtt *c, struct span in)
{
    struct answer a;
    struct sent *sent = find(c, in, PACKET_PUBACK, INFLIGHT_ACK, &a);
    if (sent)
        settled(c, a.id, sent);
}

void on_pubrec(struct mqtt *c, struct span in)
{
    struct answer a;
    struct sent *sent = find(c, in, PACKET_PUBREC, INFLIGHT_REC, &a);
    bool again = !sent && inflight_find(&c->inflight, a.id) && c->stage == STAGE_OPEN;
    if (c->stage != STAGE_OPEN)
        return;
    if (sent && a.reason >= REASON_UNSPECIFIED) {
        settled(c, a.id, sent);
        return;
    }
    if (sent)
        sent->state = INFLIGHT_COMP;
    if (sent && c->persistent && c->own && sent->consumer == c->own->handle) {
        settle_add(&c->settle, c->host, sent->router, sent->queue, sent->seq, SETTLE_RECEIVED, 0);
        batch_received(c, a.id);
        return;
    }
    send_answer(c, PACKET_PUBREL, 2, a.id, sent || again ? REASON_SUCCESS : REASON_ID_NOT_FOUND);
}

void on_pubcomp(struct mqtt *c, struct span in)
{
    struct answer a;
    struct sent *sent = find(c, in, PACKET_PUBCOMP, INFLIGHT_COMP, &a);
    if (sent)
        settled(c, a.id, sent);
}
