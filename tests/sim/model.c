/* The model's front door: connections and channels, and who looks at what was said. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model_inside.h"
#include "model_producer.h"

/* ---- lists -------------------------------------------------------------------------------------------- */

/* Room doubles whenever the count is a power of two. */
void *model_room(void *list, unsigned count, size_t size)
{
    if (count & (count - 1))
        return list;
    list = realloc(list, (count ? 2 * (size_t)count : 1) * size);
    CHECK(list);
    return list;
}

void *model_make(size_t size)
{
    void *p = calloc(1, size);
    CHECK(p);
    return p;
}

bool same(const struct text *a, const struct text *b)
{
    return strcmp(a->s, b->s) == 0;
}

bool is(const struct text *a, const char *b)
{
    return strcmp(a->s, b) == 0;
}

/* ---- making one --------------------------------------------------------------------------------------- */

struct model *model_new(void)
{
    static const char *const names[] = {"", "amq.direct", "amq.fanout", "amq.topic", "amq.headers"};
    static const char *const types[] = {"direct", "direct", "fanout", "topic", "headers"};
    struct model *model = model_make(sizeof *model);
    model->next_ms = UINT64_MAX;
    for (unsigned i = 0; i < 5; i++) {
        struct text name = {{0}};
        snprintf(name.s, sizeof name.s, "%s", names[i]);
        struct known_exchange *e = model_exchange(model, &name, true);
        snprintf(e->type.s, sizeof e->type.s, "%s", types[i]);
        e->durable = true;
        e->thing.there = YES;
    }
    return model;
}

void model_attach(struct model *model, const struct taps *taps)
{
    model->taps = taps;
}

static void free_channel(struct known_channel *channel)
{
    for (unsigned i = 0; i < channel->request_count; i++) {
        buffer_free(&channel->requests[i]->arguments);
        free(channel->requests[i]->messages);
        free(channel->requests[i]);
    }
    free(channel->requests);
    free(channel->halfway);
    free(channel->unacked);
    free(channel->confirms);
    free(channel->open);
    free(channel->tx);
    free(channel);
}

/* Its bytes are the original's. */
static void free_letter(struct known_message *m)
{
    for (unsigned e = 0; e < m->entry_count; e++)
        free(m->entries[e]);
    free(m->entries);
    free(m);
}

static void free_messages(struct model *model)
{
    for (unsigned i = 0; i < model->message_count; i++) {
        struct known_message *m = model->messages[i];
        if (!m)
            continue;
        for (unsigned e = 0; e < m->entry_count; e++)
            free(m->entries[e]);
        for (unsigned l = 0; l < m->letter_count; l++)
            free_letter(m->letters[l]);
        buffer_free(&m->properties);
        buffer_free(&m->body);
        free(m->letters);
        free(m->entries);
        free(m);
    }
    free(model->messages);
    free(model->routing);
    free(model->in_ram);
    free(model->promises);
    free(model->delayed);
}

static void free_things(struct model *model)
{
    for (unsigned i = 0; i < model->exchange_count; i++)
        free(model->exchanges[i]);
    for (unsigned i = 0; i < model->queue_count; i++) {
        free(model->queues[i]->entries);
        free(model->queues[i]->shown);
        free(model->queues[i]->told);
        free(model->queues[i]->shed);
        free(model->queues[i]);
    }
    for (unsigned i = 0; i < model->binding_count; i++) {
        buffer_free(&model->bindings[i]->arguments);
        free(model->bindings[i]);
    }
    free(model->exchanges);
    free(model->queues);
    free(model->bindings);
}

void model_free(struct model *model)
{
    free_messages(model);
    model_numbers_free(model);
    free_things(model);
    for (unsigned i = 0; i < model->channel_count; i++)
        free_channel(model->channels[i]);
    for (unsigned i = 0; i < model->consumer_count; i++) {
        free(model->consumers[i]->got);
        free(model->consumers[i]);
    }
    for (unsigned i = 0; i < model->conn_count; i++)
        free(model->conns[i]);
    free(model->idles);
    free(model->channels);
    free(model->consumers);
    free(model->conns);
    free(model);
}

struct model_counts model_counts(const struct model *model)
{
    return model->counts;
}

void model_failed(struct model *model)
{
    if (!model->failed)
        history_note("model: a journal has failed");
    model->failed = true;
}

/* The broker looks every now and then whether there is room again. */
void model_no_room(struct model *model)
{
    const uint64_t patience_ns = 500000000;
    model->room_ns = model->now_ns + patience_ns;
}

/* ---- connections and channels ------------------------------------------------------------------------- */

static struct known_conn *conn_of(const struct model *model, uint64_t stream)
{
    for (unsigned i = model->conn_count; i-- > 0;)
        if (model->conns[i]->stream == stream)
            return model->conns[i];
    history_fail("the model doesn't know stream %llu", (unsigned long long)stream);
}

void model_opened(struct model *model, uint64_t stream)
{
    struct known_conn *conn = model_make(sizeof *conn);
    conn->stream = stream;
    conn->there = true;
    conn->flushed = model->clock; /* nothing has been on its way */
    conn->flushed_ns = model->now_ns;
    ADD(model->conns, model->conn_count, conn);
}

static struct known_channel *open_channel(struct model *model, struct known_conn *conn, uint16_t number)
{
    struct known_channel *channel = model_make(sizeof *channel);
    channel->conn = conn;
    channel->number = number;
    channel->life = LIFE_OPEN;
    ADD(model->channels, model->channel_count, channel);
    return conn->channels[number] = channel;
}

static void channel_gone(struct known_channel *channel)
{
    channel->life = LIFE_GONE;
    channel->conn->channels[channel->number] = NULL;
}

/* Nothing more is heard on the connection. */
static void end_conn(struct model *model, struct known_conn *conn)
{
    conn->ending = true;
    for (unsigned i = 0; i < TALK_CHANNELS; i++)
        if (conn->channels[i]) {
            model_release(model, conn->channels[i]);
            model_drop_requests(model, conn->channels[i], true);
        }
    for (unsigned i = 0; i < model->queue_count; i++)
        if (model->queues[i]->exclusive && model->queues[i]->owner == conn->stream)
            model_suspect_queue(model, model->queues[i]);
}

void model_closed(struct model *model, uint64_t stream, unsigned number)
{
    struct known_conn *conn = conn_of(model, stream);
    struct known_channel *channel = number < TALK_CHANNELS ? conn->channels[number] : NULL;
    model->clock++;
    if (!conn->there || conn->ending)
        return;
    if (number == 0)
        end_conn(model, conn);
    else if (channel && channel->life == LIFE_OPEN)
        model_fail_channel(model, channel);
}

void model_left(struct model *model, uint64_t stream)
{
    struct known_conn *conn = conn_of(model, stream);
    model->clock++;
    end_conn(model, conn);
    conn->there = false;
    for (unsigned i = 0; i < TALK_CHANNELS; i++)
        if (conn->channels[i]) {
            if (!conn->channels[i]->well)
                model_doubt(model, conn->channels[i]);
            channel_gone(conn->channels[i]);
        }
    model_reroute(model);
}

/* ---- what the client says ---------------------------------------------------------------------------------
 */

static void client_ends_channel(struct model *model, struct known_channel *channel, uint32_t method)
{
    if (method == CHANNEL_CLOSE && channel->life == LIFE_OPEN) {
        for (unsigned i = 0; i < channel->tx_count; i++)
            model_message_nowhere(model, channel->tx[i]);
        channel->tx_count = 0;
        model_release(model, channel);
        channel->life = LIFE_ENDING;
    } else if (method == CHANNEL_CLOSE) {
        channel->crossed = true; /* the broker has failed it, and the client doesn't know yet */
    } else if (channel->life == LIFE_FAILED) {
        channel->heard = true;
        if (!channel->crossed)
            channel_gone(channel);
    }
}

static void client_on_channel(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    if (channel->life != LIFE_OPEN)
        return;
    switch (said->method) {
    case BASIC_PUBLISH:
        model_publish(model, channel, said);
        return;
    case BASIC_ACK: {
        uint64_t tag = read_longlong(&r);
        model_settle(model, channel, tag, read_octet(&r) & 1, HELD_ACK);
        return;
    }
    case BASIC_NACK: {
        uint64_t tag = read_longlong(&r);
        uint8_t bits = read_octet(&r);
        model_settle(model, channel, tag, bits & 1, bits & 2 ? HELD_REQUEUE : HELD_DROP);
        return;
    }
    case BASIC_REJECT: {
        uint64_t tag = read_longlong(&r);
        model_settle(model, channel, tag, false, read_octet(&r) & 1 ? HELD_REQUEUE : HELD_DROP);
        return;
    }
    default:
        model_request(model, channel, said);
    }
}

static void client_on_conn(struct model *model, struct known_conn *conn, const struct said *said)
{
    if (said->method != CONNECTION_CLOSE)
        return;
    for (unsigned i = 0; i < TALK_CHANNELS; i++)
        if (conn->channels[i])
            client_ends_channel(model, conn->channels[i], CHANNEL_CLOSE);
    conn->bye = true;
    end_conn(model, conn);
}

void model_client_said(struct model *model, uint64_t stream, const struct said *said)
{
    struct known_conn *conn = conn_of(model, stream);
    model->clock++;
    if (conn->ending || !said->method)
        return;
    if (said->channel == 0) {
        client_on_conn(model, conn, said);
        return;
    }
    struct known_channel *channel = conn->channels[said->channel];
    if (!channel && said->method == CHANNEL_OPEN)
        channel = open_channel(model, conn, said->channel);
    if (!channel)
        return;
    if (said->method == CHANNEL_CLOSE || said->method == CHANNEL_CLOSE_OK)
        client_ends_channel(model, channel, said->method);
    else
        client_on_channel(model, channel, said);
}

void model_client_begun(struct model *model, uint64_t stream, const struct said *said)
{
    struct known_conn *conn = conn_of(model, stream);
    struct known_channel *channel = conn->channels[said->channel];
    model->clock++;
    if (channel && channel->life == LIFE_OPEN && !conn->ending)
        model_publish_begun(model, channel, said);
}

/* ---- what the broker says ---------------------------------------------------------------------------------
 */

static void broker_closes_channel(struct model *model, struct known_channel *channel, struct reader r)
{
    unsigned code = read_short(&r);
    struct text why = read_name(&r);
    uint32_t method = read_long(&r);
    history_note("model: channel closed with %u for %s: %s", code, method_text(method), why.s);
    model_refused(model, channel, code, method);
    channel->crossed |= channel->life == LIFE_ENDING;
    model_release(model, channel);
    model_doubt(model, channel);
    channel->life = LIFE_FAILED;
    model_reroute(model);
}

/* What was said before the end was heard. */
static void ended_well(struct known_channel *channel)
{
    channel->well = true;
    for (unsigned i = 0; i < channel->open_count; i++)
        channel->open[i]->taken = true;
    channel->open_count = 0;
}

/* Both may have sent channel.close: then the client's answer to ours is still to come. */
static void broker_closed_channel(struct known_channel *channel)
{
    if (channel->life == LIFE_OPEN || (channel->life == LIFE_FAILED && !channel->crossed))
        history_fail("channel.close-ok without channel.close");
    if (channel->life == LIFE_ENDING && channel->request_count)
        history_fail("channel.close-ok, but %s was never answered",
                     method_text(channel->requests[0]->method));
    if (channel->life == LIFE_ENDING)
        ended_well(channel);
    else
        channel->crossed = false;
    if (channel->life == LIFE_ENDING || channel->heard)
        channel_gone(channel);
}

/* The connection is ending, and with it the channel: this was on its way. */
static void broker_from_before(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    if (said->method == BASIC_GET_OK)
        channel->last_tag = read_longlong(&r);
    if (said->method != CHANNEL_CLOSE)
        return;
    model_doubt(model, channel);
    channel->life = LIFE_FAILED;
}

static void broker_on_channel(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    if (channel->conn->ending && said->method != BASIC_DELIVER) {
        broker_from_before(model, channel, said);
        return;
    }
    switch (said->method) {
    case CHANNEL_CLOSE:
        broker_closes_channel(model, channel, r);
        return;
    case CHANNEL_CLOSE_OK:
        broker_closed_channel(channel);
        return;
    case BASIC_DELIVER:
        model_on_deliver(model, channel, said);
        return;
    case BASIC_CANCEL:
        model_on_cancelled(model, channel, said);
        return;
    case BASIC_RETURN:
        model_on_return(model, channel, said);
        return;
    case BASIC_ACK:
    case BASIC_NACK:
        model_on_confirm(model, channel, said);
        return;
    default:
        model_answer(model, channel, said);
    }
}

static void broker_closes_conn(struct model *model, struct known_conn *conn, struct reader r)
{
    unsigned code = read_short(&r);
    struct text why = read_name(&r);
    uint32_t method = read_long(&r);
    bool known = code == 320 || (code == 540 && conn->may_540) || (code == 506 && method == BASIC_PUBLISH) ||
                 (code == 541 && model->failed);
    history_note("model: connection closed with %u for %s: %s", code, method_text(method), why.s);
    if (!known)
        history_fail("stream %llu was closed with %u for %s without a reason: %s",
                     (unsigned long long)conn->stream, code, method_text(method), why.s);
    end_conn(model, conn);
}

void model_broker_said(struct model *model, uint64_t stream, const struct said *said)
{
    struct known_conn *conn = conn_of(model, stream);
    struct known_channel *channel = conn->channels[said->channel];
    model->clock++;
    if (said->method == CONNECTION_CLOSE)
        broker_closes_conn(model, conn, said->args);
    for (unsigned i = 0; said->method == CONNECTION_CLOSE_OK && i < TALK_CHANNELS; i++)
        if (conn->channels[i] && conn->channels[i]->life == LIFE_ENDING)
            ended_well(conn->channels[i]);
    if (said->channel == 0)
        return;
    if (channel)
        broker_on_channel(model, channel, said);
    else
        history_fail("%s on channel %u of stream %llu, which isn't open", method_text(said->method),
                     said->channel, (unsigned long long)stream);
}
