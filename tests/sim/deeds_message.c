/* Deeds with messages: publishing, consuming, settling, and the modes of a channel. */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "client.h"
#include "names.h"

static bool chance(struct client *client, uint32_t ppm)
{
    return prng_chance(client->all->prng, ppm);
}

static uint64_t below(struct client *client, uint64_t bound)
{
    return prng_below(client->all->prng, bound);
}

static void plain(struct client *client, uint16_t channel, uint32_t method)
{
    frame_close(&client->out, method_open(&client->out, channel, method));
}

/* ---- publishing ------------------------------------------------------------------------------------- */

uint8_t body_octet(uint64_t message, uint64_t at)
{
    return (uint8_t)((message * 31 + at) * 0x9e3779b97f4a7c15u >> 56);
}

enum {
    HAS_TYPE = 1 << 15,
    HAS_HEADERS = 1 << 13,
    HAS_MODE = 1 << 12,
    HAS_PRIORITY = 1 << 11,
    HAS_CORRELATION = 1 << 10,
    HAS_EXPIRATION = 1 << 8,
    HAS_ID = 1 << 7,
    HAS_TIMESTAMP = 1 << 6,
    HAS_USER = 1 << 4,
};

static const char *some_expiration(struct client *client)
{
    static const char *const soon[] = {"0", "2", "20", "200"};
    bool mortal = client->all->plan->mortal_ppm && chance(client, client->all->plan->mortal_ppm);
    return mortal ? soon[below(client, 4)] : "86400000";
}

/* What is among the headers besides the names. */
struct own_headers {
    bool waits, no_store, level;
    const char *value;
    const struct numbered *own;
};

static void add_headers(struct client *client, const struct own_headers *has)
{
    struct buffer headers = {0};
    names_headers(client->all->prng, &headers);
    if (has->waits)
        delays_write(client->all->prng, &headers);
    if (has->no_store)
        add_bool_field(&headers, "x-recent-history-no-store", true);
    if (has->value)
        add_text_field(&headers, "x-stream-filter-value", has->value);
    if (has->level)
        level_write(client, &headers);
    if (has->own)
        producer_write(has->own, &headers);
    add_table(&client->out, headers.at, headers.len);
    buffer_free(&headers);
}

/* own: its number, NULL if it has none. */
static void add_properties(struct client *client, uint64_t message, const struct numbered *own)
{
    struct buffer *out = &client->out;
    char id[PLAN_NAME_BYTES];
    uint16_t optional = (uint16_t)prng_next(client->all->prng);
    optional &= HAS_TYPE | HAS_PRIORITY | HAS_CORRELATION | HAS_EXPIRATION | HAS_TIMESTAMP | HAS_USER;
    if (below(client, 2))
        optional = 0;
    if (below(client, 2))
        optional |= HAS_HEADERS;
    if (client->all->plan->mortal_ppm && below(client, 4) == 0)
        optional |= HAS_EXPIRATION;
    struct own_headers has = {.own = own};
    has.waits = client->all->plan->delay_ppm && chance(client, client->all->plan->delay_ppm) && !own;
    has.no_store = client->all->plan->no_store_ppm && chance(client, client->all->plan->no_store_ppm);
    has.value = stream_value(client);
    has.level = client->all->plan->level_ppm && chance(client, client->all->plan->level_ppm);
    if (has.waits || has.no_store || has.value || has.level || own)
        optional |= HAS_HEADERS;
    bool persistent = chance(client, client->all->plan->persistent_ppm);
    persistent = own ? own->persistent : persistent;
    bool has_mode = persistent || below(client, 2);
    add_short(out, (uint16_t)(optional | HAS_ID | (has_mode ? HAS_MODE : 0)));
    if (optional & HAS_TYPE)
        add_name(out, "text/plain");
    if (optional & HAS_HEADERS)
        add_headers(client, &has);
    if (has_mode)
        add_octet(out, persistent ? 2 : 1);
    if (optional & HAS_PRIORITY)
        add_octet(out, client->all->plan->shaped ? (uint8_t)below(client, 7) : 3);
    if (optional & HAS_CORRELATION)
        add_name(out, "correlation");
    if (optional & HAS_EXPIRATION)
        add_name(out, some_expiration(client));
    snprintf(id, sizeof id, "m%llu", (unsigned long long)message);
    add_name(out, id);
    if (optional & HAS_TIMESTAMP)
        add_longlong(out, message);
    if (optional & HAS_USER)
        add_name(out, "guest");
}

static uint64_t some_size(struct client *client)
{
    const struct plan *plan = client->all->plan;
    if (chance(client, plan->empty_ppm))
        return 0;
    if (chance(client, plan->large_ppm))
        return below(client, 6 * INLINE_BODY_MAX);
    if (chance(client, plan->heavy_ppm))
        return below(client, INLINE_BODY_MAX + 1);
    return below(client, 8) ? below(client, 64) : below(client, INLINE_BODY_MAX + 1);
}

static void add_body(struct client *client, uint16_t channel, uint64_t message, uint64_t size)
{
    enum { PAYLOAD_MAX = FRAME_BYTES_MAX - 8 };
    struct buffer *out = &client->out;
    for (uint64_t at = 0; at < size;) {
        uint64_t most = size - at < PAYLOAD_MAX ? size - at : PAYLOAD_MAX;
        uint64_t n = below(client, 4) ? most : 1 + below(client, most);
        size_t frame = frame_open(out, FRAME_OF_BODY, channel);
        for (uint64_t end = at + n; at < end; at++)
            add_octet(out, body_octet(message, at));
        frame_close(out, frame);
    }
}

static void publish(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out;
    char key[PLAN_NAME_BYTES];
    uint64_t message = ++client->all->messages, size = some_size(client);
    bool wide = !chance(client, client->all->plan->wide_ppm);
    plan_key(client->all->prng, false, key);
    const char *exchange = wide ? names_exchange(client->all) : "";
    const char *routing_key = wide ? key : names_queue(client);
    const struct numbered *own = producer_next(client, exchange, routing_key);
    size_t frame = method_open(out, channel, BASIC_PUBLISH);
    add_short(out, 0);
    add_name(out, own ? own->exchange : exchange);
    add_name(out, own ? own->key : routing_key);
    add_octet(out, chance(client, client->all->plan->mandatory_ppm));
    frame_close(out, frame);
    frame = frame_open(out, FRAME_OF_HEADER, channel);
    add_long(out, 60 << 16);
    add_longlong(out, size);
    add_properties(client, message, own);
    frame_close(out, frame);
    add_body(client, channel, message, size);
}

/* ---- consuming -------------------------------------------------------------------------------------- */

static void consume(struct client *client, uint16_t channel)
{
    struct chan *chan = &client->chan[channel];
    struct buffer *out = &client->out;
    if (chan->consumer_count == CLIENT_CONSUMERS)
        return;
    struct client_consumer *c = &chan->consumers[chan->consumer_count++];
    snprintf(c->tag, sizeof c->tag, "c%llu", (unsigned long long)++client->all->tags);
    c->no_ack = chance(client, client->all->plan->no_ack_ppm);
    bool exclusive = below(client, 12) == 0;
    const char *queue = names_queue(client);
    struct buffer arguments = {0};
    if (stream_consume(client, channel, queue, &arguments))
        c->no_ack = false;
    consumer_write(client, queue, &arguments);
    size_t frame = method_open(out, channel, BASIC_CONSUME);
    add_short(out, 0);
    add_name(out, queue);
    add_name(out, c->tag);
    add_octet(out, (uint8_t)(c->no_ack << 1 | exclusive << 2));
    add_table(out, arguments.at, arguments.len);
    buffer_free(&arguments);
    frame_close(out, frame);
    chan->awaited++;
    chan->consumed = true;
}

static void cancel(struct client *client, uint16_t channel)
{
    struct chan *chan = &client->chan[channel];
    if (!chan->consumer_count)
        return;
    size_t frame = method_open(&client->out, channel, BASIC_CANCEL);
    add_name(&client->out, chan->consumers[below(client, chan->consumer_count)].tag);
    add_octet(&client->out, 0);
    frame_close(&client->out, frame);
    chan->awaited++;
}

static void get(struct client *client, uint16_t channel)
{
    struct chan *chan = &client->chan[channel];
    if (chan->get_count == CLIENT_GETS)
        return;
    bool no_ack = chance(client, client->all->plan->no_ack_ppm);
    const char *queue = names_queue(client);
    if (plan_keeps(client->all->plan, queue) && below(client, 32))
        return;
    size_t frame = method_open(&client->out, channel, BASIC_GET);
    add_short(&client->out, 0);
    add_name(&client->out, queue);
    add_octet(&client->out, no_ack);
    frame_close(&client->out, frame);
    chan->gets[chan->get_count++] = no_ack;
    chan->awaited++;
}

static void qos(struct client *client, uint16_t channel)
{
    bool streams = plan_keeps(client->all->plan, "q0");
    bool global = below(client, streams ? 24 : 3) == 0;
    size_t frame = method_open(&client->out, channel, BASIC_QOS);
    add_long(&client->out, 0);
    add_short(&client->out, (uint16_t)below(client, 5));
    add_octet(&client->out, global);
    frame_close(&client->out, frame);
    client->chan[channel].awaited++;
}

static void flow(struct client *client, uint16_t channel)
{
    size_t frame = method_open(&client->out, channel, CHANNEL_FLOW);
    add_octet(&client->out, below(client, 3) != 0);
    frame_close(&client->out, frame);
    client->chan[channel].awaited++;
}

/* ---- settling ----------------------------------------------------------------------------------------- */

/* Takes a tag off the list, or all up to it. */
static uint64_t take_tag(struct client *client, struct chan *chan, bool multiple)
{
    unsigned i = (unsigned)below(client, chan->tag_count);
    uint64_t tag = chan->tags[i];
    unsigned from = multiple ? 0 : i;
    memmove(chan->tags + from, chan->tags + i + 1, (chan->tag_count - i - 1) * sizeof *chan->tags);
    chan->tag_count -= i + 1 - from;
    return tag;
}

static void ack(struct client *client, uint16_t channel, bool multiple)
{
    struct chan *chan = &client->chan[channel];
    if (!chan->tag_count)
        return;
    size_t frame = method_open(&client->out, channel, BASIC_ACK);
    add_longlong(&client->out, take_tag(client, chan, multiple));
    add_octet(&client->out, multiple);
    frame_close(&client->out, frame);
}

static void nack(struct client *client, uint16_t channel, bool requeue)
{
    struct chan *chan = &client->chan[channel];
    bool multiple = below(client, 4) == 0;
    if (!chan->tag_count)
        return;
    size_t frame = method_open(&client->out, channel, BASIC_NACK);
    add_longlong(&client->out, take_tag(client, chan, multiple));
    add_octet(&client->out, (uint8_t)(multiple | requeue << 1));
    frame_close(&client->out, frame);
}

/* One, or where queues have shapes, some at once. */
static void reject(struct client *client, uint16_t channel)
{
    struct chan *chan = &client->chan[channel];
    if (!chan->tag_count)
        return;
    if (client->all->plan->shaped && below(client, 2)) {
        nack(client, channel, false);
        return;
    }
    size_t frame = method_open(&client->out, channel, BASIC_REJECT);
    add_longlong(&client->out, take_tag(client, chan, false));
    add_octet(&client->out, below(client, client->all->plan->shaped ? 5 : 2) == 0);
    frame_close(&client->out, frame);
}

static void recover(struct client *client, uint16_t channel)
{
    struct chan *chan = &client->chan[channel];
    size_t frame = method_open(&client->out, channel, BASIC_RECOVER);
    add_octet(&client->out, 1);
    frame_close(&client->out, frame);
    chan->tag_count = 0;
    chan->recovering++;
    chan->awaited++;
}

/* ---- modes -------------------------------------------------------------------------------------------- */

static void select_mode(struct client *client, uint16_t channel)
{
    struct chan *chan = &client->chan[channel];
    if (chan->mode != CHAN_PLAIN)
        return;
    chan->mode = below(client, 2) ? CHAN_CONFIRM : CHAN_TX;
    if (chan->mode == CHAN_TX) {
        plain(client, channel, TX_SELECT);
    } else {
        size_t frame = method_open(&client->out, channel, CONFIRM_SELECT);
        add_octet(&client->out, 0);
        frame_close(&client->out, frame);
    }
    chan->awaited++;
}

/* On any channel that has transactions; often something is acknowledged just before. */
static void end_tx(struct client *client, uint16_t channel, uint32_t method)
{
    for (uint16_t i = 0; i < CLIENT_CHANNELS; i++) {
        uint16_t c = (uint16_t)((channel + i) % CLIENT_CHANNELS);
        struct chan *chan = &client->chan[c];
        if (c == 0 || chan->mode != CHAN_TX || (chan->state != CHAN_OPEN && chan->state != CHAN_OPENING))
            continue;
        if (below(client, 2))
            ack(client, c, below(client, 2));
        plain(client, c, method);
        chan->awaited++;
        return;
    }
}

/* Something that the broker must refuse. */
static void wrong(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out;
    size_t frame;
    if (below(client, 2)) {
        frame = method_open(out, channel, BASIC_ACK);
        add_longlong(out, 1000000);
        add_octet(out, 0);
    } else {
        frame = method_open(out, channel, BASIC_CANCEL); /* of a tag that nobody has: no error */
        add_name(out, "nobody");
        add_octet(out, 0);
        client->chan[channel].awaited++;
    }
    frame_close(out, frame);
}

static void publish_some(struct client *client, uint16_t channel, enum deed deed)
{
    unsigned n = deed == DEED_PUBLISH ? 1 : 2 + (unsigned)below(client, 12);
    while (n--)
        publish(client, channel);
}

void deed_message(struct client *client, uint16_t channel, enum deed deed)
{
    switch (deed) {
    case DEED_PUBLISH:
    case DEED_PUBLISH_BURST:
        publish_some(client, channel, deed);
        return;
    case DEED_CONSUME:
        consume(client, channel);
        return;
    case DEED_CANCEL:
        cancel(client, channel);
        return;
    case DEED_GET:
        get(client, channel);
        return;
    case DEED_ACK:
    case DEED_ACK_MULTIPLE:
        ack(client, channel, deed == DEED_ACK_MULTIPLE);
        return;
    case DEED_REQUEUE:
        nack(client, channel, below(client, 5) != 0);
        return;
    case DEED_REJECT:
        reject(client, channel);
        return;
    case DEED_RECOVER:
        recover(client, channel);
        return;
    case DEED_QOS:
        qos(client, channel);
        return;
    case DEED_FLOW:
        flow(client, channel);
        return;
    case DEED_SELECT:
        select_mode(client, channel);
        return;
    case DEED_COMMIT:
        end_tx(client, channel, TX_COMMIT);
        return;
    case DEED_ROLLBACK:
        end_tx(client, channel, TX_ROLLBACK);
        return;
    default:
        wrong(client, channel);
    }
}
