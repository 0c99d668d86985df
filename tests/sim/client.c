#include "client.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "network.h"
#include "tap.h"

enum { READ_BYTES = 4096 };

void client_init(struct client *client, struct clients *all, unsigned number)
{
    *client = (struct client){.all = all, .number = number};
}

void chan_reset(struct chan *chan)
{
    *chan = (struct chan){0};
}

/* There is no connection any more. */
static void away(struct client *client)
{
    if (client->stream) {
        taps_forget(client->all->taps, client->stream);
        network_forget(client->all->network, client->stream);
    }
    talk_free(&client->in);
    buffer_free(&client->out);
    struct clients *all = client->all;
    bool auto_ack = client->auto_ack;
    client_init(client, all, client->number);
    client->auto_ack = auto_ack;
}

void client_free(struct client *client)
{
    away(client);
}

/* ---- what the broker says ------------------------------------------------------------------------- */

static void send_plain(struct client *client, uint16_t channel, uint32_t method)
{
    frame_close(&client->out, method_open(&client->out, channel, method));
}

static void on_start(struct client *client)
{
    static const char response[] = "\0guest\0guest";
    struct buffer properties = {0}, capabilities = {0};
    add_bool_field(&capabilities, "consumer_cancel_notify", true);
    add_bool_field(&capabilities, "connection.blocked", true);
    add_name(&properties, "capabilities");
    add_octet(&properties, 'F');
    add_table(&properties, capabilities.at, capabilities.len);
    size_t frame = method_open(&client->out, 0, CONNECTION_START_OK);
    add_table(&client->out, properties.at, properties.len);
    add_name(&client->out, "PLAIN");
    add_table(&client->out, response, sizeof response - 1);
    add_name(&client->out, "en_US");
    frame_close(&client->out, frame);
    buffer_free(&properties);
    buffer_free(&capabilities);
}

static void on_tune(struct client *client, const struct said *said)
{
    struct reader r = said->args;
    uint16_t channel_max = read_short(&r);
    uint32_t frame_max = read_long(&r);
    uint16_t heartbeat_s = read_short(&r);
    size_t frame = method_open(&client->out, 0, CONNECTION_TUNE_OK);
    add_short(&client->out, channel_max);
    add_long(&client->out, frame_max);
    add_short(&client->out, heartbeat_s);
    frame_close(&client->out, frame);
    client->heartbeat_ns = heartbeat_s * UINT64_C(1000000000);
    frame = method_open(&client->out, 0, CONNECTION_OPEN);
    add_name(&client->out, "/");
    add_name(&client->out, "");
    add_octet(&client->out, 0);
    frame_close(&client->out, frame);
}

static void on_connection(struct client *client, const struct said *said)
{
    switch (said->method) {
    case CONNECTION_START:
        on_start(client);
        break;
    case CONNECTION_TUNE:
        on_tune(client, said);
        break;
    case CONNECTION_OPEN_OK:
        client->state = CLIENT_OPEN;
        break;
    case CONNECTION_CLOSE:
        send_plain(client, 0, CONNECTION_CLOSE_OK);
        client->state = CLIENT_CLOSING;
        client->closed = true;
        break;
    case CONNECTION_CLOSE_OK:
        client->closed = true;
        break;
    default:
        break; /* blocked and unblocked: the client doesn't care */
    }
}

static void remember(struct chan *chan, uint64_t tag, bool no_ack)
{
    if (!no_ack && !chan->recovering && chan->tag_count < CLIENT_TAGS)
        chan->tags[chan->tag_count++] = tag;
}

static void settle_at_once(struct client *client, uint16_t channel, uint64_t tag)
{
    size_t frame = method_open(&client->out, channel, BASIC_ACK);
    add_longlong(&client->out, tag);
    add_octet(&client->out, 0);
    frame_close(&client->out, frame);
}

static void on_deliver(struct client *client, uint16_t channel, struct reader r)
{
    struct chan *chan = &client->chan[channel];
    struct text tag = read_name(&r);
    uint64_t delivery = read_longlong(&r);
    bool no_ack = true; /* of a consumer that is being cancelled: nothing needs to be done */
    for (unsigned i = 0; i < chan->consumer_count; i++)
        if (strcmp(chan->consumers[i].tag, tag.s) == 0)
            no_ack = chan->consumers[i].no_ack;
    if (client->auto_ack && !no_ack)
        settle_at_once(client, channel, delivery);
    else
        remember(chan, delivery, no_ack);
}

static void on_got(struct client *client, struct chan *chan, const struct said *said)
{
    struct reader r = said->args;
    bool no_ack = chan->gets[0];
    if (client->auto_ack || !chan->get_count)
        return;
    memmove(chan->gets, chan->gets + 1, --chan->get_count * sizeof *chan->gets);
    if (said->method == BASIC_GET_OK)
        remember(chan, read_longlong(&r), no_ack);
}

static void drop_consumer(struct chan *chan, const char *tag)
{
    for (unsigned i = 0; i < chan->consumer_count; i++)
        if (strcmp(chan->consumers[i].tag, tag) == 0) {
            chan->consumers[i] = chan->consumers[--chan->consumer_count];
            return;
        }
}

static void on_declared(struct client *client, const struct said *said)
{
    struct reader r = said->args;
    struct text name = read_name(&r);
    if (strncmp(name.s, "amq.gen", 7) == 0)
        snprintf(client->last_queue, sizeof client->last_queue, "%s", name.s);
}

static void on_answer(struct client *client, struct chan *chan, const struct said *said)
{
    struct reader r = said->args;
    if (chan->awaited)
        chan->awaited--;
    if (said->method == CHANNEL_OPEN_OK)
        chan->state = CHAN_OPEN;
    else if (said->method == BASIC_RECOVER_OK && chan->recovering)
        chan->recovering--;
    else if (said->method == BASIC_CANCEL_OK)
        drop_consumer(chan, read_name(&r).s);
    else if (said->method == QUEUE_DECLARE_OK)
        on_declared(client, said);
    else if (said->method == BASIC_GET_OK || said->method == BASIC_GET_EMPTY)
        on_got(client, chan, said);
}

static void on_channel(struct client *client, const struct said *said)
{
    struct chan *chan = &client->chan[said->channel];
    struct reader r = said->args;
    if (chan->state == CHAN_CLOSING && said->method != CHANNEL_CLOSE && said->method != CHANNEL_CLOSE_OK)
        return;
    switch (said->method) {
    case CHANNEL_CLOSE:
        send_plain(client, said->channel, CHANNEL_CLOSE_OK);
        if (chan->state != CHAN_CLOSING)
            chan_reset(chan);
        break;
    case CHANNEL_CLOSE_OK:
        chan_reset(chan);
        break;
    case BASIC_DELIVER:
        on_deliver(client, said->channel, r);
        break;
    case BASIC_CANCEL:
        drop_consumer(chan, read_name(&r).s);
        break;
    case BASIC_RETURN:
    case BASIC_ACK:
    case BASIC_NACK:
        break;
    default:
        on_answer(client, chan, said);
    }
}

static void on_said(void *owner, const struct said *said)
{
    struct client *client = owner;
    if (!said->method || client->state == CLIENT_CLOSING) {
        if (said->method == CONNECTION_CLOSE || said->method == CONNECTION_CLOSE_OK)
            on_connection(client, said);
        return;
    }
    if (said->channel == 0)
        on_connection(client, said);
    else if (said->channel < CLIENT_CHANNELS)
        on_channel(client, said);
}

static void on_broken(void *owner, const char *why)
{
    const struct client *client = owner;
    history_fail("client %u can't understand what it reads: %s", client->number, why);
}

/* ---- the connection ------------------------------------------------------------------------------- */

void client_connect(struct client *client)
{
    CHECK(client->state == CLIENT_AWAY && !client->stream);
    client->stream = network_connect(client->all->network, client->number);
    client->state = CLIENT_OPENING;
    client->said_ns = client->all->now_ns;
    producer_reconnects(client);
    talk_init(&client->in, (struct talk_user){client, on_said, NULL, on_broken}, false);
    buffer_add(&client->out, "AMQP\0\0\11\1", 8);
    history_note("client %u connects: stream %llu", client->number, (unsigned long long)client->stream);
}

static void beat(struct client *client)
{
    if (client->heartbeat_ns && client->out.len == 0 &&
        client->all->now_ns >= client->said_ns + client->heartbeat_ns / 2)
        frame_close(&client->out, frame_open(&client->out, FRAME_OF_HEARTBEAT, 0));
}

static void move_out(struct client *client)
{
    beat(client);
    size_t n =
        network_write(client->all->network, client->stream, (struct span){client->out.at, client->out.len});
    if (n)
        client->said_ns = client->all->now_ns;
    buffer_drop(&client->out, n);
}

static void move_in(struct client *client)
{
    uint8_t bytes[READ_BYTES];
    size_t room = 1 + prng_below(client->all->prng, sizeof bytes);
    size_t n = network_read(client->all->network, client->stream, bytes, room);
    if (!n)
        return;
    taps_read(client->all->taps, client->stream, bytes, n);
    talk_feed(&client->in, bytes, n);
}

void client_move(struct client *client)
{
    if (client->state == CLIENT_AWAY)
        return;
    move_out(client);
    move_in(client);
    enum sim_state state = network_state(client->all->network, client->stream);
    if (client->closed && client->out.len == 0)
        network_close(client->all->network, client->stream);
    if (state != SIM_OPEN || (client->closed && client->out.len == 0))
        away(client);
}

uint64_t client_deadline(const struct client *client)
{
    if (client->state == CLIENT_AWAY || !client->heartbeat_ns)
        return UINT64_MAX;
    return client->said_ns + client->heartbeat_ns / 2;
}

void client_close(struct client *client)
{
    if (client->state != CLIENT_OPEN)
        return;
    size_t frame = method_open(&client->out, 0, CONNECTION_CLOSE);
    add_short(&client->out, 200);
    add_name(&client->out, "bye");
    add_long(&client->out, 0);
    frame_close(&client->out, frame);
    client->state = CLIENT_CLOSING;
}

void client_reset(struct client *client)
{
    history_note("client %u resets stream %llu", client->number, (unsigned long long)client->stream);
    network_reset(client->all->network, client->stream);
    away(client);
}

void client_vanish(struct client *client)
{
    history_note("client %u vanishes from stream %llu", client->number, (unsigned long long)client->stream);
    network_vanish(client->all->network, client->stream);
    away(client);
}

void client_deafen(struct client *client, bool deaf)
{
    if (client->deaf != deaf)
        history_note("client %u %s", client->number, deaf ? "goes deaf" : "hears again");
    client->deaf = deaf;
    network_deafen(client->all->network, client->stream, deaf);
}
