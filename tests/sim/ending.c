/* The end without faults: everything that is under way ends, everything that is kept comes out. */
#include "base/check.h"
#include "history.h"
#include "world_inside.h"

enum { STEPS_TO_SETTLE = 200000 };

/* When the next thing happens by itself. */
static uint64_t next_event(const struct world *world)
{
    uint64_t next = network_deadline(world->network), at = site_deadline(world->site);
    next = at < next ? at : next;
    for (unsigned i = 0; i < CLIENTS; i++) {
        at = client_deadline(&world->clients[i]);
        next = at < next ? at : next;
    }
    at = mqtt_party_deadline(world->mqtt);
    next = at < next ? at : next;
    at = stomp_party_deadline(world->stomp);
    return at < next ? at : next;
}

/* Nothing happens for a while: time goes on to when something does. */
static void skip_time(struct world *world)
{
    enum { STILL_STEPS = 20 };
    const uint64_t soon_ns = 10000000, late_ns = 50000000;
    uint64_t next = next_event(world);
    /* Stacks always have a timer that is due soon, if only to see that none is. Late timers do no harm. */
    if (network_is_silent(world->network) && next < world->now_ns + late_ns)
        next = world->now_ns + late_ns;
    bool still = world->quiet && next != UINT64_MAX && next > world->now_ns + soon_ns;
    world->still = still ? world->still + 1 : 0;
    if (world->still < STILL_STEPS)
        return;
    history_note("time goes on by %llu ns", (unsigned long long)(next - world->now_ns));
    world->now_ns = next;
    world->still = 0;
}

/* Streams know when they have arrived; frames that have to be sent again don't. */
static bool nothing_on_way(const struct world *world)
{
    return network_quiet(world->network) && (!network_is_lan(world->network) || taps_all_read(world->taps));
}

/* Steps until `done` says so, the broker has nothing to do, and nothing is on its way to it. */
static void settle(struct world *world, bool (*done)(const struct world *world), const char *what)
{
    enum { CALM_STEPS = 20 }; /* streams are passed over by chance, but not so often */
    unsigned calm = 0;
    for (unsigned n = 0; n < STEPS_TO_SETTLE; n++) {
        bool idle = world_step(world) && nothing_on_way(world);
        calm = idle && done(world) ? calm + 1 : 0;
        if (calm == CALM_STEPS)
            return;
        if (!calm)
            skip_time(world);
    }
    history_fail("no faults, and %u steps later %s", STEPS_TO_SETTLE, what);
}

static bool is_up(const struct world *world)
{
    return world->site->state == SITE_UP;
}

static bool all_said(const struct world *world)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *client = &world->clients[i];
        if (client->out.len || client->state == CLIENT_OPENING)
            return false;
    }
    return true;
}

static bool all_away(const struct world *world)
{
    uint64_t connections = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (world->clients[i].state != CLIENT_AWAY)
            return false;
    for (unsigned f = 0; f < world->site->fronts; f++)
        connections += front_stats(world->site->broker->front[f])->connections;
    return connections == 0;
}

static bool is_down(const struct world *world)
{
    return world->site->state == SITE_DOWN;
}

/* ---- MQTT -----------------------------------------------------------------------------------------------
 */

static bool mqtt_done(const struct world *world)
{
    return mqtt_party_done(world->mqtt);
}

static bool mqtt_left(const struct world *world)
{
    return mqtt_party_left(world->mqtt);
}

/* All sessions come back and get what is theirs; then one more client sees what is retained. */
static void end_mqtt(struct world *world)
{
    if (!world->mqtt)
        return;
    settle(world, mqtt_done, "a client of MQTT isn't answered");
    mqtt_party_ping(world->mqtt);
    settle(world, mqtt_done, "a client of MQTT isn't answered");
    mqtt_party_judge(world->mqtt, false);
    mqtt_party_look(world->mqtt);
    settle(world, mqtt_done, "a client of MQTT can't connect");
    mqtt_party_look(world->mqtt);
    settle(world, mqtt_done, "a client of MQTT can't subscribe");
    mqtt_party_judge(world->mqtt, true);
    mqtt_party_leave(world->mqtt);
    settle(world, mqtt_left, "a client of MQTT can't leave");
}

/* ---- STOMP ----------------------------------------------------------------------------------------------
 */

static bool stomp_done(const struct world *world)
{
    return stomp_party_done(world->stomp);
}

static bool stomp_left(const struct world *world)
{
    return stomp_party_left(world->stomp);
}

/* All come back and answer for what they have; then one more client takes what is left. */
static void end_stomp(struct world *world)
{
    if (!world->stomp)
        return;
    settle(world, stomp_done, "a client of STOMP isn't answered");
    stomp_party_judge(world->stomp, false);
    stomp_party_look(world->stomp);
    settle(world, stomp_done, "a client of STOMP can't connect");
    stomp_party_look(world->stomp);
    settle(world, stomp_done, "a client of STOMP can't subscribe");
    stomp_party_judge(world->stomp, true);
    stomp_party_leave(world->stomp);
    settle(world, stomp_left, "a client of STOMP can't leave");
}

/* ---- guarded clients --------------------------------------------------------------------------------------
 */

static bool guarded_done(const struct world *world)
{
    return guard_party_done(world->guard);
}

static void end_guarded(struct world *world)
{
    if (!world->guard)
        return;
    settle(world, guarded_done, "a guarded client isn't answered");
    guard_party_leave(world->guard);
}

/* ---- emptying the queues
 * ------------------------------------------------------------------------------------ */

static bool always(const struct world *world)
{
    (void)world;
    return true;
}

static bool none_waits(const struct world *world)
{
    return !model_delays(world->model);
}

static struct client *emptier(struct world *world)
{
    return &world->clients[CLIENTS - 1];
}

static bool emptier_open(const struct world *world)
{
    return world->clients[CLIENTS - 1].state == CLIENT_OPEN;
}

static void open_channel(struct world *world)
{
    struct client *client = emptier(world);
    if (client->chan[1].state != CHAN_SHUT)
        return;
    size_t frame = method_open(&client->out, 1, CHANNEL_OPEN);
    add_name(&client->out, "");
    frame_close(&client->out, frame);
    client->chan[1].state = CHAN_OPENING;
    settle(world, all_said, "a channel isn't opened");
}

/* False: it isn't there. */
static bool check_queue(struct world *world, const char *name)
{
    struct buffer *out = &emptier(world)->out;
    size_t frame = method_open(out, 1, QUEUE_DECLARE);
    add_short(out, 0);
    add_name(out, name);
    add_octet(out, 1);
    add_table(out, NULL, 0);
    frame_close(out, frame);
    settle(world, all_said, "a passive declaration isn't answered");
    return emptier(world)->chan[1].state == CHAN_OPEN;
}

static void empty_queue(struct world *world, const char *name)
{
    struct client *client = emptier(world);
    struct buffer *out = &client->out;
    struct client_consumer *c = &client->chan[1].consumers[0];
    *c = (struct client_consumer){.tag = "emptier"};
    client->chan[1].consumer_count = 1;
    struct buffer arguments = {0};
    stream_consume(client, 1, name, &arguments);
    consumer_write(client, name, &arguments);
    size_t frame = method_open(out, 1, BASIC_CONSUME);
    add_short(out, 0);
    add_name(out, name);
    add_name(out, c->tag);
    add_octet(out, 0);
    add_table(out, arguments.at, arguments.len);
    buffer_free(&arguments);
    frame_close(out, frame);
    settle(world, all_said, "a queue isn't emptied");
    frame = method_open(out, 1, BASIC_CANCEL);
    add_name(out, "emptier");
    add_octet(out, 0);
    frame_close(out, frame);
    settle(world, all_said, "a consumer isn't cancelled");
}

static void empty_each(struct world *world)
{
    unsigned count = model_queues(world->model);
    for (unsigned i = 0; i < count; i++) {
        const char *name = model_queue_name(world->model, i);
        if (!name)
            continue;
        open_channel(world);
        if (check_queue(world, name))
            empty_queue(world, name);
    }
    settle(world, always, "the broker has something to do");
}

static void empty_queues(struct world *world)
{
    emptier(world)->auto_ack = true;
    client_connect(emptier(world));
    settle(world, emptier_open, "a client can't connect");
    empty_each(world);
    /* What expires meanwhile may go to a queue that has been emptied, and from there to the next. */
    for (unsigned n = 0; n < PLAN_QUEUES && model_something_left(world->model); n++)
        empty_each(world);
    model_all_empty(world->model);
    client_close(emptier(world));
    settle(world, all_away, "a connection isn't closed");
}

/* ---- the end
 * ------------------------------------------------------------------------------------------------ */

static void stop(struct world *world)
{
    site_stop(world->site);
    world->down_until = UINT64_MAX;
    for (unsigned n = 0; n < STEPS_TO_SETTLE && !is_down(world); n++) {
        world_step(world);
        skip_time(world);
    }
    if (!is_down(world))
        history_fail("the broker doesn't end");
}

/* Who speaks MQTT 3.1.1 isn't told that a journal has failed, but sends again what was refused, and would for
 * ever; who speaks STOMP is thrown out each time: somebody restarts the broker, now that the disks are sound.
 */
static void mend(struct world *world)
{
    if ((world->mqtt || world->stomp) && world->site->state == SITE_UP && site_failed(world->site))
        site_stop(world->site);
}

void world_end(struct world *world)
{
    trouble_end(world);
    world->down_until = 0;
    mend(world);
    for (unsigned i = 0; i < CLIENTS; i++)
        client_deafen(&world->clients[i], false);
    mqtt_party_calm(world->mqtt);
    stomp_party_calm(world->stomp);
    guard_party_calm(world->guard);
    settle(world, is_up, "the broker isn't up");
    end_mqtt(world);
    end_stomp(world);
    end_guarded(world);
    settle(world, all_said, "a client can't say what it wants to");
    for (unsigned i = 0; i < CLIENTS; i++)
        client_close(&world->clients[i]);
    settle(world, all_away, "a connection isn't closed");
    settle(world, none_waits, "messages still wait for their time");
    empty_queues(world);
    stop(world);
}
