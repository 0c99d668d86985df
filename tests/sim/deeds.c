/* What clients do of their own will: connections, channels, and topology (deed_topology). Messages are in
 * deeds_message.c. */
#include <stdio.h>
#include <string.h>

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

/* ---- topology --------------------------------------------------------------------------------------- */

static void exchange_declare(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out, arguments = {0};
    const struct plan *plan = client->all->plan;
    size_t i = below(client, plan->exchange_count);
    struct exchange_plan e = plan->exchanges[i];
    bool passive = client->all->exchanges[i] && below(client, 4) == 0;
    client->all->exchanges[i] = true;
    if (chance(client, plan->wrong_ppm))
        e.durable = !e.durable;
    if (e.alternate[0])
        add_text_field(&arguments, "alternate-exchange", e.alternate);
    if (e.delays)
        add_text_field(&arguments, "x-delayed-type", e.type);
    if (e.remembers)
        add_int_field(&arguments, "x-recent-history-length", e.remembers);
    size_t frame = method_open(out, channel, EXCHANGE_DECLARE);
    add_short(out, 0);
    add_name(out, e.name);
    add_name(out, e.delays ? "x-delayed-message" : e.type);
    add_octet(out, (uint8_t)(passive | e.durable << 1 | e.auto_delete << 2 | e.internal << 3));
    add_table(out, arguments.at, arguments.len);
    frame_close(out, frame);
    buffer_free(&arguments);
}

static void exchange_delete(struct client *client, uint16_t channel)
{
    const struct plan *plan = client->all->plan;
    struct buffer *out = &client->out;
    size_t i = below(client, plan->exchange_count);
    client->all->exchanges[i] = false;
    size_t frame = method_open(out, channel, EXCHANGE_DELETE);
    add_short(out, 0);
    add_name(out, plan->exchanges[i].name);
    add_octet(out, below(client, 2) == 0);
    frame_close(out, frame);
}

/* Keys and arguments that mostly fit the exchange, from so few that bindings are often the same. */
static void add_binding(struct client *client, const char *exchange)
{
    char key[PLAN_NAME_BYTES];
    struct buffer arguments = {0};
    if (plan_is_weighted(client->all->plan, exchange) && below(client, 8))
        snprintf(key, sizeof key, "%u", 1 + (unsigned)below(client, 3));
    else
        plan_key(client->all->prng, true, key);
    if (below(client, 3) == 0)
        names_match_arguments(client->all->prng, &arguments);
    add_name(&client->out, key);
    add_octet(&client->out, 0);
    add_table(&client->out, arguments.at, arguments.len);
    buffer_free(&arguments);
}

static void remember(struct client *client, struct bound *bound, size_t from)
{
    const struct buffer *out = &client->out;
    struct buffer *b = &bound->binding[bound->count++ % CLIENTS_BOUND];
    struct reader r = {out->at + from, out->at + out->len, false};
    read_name(&r), read_name(&r), read_name(&r);
    buffer_drop(b, b->len);
    buffer_add(b, out->at + from, (size_t)(r.at - (out->at + from)));
    buffer_add(b, r.at + 1, (size_t)(r.end - r.at) - 1);
}

/* Names one that was made, mostly. kind: 0 of a queue, 1 of an exchange, whose unbind has a no-wait bit. */
static bool add_bound(struct client *client, unsigned kind)
{
    const struct bound *bound = &client->all->bound[kind];
    unsigned n = bound->count < CLIENTS_BOUND ? bound->count : CLIENTS_BOUND;
    struct buffer *out = &client->out;
    if (!n || below(client, 4) == 0)
        return false;
    const struct buffer *b = &bound->binding[below(client, n)];
    struct reader r = {b->at, b->at + b->len, false};
    read_name(&r), read_name(&r), read_name(&r);
    buffer_add(out, b->at, (size_t)(r.at - b->at));
    if (kind)
        add_octet(out, 0);
    buffer_add(out, r.at, (size_t)(r.end - r.at));
    return true;
}

static void exchange_bind(struct client *client, uint16_t channel, uint32_t method)
{
    const struct plan *plan = client->all->plan;
    struct buffer *out = &client->out;
    size_t frame = method_open(out, channel, method);
    add_short(out, 0);
    size_t from = out->len;
    if (method == EXCHANGE_BIND || !add_bound(client, 1)) {
        size_t destination = names_known_exchange(client->all);
        add_name(out, plan->exchanges[destination == SIZE_MAX ? 0 : destination].name);
        const char *source = names_exchange(client->all);
        add_name(out, source);
        add_binding(client, source);
    }
    if (method == EXCHANGE_BIND)
        remember(client, &client->all->bound[1], from);
    frame_close(out, frame);
}

/* Arguments of another form, or other ones, now and then; of a queue named by the broker none. */
static void add_shape(struct client *client, const struct queue_plan *q, bool passive)
{
    const struct plan *plan = client->all->plan;
    struct shape_plan shape = q->shape;
    struct buffer arguments = {0};
    bool special = q->shape.stream || q->shape.last_value || q->shape.single || q->shape.timeout >= 0;
    bool wrong = false;
    bool shaped = (plan->shaped || special) && q->name[0] && !passive;
    if (shaped && chance(client, plan->wrong_ppm))
        shape.length = shape.length == SHAPE_UNSAID ? 3 : SHAPE_UNSAID;
    else if (shaped)
        wrong = chance(client, plan->wrong_ppm);
    if (shaped)
        shapes_write(&shape, client->all->prng, wrong, &arguments);
    add_table(&client->out, arguments.at, arguments.len);
    buffer_free(&arguments);
}

static void queue_declare(struct client *client, uint16_t channel, bool passive)
{
    struct buffer *out = &client->out;
    const struct plan *plan = client->all->plan;
    size_t i = passive ? names_known_queue(client->all) : below(client, plan->queue_count);
    struct queue_plan q = plan->queues[i == SIZE_MAX ? 0 : i];
    if (!passive && below(client, 12) == 0)
        q = (struct queue_plan){.exclusive = true,
                                .auto_delete = below(client, 2) == 0}; /* named by the broker */
    else if (chance(client, plan->wrong_ppm))
        q.durable = !q.durable;
    else if (!passive)
        client->all->queues[i] = true;
    size_t frame = method_open(out, channel, QUEUE_DECLARE);
    add_short(out, 0);
    add_name(out, q.name);
    add_octet(out, (uint8_t)(passive | q.durable << 1 | q.exclusive << 2 | q.auto_delete << 3));
    add_shape(client, &q, passive);
    frame_close(out, frame);
}

static void queue_delete(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out;
    size_t i = names_known_queue(client->all);
    uint8_t conditions = (uint8_t)below(client, 4);
    i = i == SIZE_MAX ? 0 : i;
    client->all->queues[i] &= conditions != 0;
    size_t frame = method_open(out, channel, QUEUE_DELETE);
    add_short(out, 0);
    add_name(out, client->all->plan->queues[i].name);
    add_octet(out, conditions);
    frame_close(out, frame);
}

static void queue_purge(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out;
    const char *queue = names_queue(client);
    if (plan_is_stream(client->all->plan, queue) && below(client, 16)) {
        queue_declare(client, channel, true);
        return;
    }
    size_t frame = method_open(out, channel, QUEUE_PURGE);
    add_short(out, 0);
    add_name(out, queue);
    add_octet(out, 0);
    frame_close(out, frame);
}

static void queue_bind(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out;
    size_t frame = method_open(out, channel, QUEUE_BIND);
    add_short(out, 0);
    size_t from = out->len;
    add_name(out, names_queue(client));
    const char *exchange = names_exchange(client->all);
    add_name(out, exchange);
    add_binding(client, exchange);
    remember(client, &client->all->bound[0], from);
    frame_close(out, frame);
}

static void queue_unbind(struct client *client, uint16_t channel)
{
    struct buffer *out = &client->out;
    size_t frame = method_open(out, channel, QUEUE_UNBIND);
    add_short(out, 0);
    if (!add_bound(client, 0)) {
        add_name(out, names_queue(client));
        const char *exchange = names_exchange(client->all);
        add_name(out, exchange);
        size_t before = out->len;
        add_binding(client, exchange);
        /* An unbind has no no-wait bit between key and arguments. */
        size_t bit = before + 1 + out->at[before];
        memmove(out->at + bit, out->at + bit + 1, out->len - bit - 1);
        out->len--;
    }
    frame_close(out, frame);
}

void deed_topology(struct client *client, uint16_t channel, enum deed deed)
{
    client->chan[channel].awaited++;
    switch (deed) {
    case DEED_EXCHANGE_DECLARE:
        exchange_declare(client, channel);
        return;
    case DEED_EXCHANGE_DELETE:
        exchange_delete(client, channel);
        return;
    case DEED_EXCHANGE_BIND:
        exchange_bind(client, channel, EXCHANGE_BIND);
        return;
    case DEED_EXCHANGE_UNBIND:
        exchange_bind(client, channel, EXCHANGE_UNBIND);
        return;
    case DEED_QUEUE_DECLARE:
        queue_declare(client, channel, false);
        return;
    case DEED_QUEUE_CHECK:
        queue_declare(client, channel, true);
        return;
    case DEED_QUEUE_DELETE:
        queue_delete(client, channel);
        return;
    case DEED_QUEUE_PURGE:
        queue_purge(client, channel);
        return;
    case DEED_QUEUE_BIND:
        queue_bind(client, channel);
        return;
    default:
        queue_unbind(client, channel);
    }
}

/* ---- channels and connections ------------------------------------------------------------------------- */

static void channel_open(struct client *client)
{
    for (uint16_t c = 1; c < CLIENT_CHANNELS; c++) {
        if (client->chan[c].state != CHAN_SHUT)
            continue;
        size_t frame = method_open(&client->out, c, CHANNEL_OPEN);
        add_name(&client->out, "");
        frame_close(&client->out, frame);
        client->chan[c].state = CHAN_OPENING;
        client->chan[c].awaited = 1;
        return;
    }
}

static void channel_close(struct client *client, uint16_t channel)
{
    size_t frame = method_open(&client->out, channel, CHANNEL_CLOSE);
    add_short(&client->out, 200);
    add_name(&client->out, "bye");
    add_long(&client->out, 0);
    frame_close(&client->out, frame);
    client->chan[channel].state = CHAN_CLOSING;
}

/* One that the deed can be done on; 0: none. A channel may be used before its open-ok. */
static uint16_t some_channel(struct client *client)
{
    uint16_t first = (uint16_t)below(client, CLIENT_CHANNELS);
    for (uint16_t i = 0; i < CLIENT_CHANNELS; i++) {
        uint16_t c = (uint16_t)((first + i) % CLIENT_CHANNELS);
        if (c && (client->chan[c].state == CHAN_OPEN || client->chan[c].state == CHAN_OPENING))
            return c;
    }
    return 0;
}

static void act_on_channel(struct client *client, enum deed deed)
{
    uint16_t channel = some_channel(client);
    if (!channel)
        return;
    if (deed == DEED_CHANNEL_CLOSE)
        channel_close(client, channel);
    else if (deed >= DEED_EXCHANGE_DECLARE && deed <= DEED_QUEUE_PURGE)
        deed_topology(client, channel, deed);
    else
        deed_message(client, channel, deed);
}

static void act(struct client *client, enum deed deed)
{
    switch (deed) {
    case DEED_REST:
        return;
    case DEED_CHANNEL_OPEN:
        channel_open(client);
        return;
    case DEED_CLOSE:
        client_close(client);
        return;
    case DEED_DEAF:
        client_deafen(client, true);
        return;
    case DEED_HEAR:
        client_deafen(client, false);
        return;
    case DEED_RESET:
        client_reset(client);
        return;
    case DEED_VANISH:
        if (client->heartbeat_ns)
            client_vanish(client);
        return;
    default:
        act_on_channel(client, deed);
    }
}

void client_act(struct client *client)
{
    enum { OUT_MAX = 16384 }; /* bytes: a broker that doesn't read isn't talked to */
    if (client->state == CLIENT_AWAY) {
        client_connect(client);
        return;
    }
    enum deed deed = plan_deed(client->all->plan, client->all->prng);
    client->all->deeds += client->state == CLIENT_OPEN;
    bool talks = client->state == CLIENT_OPEN && client->out.len < OUT_MAX;
    if (talks || deed == DEED_HEAR || deed == DEED_RESET)
        act(client, deed);
}
