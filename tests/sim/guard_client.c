#include "guard_client.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "client.h"
#include "history.h"
#include "tap.h"

enum { READ_BYTES = 4096, REFUSED = 403, NOT_ALLOWED = 530 };

static const struct guard_question is_there = {.what = GUARD_IS_THERE}, enters = {.what = GUARD_ENTERS};

static bool could(const struct guard_client *c, uint64_t since, const struct guard_question *q, bool answer)
{
    return guard_could(c->party->model, c->user, since, q, answer);
}

static struct guard_question may_read(unsigned queue)
{
    return (struct guard_question){.what = GUARD_MAY, .need = {{GUARD_READ, queue}}, .needs = 1};
}

/* ---- the connection ---------------------------------------------------------------------------------------
 */

static void away(struct guard_client *c)
{
    taps_forget(c->party->all->taps, c->stream);
    network_forget(c->party->all->network, c->stream);
    buffer_free(&c->out);
    talk_free(&c->in);
    c->state = GUARD_AWAY;
    c->under_way = 0;
    c->consumes = GUARD_NOTHING;
}

void guard_client_reset(struct guard_client *c)
{
    if (c->state == GUARD_AWAY)
        return;
    history_note("guarded %u resets stream %llu", c->number, (unsigned long long)c->stream);
    network_reset(c->party->all->network, c->stream);
    away(c);
}

/* ---- what is said
 * ------------------------------------------------------------------------------------------ */

static void say(struct guard_client *c, uint16_t channel, uint32_t method)
{
    frame_close(&c->out, method_open(&c->out, channel, method));
}

static void say_start_ok(struct guard_client *c)
{
    struct buffer properties = {0}, capabilities = {0};
    char response[32];
    int n = snprintf(response, sizeof response, "%cu%u%cpw", 0, c->user, 0);
    add_bool_field(&capabilities, "consumer_cancel_notify", true);
    add_bool_field(&capabilities, "authentication_failure_close", true);
    add_name(&properties, "capabilities");
    add_octet(&properties, 'F');
    add_table(&properties, capabilities.at, capabilities.len);
    size_t frame = method_open(&c->out, 0, CONNECTION_START_OK);
    add_table(&c->out, properties.at, properties.len);
    add_name(&c->out, "PLAIN");
    add_table(&c->out, response, (size_t)n);
    add_name(&c->out, "en_US");
    frame_close(&c->out, frame);
    buffer_free(&properties);
    buffer_free(&capabilities);
}

/* Without heartbeats. */
static void say_tune_ok(struct guard_client *c, struct reader r)
{
    uint16_t channel_max = read_short(&r);
    uint32_t frame_max = read_long(&r);
    size_t frame = method_open(&c->out, 0, CONNECTION_TUNE_OK);
    add_short(&c->out, channel_max);
    add_long(&c->out, frame_max);
    add_short(&c->out, 0);
    frame_close(&c->out, frame);
    frame = method_open(&c->out, 0, CONNECTION_OPEN);
    add_name(&c->out, "/");
    add_name(&c->out, "");
    add_octet(&c->out, 0);
    frame_close(&c->out, frame);
}

/* A channel with confirms. */
static void say_open(struct guard_client *c)
{
    size_t frame = method_open(&c->out, 1, CHANNEL_OPEN);
    add_name(&c->out, "");
    frame_close(&c->out, frame);
    frame = method_open(&c->out, 1, CONFIRM_SELECT);
    add_octet(&c->out, 0);
    frame_close(&c->out, frame);
    c->state = GUARD_OPENING;
    c->under_way = 0;
    c->consumes = GUARD_NOTHING;
}

/* ---- deeds
 * --------------------------------------------------------------------------------------------------- */

static size_t begin(struct guard_client *c, uint32_t method, enum guard_right right, unsigned thing)
{
    c->under_way = method;
    c->asked = c->party->model->clock;
    c->question = (struct guard_question){.what = GUARD_MAY, .need = {{right, thing}}, .needs = 1};
    size_t frame = method_open(&c->out, 1, method);
    add_short(&c->out, 0);
    return frame;
}

/* Two messages at most are kept in it. */
static void declare(struct guard_client *c, unsigned queue)
{
    struct buffer arguments = {0};
    size_t frame = begin(c, QUEUE_DECLARE, GUARD_CONFIGURE, queue);
    add_int_field(&arguments, "x-max-length", 2);
    add_name(&c->out, guard_thing_name(queue));
    add_octet(&c->out, 0);
    add_table(&c->out, arguments.at, arguments.len);
    frame_close(&c->out, frame);
    buffer_free(&arguments);
}

static void name_only(struct guard_client *c, uint32_t method, enum guard_right right, unsigned queue)
{
    size_t frame = begin(c, method, right, queue);
    add_name(&c->out, guard_thing_name(queue));
    add_octet(&c->out, method == BASIC_GET); /* no_ack */
    frame_close(&c->out, frame);
}

static void bind(struct guard_client *c, unsigned queue)
{
    size_t frame = begin(c, QUEUE_BIND, GUARD_WRITE, queue);
    c->question.need[1].right = GUARD_READ;
    c->question.need[1].thing = GUARD_DIRECT;
    c->question.needs = 2;
    add_name(&c->out, guard_thing_name(queue));
    add_name(&c->out, guard_thing_name(GUARD_DIRECT));
    add_name(&c->out, "guarded");
    add_octet(&c->out, 0);
    add_table(&c->out, NULL, 0);
    frame_close(&c->out, frame);
}

static void publish(struct guard_client *c, unsigned exchange, unsigned queue)
{
    size_t frame = begin(c, BASIC_PUBLISH, GUARD_WRITE, exchange);
    add_name(&c->out, exchange == GUARD_DEFAULT ? "" : guard_thing_name(exchange));
    add_name(&c->out, exchange == GUARD_DEFAULT ? guard_thing_name(queue) : "guarded");
    add_octet(&c->out, 0);
    frame_close(&c->out, frame);
    frame = frame_open(&c->out, FRAME_OF_HEADER, 1);
    add_short(&c->out, 60);
    add_short(&c->out, 0);
    add_longlong(&c->out, 4);
    add_short(&c->out, 0);
    frame_close(&c->out, frame);
    frame = frame_open(&c->out, FRAME_OF_BODY, 1);
    add_long(&c->out, 7);
    frame_close(&c->out, frame);
}

static void consume(struct guard_client *c, unsigned queue)
{
    size_t frame = begin(c, BASIC_CONSUME, GUARD_READ, queue);
    add_name(&c->out, guard_thing_name(queue));
    add_name(&c->out, "c");
    add_octet(&c->out, 2); /* no_ack */
    add_table(&c->out, NULL, 0);
    frame_close(&c->out, frame);
    c->wants = queue;
}

void guard_client_act(struct guard_client *c)
{
    struct prng *prng = &c->party->prng;
    unsigned queue = (unsigned)prng_below(prng, GUARD_QUEUES);
    if (c->state == GUARD_AWAY)
        guard_client_connect(c);
    if (c->state != GUARD_OPEN || c->under_way)
        return;
    switch (prng_below(prng, 16)) {
    case 0:
    case 1:
    case 2:
        declare(c, queue);
        return;
    case 3:
        name_only(c, QUEUE_DELETE, GUARD_CONFIGURE, queue);
        return;
    case 4:
        name_only(c, QUEUE_PURGE, GUARD_READ, queue);
        return;
    case 5:
    case 6:
        name_only(c, BASIC_GET, GUARD_READ, queue);
        return;
    case 7:
        bind(c, queue);
        return;
    case 8:
        if (prng_below(prng, 4) == 0)
            guard_client_reset(c);
        return;
    case 9:
    case 10:
    case 11:
        if (c->consumes == GUARD_NOTHING)
            consume(c, queue);
        return;
    default:
        publish(c, prng_below(prng, 2) ? GUARD_DEFAULT : GUARD_DIRECT, queue);
    }
}

/* ---- what is heard
 * --------------------------------------------------------------------------------------------- */

/* What was under way is answered, and so it was allowed. */
static void done(struct guard_client *c, const char *how)
{
    uint32_t method = c->under_way;
    c->under_way = 0;
    c->party->model->judged++;
    if (!could(c, c->asked, &c->question, true))
        history_fail("guarded %u: %s was %s, but user u%u might not do that", c->number, method_text(method),
                     how, c->user);
    if (method != BASIC_CONSUME)
        return;
    c->consumes = c->wants;
    c->consumed_since = c->asked;
}

static void refused(struct guard_client *c, const char *text)
{
    struct guard_question read = may_read(c->consumes == GUARD_NOTHING ? 0 : c->consumes);
    bool deed = c->under_way && could(c, c->asked, &c->question, false);
    bool consumer = c->consumes != GUARD_NOTHING && could(c, c->consumed_since, &read, false);
    c->party->model->refused++;
    if (!deed && !consumer)
        history_fail("guarded %u was refused, but user u%u might do it: %s", c->number, c->user, text);
}

static void on_channel_closed(struct guard_client *c, struct reader r)
{
    uint16_t code = read_short(&r);
    struct text text = read_name(&r);
    history_note("guarded %u: channel closed: %u %s", c->number, code, text.s);
    if (code == REFUSED)
        refused(c, text.s);
    else if (c->under_way)
        done(c, "answered with another error");
    say(c, 1, CHANNEL_CLOSE_OK);
    say_open(c);
}

static void on_connection_closed(struct guard_client *c, struct reader r)
{
    uint16_t code = read_short(&r);
    struct text text = read_name(&r);
    history_note("guarded %u: connection closed: %u %s", c->number, code, text.s);
    bool gone = strstr(text.s, "is deleted");
    if (gone && !could(c, c->begun, &is_there, false))
        history_fail("guarded %u: user u%u isn't deleted: %s", c->number, c->user, text.s);
    if (c->state == GUARD_STARTING && code == REFUSED && !could(c, c->begun, &is_there, false))
        history_fail("guarded %u: user u%u is there, but: %s", c->number, c->user, text.s);
    if (c->state == GUARD_ENTERING && code == NOT_ALLOWED && !could(c, c->begun, &enters, false))
        history_fail("guarded %u: user u%u may enter, but: %s", c->number, c->user, text.s);
    if (code == REFUSED || code == NOT_ALLOWED)
        c->party->model->refused++;
    say(c, 0, CONNECTION_CLOSE_OK);
    c->state = GUARD_ENDED;
    c->under_way = 0;
    c->consumes = GUARD_NOTHING;
}

static void on_connection(struct guard_client *c, const struct said *said)
{
    switch (said->method) {
    case CONNECTION_START:
        say_start_ok(c);
        return;
    case CONNECTION_TUNE:
        if (!could(c, c->begun, &is_there, true))
            history_fail("guarded %u: user u%u isn't there, but has logged in", c->number, c->user);
        say_tune_ok(c, said->args);
        c->state = GUARD_ENTERING;
        return;
    case CONNECTION_OPEN_OK:
        if (!could(c, c->begun, &enters, true))
            history_fail("guarded %u: user u%u has no permission, but has entered", c->number, c->user);
        c->entered = ++c->party->model->clock;
        say_open(c);
        return;
    case CONNECTION_CLOSE:
        on_connection_closed(c, said->args);
        return;
    default:
        return;
    }
}

static void on_said(void *owner, const struct said *said)
{
    struct guard_client *c = owner;
    if (!said->method || c->state == GUARD_ENDED)
        return;
    if (said->channel == 0)
        on_connection(c, said);
    else if (said->method == CHANNEL_CLOSE)
        on_channel_closed(c, said->args);
    else if (said->method == CHANNEL_OPEN_OK)
        c->state = GUARD_OPEN;
    else if (said->method == BASIC_CANCEL)
        c->consumes = GUARD_NOTHING;
    else if (said->method != BASIC_DELIVER && said->method != CONFIRM_SELECT_OK && c->under_way)
        done(c, "done");
}

static void on_broken(void *owner, const char *why)
{
    const struct guard_client *c = owner;
    history_fail("guarded %u can't understand what it reads: %s", c->number, why);
}

/* ---- moving
 * ------------------------------------------------------------------------------------------------------ */

void guard_client_connect(struct guard_client *c)
{
    c->stream = network_connect(c->party->all->network, c->host);
    taps_expect(c->party->all->taps, c->stream, TAP_GUARDED);
    c->state = GUARD_STARTING;
    c->begun = c->party->model->clock;
    c->entered = 0;
    c->user = (unsigned)prng_below(&c->party->prng, GUARD_USERS);
    talk_init(&c->in, (struct talk_user){c, on_said, NULL, on_broken}, false);
    buffer_add(&c->out, "AMQP\0\0\11\1", 8);
    history_note("guarded %u connects as u%u: stream %llu", c->number, c->user,
                 (unsigned long long)c->stream);
}

void guard_client_move(struct guard_client *c)
{
    struct network *network = c->party->all->network;
    uint8_t bytes[READ_BYTES];
    if (c->state == GUARD_AWAY)
        return;
    buffer_drop(&c->out, network_write(network, c->stream, (struct span){c->out.at, c->out.len}));
    size_t n = network_read(network, c->stream, bytes, 1 + prng_below(&c->party->prng, sizeof bytes));
    if (n) {
        taps_read(c->party->all->taps, c->stream, bytes, n);
        talk_feed(&c->in, bytes, n);
    }
    bool over = c->state == GUARD_ENDED && !c->out.len;
    enum sim_state state = network_state(network, c->stream);
    if (over)
        network_close(network, c->stream);
    if (over || state != SIM_OPEN)
        away(c);
}

void guard_client_idle(const struct guard_client *c)
{
    const struct guard_model *model = c->party->model;
    if (!c->entered || c->state == GUARD_AWAY || c->state == GUARD_ENDED || c->out.len ||
        !guard_sure(model, c->user) || !taps_flushed(c->party->all->taps, c->stream))
        return;
    const struct guard_say *now = guard_now(model, c->user);
    if (guard_deleted_since(model, c->user, c->entered))
        history_fail("guarded %u: user u%u is deleted, and his connection is still there", c->number,
                     c->user);
    if (c->consumes != GUARD_NOTHING && !(now->entered && now->things[GUARD_READ] >> c->consumes & 1))
        history_fail("guarded %u still consumes from '%s', which user u%u may not read any more", c->number,
                     guard_thing_name(c->consumes), c->user);
}
