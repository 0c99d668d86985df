/* Publishes: where each goes while its routing lasts, and the confirms and returns that are owed for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model_delay.h"
#include "model_history.h"
#include "model_leave.h"
#include "model_producer.h"

/* ---- what is published ------------------------------------------------------------------------------------
 */

static void read_headers(struct known_message *m, struct reader table)
{
    while (m->header_count < 8 && read_field(&table, &m->headers[m->header_count]))
        m->header_count++;
}

/* Reads what the model needs to know of the properties; `id`: the message's name. */
static void read_properties(struct known_message *m, struct reader r, struct text *id)
{
    uint16_t flags = read_short(&r);
    if (flags & 1 << 15)
        read_name(&r);
    if (flags & 1 << 13)
        read_headers(m, read_table(&r));
    if (flags & 1 << 12)
        m->persistent = read_octet(&r) == 2;
    if (flags & 1 << 11)
        m->priority = read_octet(&r);
    if (flags & 1 << 10)
        read_name(&r);
    if (flags & 1 << 8)
        m->expiration = strtoll(read_name(&r).s, NULL, 10);
    *id = flags & 1 << 7 ? read_name(&r) : (struct text){{0}};
}

/* "m17" is number 17. */
static uint64_t number_of(const struct text *id)
{
    return id->s[0] == 'm' ? strtoull(id->s + 1, NULL, 10) : 0;
}

static void read_method(struct known_message *m, struct reader r)
{
    read_short(&r);
    m->exchange = read_name(&r);
    m->key = read_name(&r);
    m->mandatory = read_octet(&r) & 1;
}

/* ---- routing
 * ------------------------------------------------------------------------------------------------ */

struct known_entry *model_entry(const struct known_message *m, const struct known_queue *q)
{
    for (unsigned i = 0; i < m->entry_count; i++)
        if (m->entries[i]->queue == q)
            return m->entries[i];
    return NULL;
}

struct known_entry *model_add_entry(struct model *model, struct known_message *m, struct known_queue *q)
{
    struct known_entry *e = model_make(sizeof *e);
    e->message = m;
    e->queue = q;
    e->present = MAYBE;
    ADD(m->entries, m->entry_count, e);
    ADD(q->entries, q->entry_count, e);
    model_policy_times(e);
    model_set_times(model, e);
    model_number_enters(model, e);
    return e;
}

/* What a moment says: `first` is the one in which the message came. */
void model_look(struct model *model, struct known_message *m, bool first)
{
    enum sure *to = model_make((model->queue_count + 1) * sizeof *to);
    bool any = false;
    if (m->delay == DELAY_WAITS || m->delay == DELAY_OVER) {
        m->unroutable = m->one = false;
        free(to);
        return;
    }
    struct route_facts facts = model_route(model, m, to);
    m->one = (first || m->one) && facts.one && !m->loose && !m->original && !m->delay_ms;
    m->races |= facts.races || m->loose;
    for (unsigned i = 0; i < model->queue_count; i++) {
        struct known_entry *e = model_entry(m, model->queues[i]);
        any |= to[i] != NO;
        if (!e && to[i] != NO) {
            e = model_add_entry(model, m, model->queues[i]);
            e->must = first && to[i] == YES && !m->loose && !e->mortal && !e->queue->perhaps_other;
            if (m->original && m->loose) {
                e->may_redeliver = e->crowded = true; /* it may have been there for long */
                e->returns_most = UINT32_MAX;
            }
            model_crowd(model, e->queue);
        }
        if (e)
            e->must &= to[i] == YES;
    }
    m->unroutable = (first || m->unroutable) && !any && !m->loose && !m->delay_ms;
    free(to);
}

/* Where a message goes whose content is still coming may be decided already, or not: then nothing is sure. */
static void reconsider(struct model *model, struct known_channel *channel)
{
    if (channel->halfway) {
        const struct known_exchange *e = model_exchange(model, &channel->halfway->exchange, false);
        channel->halfway->loose = true;
        if (!e || e->thing.there != YES)
            channel->may_end |= MAY_404; /* it is looked for when there is something to send */
    }
    for (unsigned i = 0; i < channel->request_count; i++) {
        channel->requests[i]->disturbed = true;
        model_reconsider(model, channel, channel->requests[i]);
    }
}

void model_reroute(struct model *model)
{
    for (unsigned i = 0; i < model->routing_count; i++)
        model_look(model, model->routing[i], false);
    model_delays_rerouted(model);
    for (unsigned i = 0; i < model->channel_count; i++)
        reconsider(model, model->channels[i]);
}

void model_begin_routing(struct model *model, struct known_message *m)
{
    model_look(model, m, true);
    ADD(model->routing, model->routing_count, m);
}

static void end_routing(struct model *model, struct known_message *m)
{
    if (m->routed)
        return;
    m->routed = true;
    for (unsigned i = 0; i < model->routing_count; i++)
        if (model->routing[i] == m) {
            model->routing[i] = model->routing[--model->routing_count];
            return;
        }
}

void model_message_closed(struct model *model, struct known_message *m)
{
    end_routing(model, m);
    if (m->closed)
        return;
    m->closed = model->clock;
    m->closed_ms = model->now_ms;
    for (unsigned i = 0; i < m->entry_count; i++)
        model_set_times(model, m->entries[i]);
}

void model_message_accepted(struct model *model, struct known_message *m)
{
    if (m->nowhere || m->accepted)
        return;
    model_message_closed(model, m);
    m->accepted = true;
    m->again = model_may_be_again(model, m);
    history_note("model: m%llu accepted", (unsigned long long)m->number);
    for (unsigned i = 0; i < m->entry_count; i++) {
        struct known_entry *e = m->entries[i];
        if (e->must && !m->delay_ms && e->present == MAYBE && e->where == WHERE_READY && !m->refused &&
            !e->mortal && (!e->full || m->confirmed) && !m->again && !model_is_undecided(m)) {
            e->present = YES;
            e->since = model->clock;
        }
    }
    model_number_owed(model, m);
}

void model_message_nowhere(struct model *model, struct known_message *m)
{
    m->nowhere = true;
    model_message_closed(model, m);
    for (unsigned i = 0; i < m->entry_count; i++) {
        if (m->entries[i]->stream || m->entries[i]->where != WHERE_READY)
            history_fail("message m%llu was delivered from '%s', but was rolled back or refused",
                         (unsigned long long)m->number, m->entries[i]->queue->name.s);
        m->entries[i]->present = NO;
    }
}

/* ---- publishing
 * --------------------------------------------------------------------------------------------- */

static void store_message(struct model *model, struct known_message *m, const struct said *said)
{
    struct text id;
    read_properties(m, said->properties, &id);
    m->number = number_of(&id);
    CHECK(m->number);
    buffer_add(&m->properties, said->properties.at, (size_t)(said->properties.end - said->properties.at));
    buffer_add(&m->body, said->body.at, (size_t)(said->body.end - said->body.at));
    while (model->message_count < m->number)
        ADD(model->messages, model->message_count, NULL);
    CHECK(!model->messages[m->number - 1]);
    model->messages[m->number - 1] = m;
    model->counts.messages++;
}

/* Whether the exchange lets it in; what the channel may come to if not. */
static void check_exchange(struct model *model, struct known_channel *channel, struct known_message *m)
{
    const struct known_exchange *e = model_exchange(model, &m->exchange, false);
    enum sure there = e ? e->thing.there : NO;
    m->nowhere = channel->doomed || there == NO || (e->internal && there == YES);
    if (!channel->doomed && m->nowhere) {
        channel->doomed = there == NO ? MAY_404 : MAY_403;
        history_note("model: exchange '%s' can't be published to, so the channel is over", m->exchange.s);
    }
    if (there == MAYBE)
        channel->may_end |= MAY_404 | (e->internal ? MAY_403 : 0);
}

/* Only the moments from the method on count: a large message is routed by its beginning. */
void model_publish_begun(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct known_message *m = model_make(sizeof *m);
    m->channel = channel;
    m->stream = channel->conn->stream;
    m->begun = model->clock;
    m->begun_ms = model->now_ms;
    m->closed_ms = UINT64_MAX;
    m->expiration = -1;
    m->in_tx = channel->mode == MODEL_TX;
    read_method(m, said->args);
    channel->halfway = m;
    check_exchange(model, channel, m);
}

static void note(const struct known_message *m)
{
    char to[128] = "";
    for (unsigned i = 0; i < m->entry_count && strlen(to) < 96; i++)
        snprintf(to + strlen(to), sizeof to - strlen(to), " %.16s%s", m->entries[i]->queue->name.s,
                 m->entries[i]->must ? "" : "?");
    history_note("model: m%llu, %zu bytes%s%s, to '%s' key '%s':%s", (unsigned long long)m->number,
                 m->body.len, m->persistent ? ", persistent" : "", m->mandatory ? ", mandatory" : "",
                 m->exchange.s, m->key.s, to);
}

/* The exchange is looked for once more when a message, or a large one's beginning, is sent on its way. */
unsigned model_publish_may_come_to(struct model *model, const struct known_message *m)
{
    const struct known_exchange *e = model_exchange(model, &m->exchange, false);
    return !m->in_tx && (!e || e->thing.there != YES) ? MAY_404 : 0;
}

/* The front's table of exchanges is not younger than the answers that it has sent, and may be older. */
void model_publish(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct known_message *m = channel->halfway;
    CHECK(m);
    channel->halfway = NULL;
    m->order = ++channel->orders;
    store_message(model, m, said);
    if (m->nowhere)
        return;
    model_delay(model, m);
    model_number(model, m);
    model_begin_routing(model, m);
    model_history_published(model, m);
    note(m);
    channel->may_end |= model_publish_may_come_to(model, m);
    if (channel->mode == MODEL_CONFIRM)
        ADD(channel->confirms, channel->confirm_count, m);
    if (channel->mode == MODEL_TX)
        ADD(channel->tx, channel->tx_count, m);
    else
        ADD(channel->open, channel->open_count, m);
}

/* ---- confirms
 * ------------------------------------------------------------------------------------------------ */

/* What is remembered on a full disk is taken when there is room. */
void model_check_return(const struct model *model, const struct known_message *m)
{
    bool waits = model->now_ns < model->room_ns && model_is_remembered(model, m);
    if (!waits && m->accepted && m->mandatory && m->unroutable && !m->returned && !m->refused && !m->again)
        history_fail("message m%llu is mandatory and has no queue to go to, but was not returned",
                     (unsigned long long)m->number);
}

bool model_may_be_full(const struct known_message *m)
{
    for (unsigned i = 0; i < m->entry_count; i++)
        if (m->entries[i]->full || m->entries[i]->queue->perhaps_other)
            return true;
    return false;
}

static bool says_ram(const struct said_policy *p)
{
    return p->there && p->level && strcmp(p->level, "ram") == 0;
}

/* Whether its confirm may say no more than that it is in memory, whatever its queues are told. */
static bool may_be_in_ram(const struct model *model, const struct known_message *m)
{
    bool may = false;
    for (unsigned i = 0; i < m->header_count; i++)
        if (is(&m->headers[i].name, "x-confirm"))
            return is(&m->headers[i].text, "ram");
    for (unsigned i = 0; i < MODEL_POLICIES; i++) /* an exchange's, too */
        may |= says_ram(&model->policies[i]) || says_ram(&model->policies_then[i]);
    return may;
}

/* It has no level of its own, and a queue for which memory is enough. */
static bool has_ram_queue(const struct known_message *m)
{
    bool has = false;
    for (unsigned i = 0; i < m->header_count; i++)
        if (is(&m->headers[i].name, "x-confirm"))
            return false;
    for (unsigned i = 0; i < m->entry_count; i++)
        has |= m->entries[i]->queue->declared.level == MODEL_RAM || m->entries[i]->queue->perhaps_other;
    return has;
}

void model_confirmed(struct model *model, struct known_message *m)
{
    bool in_ram = may_be_in_ram(model, m);
    m->confirmed = true;
    m->safe_but_ram = !in_ram;
    if (!in_ram && !has_ram_queue(m))
        m->safe = true;
    else
        ADD(model->in_ram, model->in_ram_count, m);
}

static void confirm(struct model *model, struct known_channel *channel, unsigned i, bool ack)
{
    struct known_message *m = channel->confirms[i];
    channel->confirms[i] = NULL;
    model->counts.confirmed += ack;
    if (!ack && !model->failed && !m->races && !model_may_be_full(m))
        history_fail("message m%llu was refused, but no journal has failed, nor is a queue full",
                     (unsigned long long)m->number);
    m->confirmed = ack;
    m->refused = !ack;
    if (ack)
        model_confirmed(model, m);
    model_message_accepted(model, m);
    model_check_return(model, m);
}

void model_on_confirm(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    uint64_t tag = read_longlong(&r);
    bool multiple = read_octet(&r) & 1;
    if (channel->mode != MODEL_CONFIRM)
        history_fail("a confirm on a channel that isn't in confirm mode");
    if (tag == 0 || tag > channel->confirm_count || !channel->confirms[tag - 1])
        history_fail("confirm %llu: nothing of that number waits for one", (unsigned long long)tag);
    for (uint64_t i = multiple ? 0 : tag - 1; i < tag; i++)
        if (channel->confirms[i])
            confirm(model, channel, (unsigned)i, said->method == BASIC_ACK);
}

/* ---- returns
 * --------------------------------------------------------------------------------------------------- */

void model_on_return(struct model *model, struct known_channel *channel, const struct said *said)
{
    struct reader r = said->args;
    unsigned code = read_short(&r);
    read_name(&r);
    struct text exchange = read_name(&r), key = read_name(&r);
    struct known_message *m = model_recognise(model, &exchange, &key, said);
    if (m->channel != channel)
        history_fail("message m%llu was returned to a channel that hasn't published it",
                     (unsigned long long)m->number);
    if (code != 312 || !m->mandatory || m->nowhere || m->returned)
        history_fail("message m%llu was returned %s", (unsigned long long)m->number,
                     code != 312     ? "with a wrong code"
                     : !m->mandatory ? "but isn't mandatory"
                                     : "twice, or was not to be taken at all");
    if (m->one)
        history_fail("message m%llu was returned, but one of several queues was to get it",
                     (unsigned long long)m->number);
    for (unsigned i = 0; i < m->entry_count; i++) {
        if (m->entries[i]->must)
            history_fail("message m%llu was returned, but '%s' was there for it",
                         (unsigned long long)m->number, m->entries[i]->queue->name.s);
        bool comes_later = m->recent && m->entries[i]->queue->remembered; /* from what is remembered */
        m->entries[i]->present = comes_later ? MAYBE : NO;
    }
    m->returned = true;
    m->nowhere = !m->recent;
    model->counts.returned++;
    model_message_closed(model, m);
    m->accepted = true;
}

/* ---- at an idle moment
 * ------------------------------------------------------------------------------------------ */

void model_publishes_settled(struct model *model, struct known_channel *channel)
{
    if (channel->doomed)
        history_fail("channel %u of stream %llu had to be closed, and wasn't", channel->number,
                     (unsigned long long)channel->conn->stream);
    for (unsigned i = 0; i < channel->confirm_count; i++)
        if (channel->confirms[i])
            history_fail("message m%llu was never confirmed",
                         (unsigned long long)channel->confirms[i]->number);
    for (unsigned i = 0; i < channel->open_count; i++) {
        struct known_message *m = channel->open[i];
        model_message_accepted(model, m);
        model_check_return(model, m);
        m->safe |= !model->failed;
    }
    channel->open_count = 0;
    channel->may_end &= channel->halfway ? MAY_404 : 0;
}
