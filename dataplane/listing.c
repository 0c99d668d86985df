/*
 * What the control thread asks of a front: ops for routers, which the front passes on, slices of lists of
 * its own connections, channels and consumers, and closing some of them. Asked by a pointer, answered by a
 * pointer; the front itself never waits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "front_inside.h"
#include "router/rows.h"
#include "router/table_out.h"

/* ---- ops of the control thread ------------------------------------------------------------------- */

void listing_init(struct front *front)
{
    sem_init(&front->listing.answers, 0, 0);
}

void front_free_op(struct front *front, struct op *op)
{
    free((void *)(uintptr_t)op->arguments.at);
    free(op->list);
    free(op->will);
    op->next = front->ops;
    front->ops = op;
}

void front_free_answer(struct op *op)
{
    if (!op)
        return;
    free((void *)(uintptr_t)op->arguments.at);
    free(op->list);
    free(op);
}

void front_ask(struct front *front, struct op *op)
{
    front_free_answer(atomic_exchange(&front->listing.asked, op));
}

struct op *front_take_answer(struct front *front)
{
    return atomic_exchange(&front->listing.answered, NULL);
}

struct op *front_await_answer(struct front *front, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    struct op *op;
    /* What was told of an answer that has been taken already is told for nothing; a signal isn't told at all.
     */
    while (!(op = front_take_answer(front)))
        if (sem_clockwait(&front->listing.answers, CLOCK_MONOTONIC, &until) < 0 && errno == ETIMEDOUT)
            return NULL;
    return op;
}

void listing_answer(struct front *front, struct op *op)
{
    front_free_answer(atomic_exchange(&front->listing.answered, op));
    sem_post(&front->listing.answers);
}

/* ---- slices of lists ------------------------------------------------------------------------------- */

struct slice {
    struct front *front;
    const struct op *op;
    struct list_place place; /* at: of the connection; within: of what is its own */
    unsigned steps;
    struct rows rows;
};

static struct span about_part(const struct about *about, unsigned part)
{
    if (!about)
        return span_of(NULL, 0);
    const uint8_t lengths[] = {about->user_len, about->vhost_len, about->client_len};
    const uint8_t *at = about->bytes;
    for (unsigned i = 0; i < part; i++)
        at += lengths[i];
    return span_of(at, lengths[part]);
}

static struct span user_of(const struct host *h)
{
    return about_part(h->about, 0);
}

static struct span vhost_of(const struct host *h)
{
    return about_part(h->about, 1);
}

enum { CONN_NAME_BYTES = 2 * ADDRESS_TEXT + 20 };

/* RabbitMQ's name for a connection, and a channel of it. */
static struct span conn_name(char text[CONN_NAME_BYTES], const struct host *h, uint32_t channel)
{
    int n = snprintf(text, CONN_NAME_BYTES, "%s -> %s", h->peer, h->local);
    if (channel)
        n += snprintf(text + n, CONN_NAME_BYTES - (size_t)n, " (%u)", channel);
    return span_of(text, (size_t)n);
}

static void put_conn_name(struct rows *rows, const struct host *h, uint32_t channel)
{
    char text[CONN_NAME_BYTES];
    rows_text(rows, conn_name(text, h, channel));
}

/* "[::1]:5672" in two cells: the brackets only keep the colons apart. */
static void put_address(struct rows *rows, const char *address)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : strlen(address);
    bool brackets = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    rows_text(rows, span_of(address + brackets, len - 2 * brackets));
    rows_number(rows, colon ? strtoul(colon + 1, NULL, 10) : 0);
}

static const char *state_of(const struct host *h)
{
    return h->closing ? "closing" : h->waits ? "blocked" : h->about ? "running" : "starting";
}

/* A client of MQTT has no properties but its name. */
static void put_properties(struct rows *rows, const struct connection_facts *facts)
{
    uint8_t table[NAME_MAX_BYTES + 32], *at = table;
    if (facts->client_id.len && facts->client_id.len <= NAME_MAX_BYTES)
        at = put_field_str(at, "client_id", facts->client_id);
    rows_table(rows, at == table ? facts->client_properties : span_of(table, (size_t)(at - table)));
}

static uint64_t since_1970_ms(const struct slice *s, const struct host *h)
{
    return (s->front->options.epoch_ns + h->accepted_ns) / 1000000;
}

static void put_connection(struct slice *s, const struct host *h)
{
    struct rows *rows = &s->rows;
    struct connection_facts facts = {0};
    if (h->codec->about)
        h->codec->about(h->state, &facts);
    put_conn_name(rows, h, 0);
    rows_text(rows, user_of(h));
    rows_text(rows, vhost_of(h));
    rows_text(rows, span_str(h->about ? h->about->protocol : h->codec->name));
    put_address(rows, h->peer);
    put_address(rows, h->local);
    rows_flag(rows, h->transport->encrypted);
    rows_number(rows, since_1970_ms(s, h));
    rows_text(rows, about_part(h->about, 2));
    put_properties(rows, &facts);
    rows_text(rows, span_str(state_of(h)));
    const uint64_t numbers[] = {facts.channels,    facts.channel_max, facts.frame_max,
                                facts.heartbeat_s, h->bytes_in,       h->output.taken};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rows_number(rows, numbers[i]);
    rows_end(rows);
}

/* Puts the next one of the connection, at s->place.within or behind. False: there is none, or the slice is
 * full. */
static bool put_channel(struct slice *s, const struct host *h)
{
    struct rows *rows = &s->rows;
    struct channel_facts facts;
    if (!h->codec->channel || !h->codec->channel(h->state, &s->place.within, &s->steps, &facts))
        return false;
    if (s->op->prefetch && s->op->prefetch != facts.number)
        return true;
    put_conn_name(rows, h, facts.number);
    put_conn_name(rows, h, 0);
    rows_number(rows, facts.number);
    rows_text(rows, user_of(h));
    rows_text(rows, vhost_of(h));
    const uint64_t numbers[] = {facts.consumers, facts.prefetch, facts.global_prefetch, facts.unacknowledged,
                                facts.unconfirmed};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rows_number(rows, numbers[i]);
    rows_flag(rows, facts.confirm);
    rows_flag(rows, facts.transactional);
    rows_end(rows);
    return true;
}

static bool put_consumer(struct slice *s, const struct host *h)
{
    struct rows *rows = &s->rows;
    struct consumer_facts facts;
    if (!h->codec->consumer || !h->codec->consumer(h->state, &s->place.within, &s->steps, &facts))
        return false;
    rows_text(rows, vhost_of(h));
    rows_text(rows, facts.queue);
    put_conn_name(rows, h, 0);
    put_conn_name(rows, h, facts.channel);
    rows_number(rows, facts.channel);
    rows_text(rows, facts.tag);
    rows_flag(rows, facts.ack_required);
    rows_flag(rows, facts.exclusive);
    rows_number(rows, facts.prefetch);
    rows_table(rows, facts.arguments);
    rows_end(rows);
    return true;
}

static bool put_delivery(struct slice *s, const struct host *h)
{
    struct rows *rows = &s->rows;
    const struct delivery_wish wish = {s->op->router, s->op->which[0], s->op->which[1], s->op->which[2]};
    struct delivery_facts facts;
    if (!h->codec->delivery || !h->codec->delivery(h->state, &wish, &s->place.within, &s->steps, &facts))
        return false;
    put_conn_name(rows, h, 0);
    rows_text(rows, user_of(h));
    rows_number(rows, since_1970_ms(s, h));
    rows_number(rows, facts.channel);
    rows_text(rows, facts.tag);
    rows_number(rows, facts.number);
    rows_number(rows, facts.seq);
    rows_end(rows);
    return true;
}

static bool goes_on(const struct slice *s)
{
    return s->steps && s->rows.len < LIST_SLICE_BYTES;
}

/* Without putting its name together: there may be many. */
static bool is_named(const struct host *h, struct span name)
{
    static const char arrow[] = " -> ";
    size_t peer = strlen(h->peer), local = strlen(h->local), between = sizeof arrow - 1;
    return name.len == peer + between + local && memcmp(name.at, h->peer, peer) == 0 &&
           memcmp(name.at + peer, arrow, between) == 0 &&
           memcmp(name.at + peer + between, h->local, local) == 0;
}

static bool is_wanted(const struct slice *s, const struct host *h)
{
    if (s->op->flags & OP_ONE)
        return is_named(h, s->op->arguments);
    return !s->op->vhost || (h->login && h->login->vhost == s->op->vhost);
}

static void put_connections(struct slice *s)
{
    const struct host *h;
    while (goes_on(s) && (h = slots_walk(&s->front->conns, &s->place.at, &s->steps)))
        if (is_wanted(s, h))
            put_connection(s, h);
}

static void put_parts(struct slice *s, bool (*put_one)(struct slice *s, const struct host *h))
{
    const struct slots *conns = &s->front->conns;
    while (goes_on(s) && s->place.at < conns->count) {
        const struct host *h = conns->slot[s->place.at].thing;
        if (h && is_wanted(s, h) && put_one(s, h))
            continue;
        if (!s->steps)
            return; /* there may be more of it */
        s->steps--;
        s->place.at++;
        s->place.within = 0;
    }
}

static void list(struct front *front, struct op *op)
{
    struct slice s = {.front = front, .op = op, .place = op->place, .steps = LIST_SLICE_STEPS};
    if (op->vhost && !access_has_vhost(front->access, op->vhost)) {
        op->error = ERR_NOT_FOUND;
        snprintf(op->text, sizeof op->text, "virtual host '%.*s' does not exist", op->other.len,
                 op->other.bytes);
        listing_answer(front, op);
        return;
    }
    if (op->place.of == LIST_CONNECTIONS)
        put_connections(&s);
    else
        put_parts(&s, op->place.of == LIST_CHANNELS    ? put_channel
                      : op->place.of == LIST_CONSUMERS ? put_consumer
                                                       : put_delivery);
    s.place.end = s.place.at >= front->conns.count;
    op->place = s.place;
    op->list = s.rows.text;
    listing_answer(front, op);
}

/* ---- closing --------------------------------------------------------------------------------------- */

static bool is_meant(const struct op *op, const struct host *h)
{
    if (op->arguments.len)
        return is_named(h, op->arguments);
    if (op->name.len)
        return h->about && span_equal(user_of(h), name_span(&op->name));
    return !op->vhost || (h->login && h->login->vhost == op->vhost);
}

/* In slices, as lists are. */
static void expel(struct front *front, struct op *op)
{
    unsigned steps = LIST_SLICE_STEPS;
    struct host *h;
    while (steps && (h = slots_walk(&front->conns, &op->place.at, &steps)))
        if (!h->closing && is_meant(op, h)) {
            host_expel(h, op->text, false);
            op->messages++;
        }
    op->place.end = op->place.at >= front->conns.count;
    listing_answer(front, op);
}

/* ---- draining -------------------------------------------------------------------------------------- */

enum { CHANNELS_LOOKED_AT = 2048 }; /* of a connection; with more, only `got` closes it */

/* Whether something is under way that the client has not been told. */
static bool is_owed(const struct host *h, unsigned *steps)
{
    struct channel_facts facts;
    uint64_t at = 0;
    unsigned left = CHANNELS_LOOKED_AT;
    bool owed = h->ops;
    while (!owed && h->codec->channel && h->codec->channel(h->state, &at, &left, &facts))
        owed = facts.unconfirmed;
    unsigned used = CHANNELS_LOOKED_AT - left;
    *steps -= used < *steps ? used : *steps;
    return owed || !left;
}

static void end_host(struct host *h, const char *why)
{
    h->draining = false;
    if (!h->login) {
        host_close(h); /* who hasn't said who he is hears nothing */
        return;
    }
    h->codec->shutdown(h->state, h, why);
    if (h->waits == WAIT_RATE) /* his answer stands behind the publish */
        timer_set(&h->front->pauses, &h->pause, h->front->now_ns);
    front_resume(h);
    front_touch(h);
}

/* A connection is first read from no more: by the next time what had come is confirmed, or soon will be. In
 * slices. */
static void drain(struct front *front, struct op *op)
{
    unsigned steps = LIST_SLICE_STEPS;
    struct host *h;
    if (!front->stats.drained) {
        stat_add(&front->stats.drained, 1);
        ports_rest(front, true);
    }
    while (steps && op->number && (h = slots_walk(&front->conns, &op->place.at, &steps))) {
        if (h->closing)
            continue;
        op->number--;
        if (!h->login || op->got || (h->draining && !is_owed(h, &steps))) {
            end_host(h, op->text);
            op->messages++;
            continue;
        }
        if (!h->draining)
            h->transport->ops->pause(h->transport, h->stream);
        h->draining = true;
        op->consumers++;
    }
    op->place.end = !op->number || op->place.at >= front->conns.count;
    listing_answer(front, op);
}

static void revive(struct front *front, struct op *op)
{
    unsigned steps = LIST_SLICE_STEPS;
    struct host *h;
    if (front->stats.drained) {
        stat_add(&front->stats.drained, -1);
        ports_rest(front, false);
    }
    while (steps && (h = slots_walk(&front->conns, &op->place.at, &steps)))
        if (h->draining) {
            h->draining = false;
            front_resume(h);
        }
    op->place.end = op->place.at >= front->conns.count;
    listing_answer(front, op);
}

/* ---- tracing --------------------------------------------------------------------------------------- */

static void put_traced(struct op *op, const struct host *h)
{
    struct rows rows = {0};
    put_conn_name(&rows, h, 0);
    rows_text(&rows, span_str(h->codec->name));
    rows_text(&rows, span_str(h->peer));
    rows_text(&rows, span_str(h->local));
    rows_text(&rows, user_of(h));
    rows_end(&rows);
    op->list = rows.text;
}

/* In slices, as lists are. */
static void trace(struct front *front, struct op *op)
{
    unsigned steps = LIST_SLICE_STEPS;
    struct host *h;
    if (!op->tap)
        front_trace(front, NULL, NULL);
    while (op->tap && steps && !op->messages && (h = slots_walk(&front->conns, &op->place.at, &steps)))
        if (is_meant(op, h) || span_is(op->arguments, h->peer)) {
            front_trace(front, h, op->tap);
            put_traced(op, h);
            op->messages = 1;
        }
    op->place.end = !op->tap || op->messages || op->place.at >= front->conns.count;
    listing_answer(front, op);
}

/* ---- the turn ------------------------------------------------------------------------------------ */

unsigned listing_poll(struct front *front)
{
    struct op *op = front->listing.asked ? atomic_exchange(&front->listing.asked, NULL) : NULL;
    if (!op)
        return 0;
    op->front = front->options.index;
    if (op->flags & OP_CLOSES)
        expel(front, op);
    else if (op->flags & OP_DRAINS)
        drain(front, op);
    else if (op->flags & OP_REVIVES)
        revive(front, op);
    else if (op->flags & OP_TRACES && op->place.of == LIST_CONNECTIONS)
        trace(front, op);
    else if (op->kind == OP_LIST && op->place.of >= LIST_CONNECTIONS)
        list(front, op);
    else
        front_command(front, op->router)->op = (struct command_op){.kind = COMMAND_OP, .op = op};
    return 1;
}

void listing_free(struct front *front)
{
    front_free_answer(front->listing.asked);
    front_free_answer(front->listing.answered);
    sem_destroy(&front->listing.answers);
}
