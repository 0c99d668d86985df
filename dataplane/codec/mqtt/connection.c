/*
 * The life of an MQTT connection, as the front sees it:
 *
 *   open -> (input | event)*, flush after each turn -> gone
 *
 * new -> (CONNECT) -> attaching -> (the router has the session for us) -> open -> closed
 */
#include "codec/mqtt/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/mqtt.h"
#include "codec/mqtt/permission.h"
#include "codec/mqtt/property.h"
#include "codec/mqtt/will.h"

#define SECOND_NS 1000000000ull

struct span bytes_keep(struct span s)
{
    uint8_t *at = malloc(s.len + 1);
    CHECK(at);
    put_span(at, s);
    return span_of(at, s.len);
}

void bytes_drop(struct span *s)
{
    free((void *)(uintptr_t)s->at);
    *s = (struct span){0};
}

/* ---- failure, output ------------------------------------------------------------------------------ */

static void close_now(struct mqtt *c)
{
    mqtt_release(c);
    c->stage = STAGE_CLOSED;
    host_close(c->host);
}

/* MQTT 5.0, 3.14: reason and, where it fits, a text. */
static void send_disconnect(struct mqtt *c, enum reason reason, const char *text)
{
    size_t len = strlen(text);
    if (c->packet_max < len + 16)
        len = 0;
    uint8_t *start = host_reserve(c->host, len + 16), *p = put_u8(start, PACKET_DISCONNECT << 4);
    uint32_t properties = len ? (uint32_t)len + 3 : 0;
    p = varint_put(p, 1 + varint_bytes(properties) + properties);
    p = varint_put(put_u8(p, (uint8_t)reason), properties);
    if (len)
        p = put_property_text(p, PROPERTY_REASON, span_of(text, len));
    host_commit(c->host, (size_t)(p - start));
}

void mqtt_fail(struct mqtt *c, enum reason reason, const char *format, ...)
{
    char text[256];
    va_list args;
    if (c->stage == STAGE_CLOSED)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    host_log(c->host, "connection closed: %s: %s", reason_text(reason), text);
    if (c->stage == STAGE_OPEN && c->version == MQTT_5)
        send_disconnect(c, reason, mqtt_text_valid(span_str(text)) ? text : "");
    else if (c->stage == STAGE_NEW && c->version)
        connect_refuse(c, reason);
    close_now(c);
}

void send_answer(struct mqtt *c, enum packet packet, unsigned flags, uint16_t id, enum reason reason)
{
    bool says = c->version == MQTT_5 && reason != REASON_SUCCESS;
    uint8_t *p = host_reserve(c->host, 5);
    put_u8(put_be16(put_u8(put_u8(p, (uint8_t)(packet << 4 | flags)), says ? 3 : 2), id), (uint8_t)reason);
    host_commit(c->host, says ? 5 : 4);
}

/* ---- ops ------------------------------------------------------------------------------------------ */

struct op *mqtt_op(struct mqtt *c, enum op_kind kind, enum purpose purpose, struct span queue)
{
    struct op *op = host_op(c->host);
    op->kind = kind;
    op->reply = (uint16_t)purpose;
    op->vhost = c->vhost;
    name_set(&op->name, queue);
    c->ops++;
    return op;
}

void mqtt_send(struct mqtt *c, struct op *op)
{
    settle_flush(&c->settle, c->host);
    host_send_op(c->host, op);
}

void mqtt_send_to(struct mqtt *c, unsigned router, struct op *op)
{
    settle_flush(&c->settle, c->host);
    host_send_op_to(c->host, router, op);
}

/* What came to be while the connection ended goes the way of the rest. */
static void undo(struct mqtt *c, const struct op *done)
{
    if (done->error != ERR_NONE)
        return;
    if (done->kind == OP_CONSUME) {
        struct op *op = mqtt_op(c, OP_CANCEL, PURPOSE_RELEASE, name_span(&done->name));
        op->consumer = done->consumer;
        mqtt_send_to(c, host_router_of(c->host, c->vhost, name_span(&done->name)), op);
    } else if (done->kind == OP_SESSION_ATTACH) {
        struct op *op = mqtt_op(c, OP_SESSION_DETACH, PURPOSE_RELEASE, name_span(&done->name));
        op->expiry_s = c->expiry_s;
        mqtt_send(c, op);
    }
}

static void op_back(struct mqtt *c, struct op *op)
{
    c->ops--;
    if (c->stage == STAGE_CLOSED)
        undo(c, op);
    else if (op->reply == PURPOSE_ATTACH)
        mqtt_attached(c, op);
    else if (op->reply == PURPOSE_BATCH)
        batch_back(c, op);
    else if (op->reply != PURPOSE_RELEASE)
        mqtt_request_back(c, op);
    host_free_op(c->host, op);
}

/* ---- input ----------------------------------------------------------------------------------------- */

/* Flags of the fixed header that are not a PUBLISH's (2.1.3). */
static unsigned flags_of(unsigned packet)
{
    return packet == PACKET_PUBREL || packet == PACKET_SUBSCRIBE || packet == PACKET_UNSUBSCRIBE ? 2 : 0;
}

static void on_pingreq(struct mqtt *c, struct span in)
{
    if (in.len) {
        mqtt_fail(c, REASON_MALFORMED, "PINGREQ of %zu bytes", in.len);
        return;
    }
    put_be16(host_reserve(c->host, 2), PACKET_PINGRESP << 12);
    host_commit(c->host, 2);
}

static void on_auth(struct mqtt *c, struct span in)
{
    (void)in;
    mqtt_fail(c, REASON_PROTOCOL, "AUTH without an authentication method in CONNECT");
}

static void take(struct mqtt *c, unsigned head, struct span in)
{
    static void (*const handlers[16])(struct mqtt *, struct span) = {
        [PACKET_CONNECT] = on_connect,         [PACKET_PUBACK] = on_puback,
        [PACKET_PUBREC] = on_pubrec,           [PACKET_PUBREL] = on_pubrel,
        [PACKET_PUBCOMP] = on_pubcomp,         [PACKET_SUBSCRIBE] = on_subscribe,
        [PACKET_UNSUBSCRIBE] = on_unsubscribe, [PACKET_PINGREQ] = on_pingreq,
        [PACKET_DISCONNECT] = on_disconnect,   [PACKET_AUTH] = on_auth,
    };
    unsigned packet = head >> 4;
    bool known = handlers[packet] && (packet != PACKET_AUTH || c->version == MQTT_5);
    if (!known)
        mqtt_fail(c, packet ? REASON_PROTOCOL : REASON_MALFORMED, "a client sends no packet of type %u",
                  packet);
    else if ((head & 15) != flags_of(packet))
        mqtt_fail(c, REASON_MALFORMED, "flags %u in a packet of type %u", head & 15, packet);
    else if (c->stage == STAGE_OPEN && packet == PACKET_CONNECT)
        mqtt_fail(c, REASON_PROTOCOL, "a second CONNECT");
    else
        handlers[packet](c, in);
}

/* The first packet is CONNECT: nothing is said to who sends another ([MQTT-3.1.0-1]). */
static bool is_expected(struct mqtt *c, unsigned head)
{
    if (c->stage != STAGE_NEW || head >> 4 == PACKET_CONNECT)
        return true;
    mqtt_fail(c, REASON_PROTOCOL, "the first packet is of type %u and no CONNECT", head >> 4);
    return false;
}

/* Takes the first packet of `in`; returns its bytes, 0 if it is not all there or must wait. */
static size_t packet_input(struct mqtt *c, struct span in)
{
    uint32_t remaining;
    int n = in.len < 2 ? 0 : varint_read(span_of(in.at + 1, in.len - 1), &remaining);
    if (n < 0)
        mqtt_fail(c, REASON_MALFORMED, "a length of more than four bytes, or of more than are needed");
    if (n <= 0 || !is_expected(c, in.at[0]))
        return 0;
    unsigned head = in.at[0];
    size_t head_bytes = 1 + (size_t)n;
    struct span rest = span_of(in.at + head_bytes, in.len - head_bytes);
    if (head >> 4 == PACKET_PUBLISH) {
        size_t used = mqtt_publish(c, rest, head & 15, remaining);
        return used ? head_bytes + used : 0;
    }
    if (remaining > FRAME_BYTES_MAX - 8) {
        mqtt_fail(c, REASON_TOO_LARGE, "a packet of %u bytes; %u at most but for PUBLISH", remaining,
                  FRAME_BYTES_MAX - 8);
        return 0;
    }
    if (rest.len < remaining)
        return 0;
    take(c, head, span_of(rest.at, remaining));
    return c->logging_in ? 0 : head_bytes + remaining;
}

/* A SUBSCRIBE is answered before what comes behind it is looked at; so is CONNECT. */
static bool may_go_on(const struct mqtt *c)
{
    return c->stage != STAGE_CLOSED && c->stage != STAGE_ATTACHING && !c->request;
}

static size_t mqtt_input(void *state, struct host *host, struct span bytes)
{
    struct mqtt *c = state;
    size_t used = 0, n = 1;
    c->host = host;
    c->parked = false;
    c->heard_ns = host_now(host);
    c->row = NULL;
    while (used < bytes.len && n && may_go_on(c)) {
        struct span in = span_of(bytes.at + used, bytes.len - used);
        n = c->rest.left ? mqtt_publish_rest(c, in) : packet_input(c, in);
        used += n;
    }
    return c->stage == STAGE_CLOSED ? bytes.len : used;
}

/* ---- the codec -------------------------------------------------------------------------------------- */

static void mqtt_open(void *state, struct host *host)
{
    struct mqtt *c = state;
    c->host = host;
    c->options = host_options(host);
    c->packet_max = UINT32_MAX;
    incoming_init(&c->incoming);
    subscriptions_init(&c->subs);
    host_wake_at(host, host_now(host) + c->options->handshake_ms * 1000000ull);
}

static void mqtt_event(void *state, struct host *host, unsigned router, const union event *event)
{
    struct mqtt *c = state;
    c->host = host;
    switch (event->kind) {
    case EVENT_DELIVER:
        mqtt_deliver(c, router, &event->deliver);
        break;
    case EVENT_CONFIRM:
        mqtt_confirmed(c, &event->confirm);
        break;
    case EVENT_CANCEL:
        mqtt_cancelled(c, &event->cancel);
        break;
    case EVENT_OP:
        op_back(c, event->op.op);
        break;
    default:
        break; /* the front's own; nothing is returned, since no publish is mandatory */
    }
}

static void mqtt_flush(void *state, struct host *host)
{
    struct mqtt *c = state;
    c->host = host;
    settle_flush(&c->settle, host);
    batches_send(c);
    if (host_backlog(host) < OUTPUT_HIGH_BYTES)
        sources_credit(c);
}

static void mqtt_drained(void *state, struct host *host)
{
    struct mqtt *c = state;
    c->host = host;
    sources_credit(c);
}

/* One and a half times the keep alive ([MQTT-3.1.2-22]). A client that we let wait, or that takes what we
 * send, is alive though nothing comes. A publish that waits for much output to be taken doesn't count: it is
 * the client that lets us wait. */
static void watch_silence(struct mqtt *c)
{
    uint64_t now = host_now(c->host), most = c->keep_alive_s * SECOND_NS * 3 / 2;
    size_t backlog = host_backlog(c->host);
    if (!c->keep_alive_s)
        return;
    bool waits = c->parked && backlog <= OUTPUT_HIGH_BYTES / 2;
    if (waits || backlog < c->backlog)
        c->heard_ns = now;
    c->backlog = backlog;
    if (now >= c->heard_ns + most)
        mqtt_fail(c, REASON_KEEP_ALIVE, "nothing heard for %llu s", (unsigned long long)(most / SECOND_NS));
    else
        host_wake_at(c->host, c->heard_ns + most);
}

static void mqtt_tick(void *state, struct host *host)
{
    struct mqtt *c = state;
    c->host = host;
    if (c->stage == STAGE_OPEN)
        watch_silence(c);
    else if (c->stage == STAGE_NEW)
        mqtt_fail(c, REASON_PROTOCOL, "no CONNECT in time");
}

/* MQTT has no word for it: what is sent waits. */
static void mqtt_blocked(void *state, struct host *host, const char *reason)
{
    struct mqtt *c = state;
    c->host = host;
    if (reason)
        host_log(host, "publishes wait: %s", reason);
}

static void mqtt_shutdown(void *state, struct host *host, const char *why)
{
    struct mqtt *c = state;
    c->host = host;
    mqtt_fail(c, REASON_SHUTTING_DOWN, "%s", why);
}

static void mqtt_gone(void *state, struct host *host)
{
    struct mqtt *c = state;
    c->host = host;
    mqtt_release(c);
    settle_flush(&c->settle, host); /* deliveries may have come since it was closed */
    c->stage = STAGE_CLOSED;
    incoming_free(&c->incoming);
    inflight_free(&c->inflight);
    subscriptions_free(&c->subs);
    slots_free(&c->sources);
    batches_free(c);
    free(c->request);
    c->request = NULL;
    bytes_drop(&c->client_id);
    bytes_drop(&c->queue);
    bytes_drop(&c->sender);
}

static void mqtt_expel(void *state, struct host *host, const char *why, bool gone)
{
    struct mqtt *c = state;
    c->host = host;
    if (gone)
        will_drop(c); /* nobody may publish it any more */
    mqtt_fail(c, REASON_ADMINISTRATIVE, "%s", why);
}

static void mqtt_on_access(void *state, struct host *host)
{
    struct mqtt *c = state;
    c->host = host;
    mqtt_access_changed(c);
}

/* ---- for lists ------------------------------------------------------------------------------------ */

static void mqtt_about(const void *state, struct connection_facts *facts)
{
    const struct mqtt *c = state;
    facts->heartbeat_s = c->keep_alive_s;
    facts->client_id = c->client_id;
}

static bool mqtt_consumer(const void *state, uint64_t *at, unsigned *steps, struct consumer_facts *facts)
{
    const struct mqtt *c = state;
    const struct source *source;
    while ((source = slots_walk(&c->sources, at, steps)))
        if (source->id) {
            *facts = (struct consumer_facts){.prefetch = c->receive_max,
                                             .ack_required = true,
                                             .exclusive = !source->shared,
                                             .queue = source->shared ? source->queue : c->queue};
            return true;
        }
    return false;
}

static bool mqtt_delivery(const void *state, const struct delivery_wish *wish, uint64_t *at, unsigned *steps,
                          struct delivery_facts *facts)
{
    const struct mqtt *c = state;
    const struct sent *sent = NULL;
    uint16_t id;
    while ((sent = inflight_walk(&c->inflight, at, steps, &id)))
        if (delivery_is_wanted(wish, sent->router, sent->queue, sent->seq)) {
            *facts = (struct delivery_facts){.number = id, .seq = sent->seq};
            return true;
        }
    return false;
}

const struct codec codec_mqtt = {
    .name = "mqtt",
    .state_bytes = sizeof(struct mqtt),
    .open = mqtt_open,
    .input = mqtt_input,
    .event = mqtt_event,
    .flush = mqtt_flush,
    .drained = mqtt_drained,
    .tick = mqtt_tick,
    .blocked = mqtt_blocked,
    .shutdown = mqtt_shutdown,
    .expel = mqtt_expel,
    .access_changed = mqtt_on_access,
    .gone = mqtt_gone,
    .about = mqtt_about,
    .consumer = mqtt_consumer,
    .delivery = mqtt_delivery,
};
