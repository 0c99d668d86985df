/* What a queue is told by the arguments of its declaration, read and judged for the model alone. */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "model_leave.h"

enum { DELIVERIES_USUALLY = 20 };

/* ---- reading ----------------------------------------------------------------------------------------------
 */

struct number_row {
    const char *name;
    size_t offset;
    int64_t least, most;
};

#define NUMBER_AT(field) offsetof(struct known_settings, field)
static const struct number_row numbers[] = {
    {"x-message-ttl", NUMBER_AT(ttl), 0, INT64_MAX},
    {"x-expires", NUMBER_AT(expires), 1, INT64_MAX},
    {"x-max-length", NUMBER_AT(length), 0, INT64_MAX},
    {"x-max-length-bytes", NUMBER_AT(bytes), 0, INT64_MAX},
    {"x-max-priority", NUMBER_AT(highest), 0, 255},
    {"x-stream-max-segment-size-bytes", NUMBER_AT(segment), 0, INT64_MAX},
    {"x-delivery-limit", NUMBER_AT(deliveries), 0, INT64_MAX},
    {"x-consumer-timeout", NUMBER_AT(timeout), 0, INT64_MAX},
    {"x-disk-reservation", NUMBER_AT(reservation), PAGE_BYTES, INT64_MAX},
    {"x-conflation-interval-ms", NUMBER_AT(conflation), 0, INT64_MAX},
};

static bool read_number(struct known_settings *s, const struct table_field *field)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const struct number_row *row = &numbers[i];
        if (!is(&field->name, row->name))
            continue;
        s->wrong |= field->type != 'I' || field->number < row->least || field->number > row->most;
        memcpy((char *)s + row->offset, &field->number, sizeof field->number);
        return true;
    }
    return false;
}

static void read_overflow(struct known_settings *s, const struct text *word)
{
    s->overflow = is(word, "reject-publish")       ? MODEL_REFUSES
                  : is(word, "reject-publish-dlx") ? MODEL_REFUSES_TO_TARGET
                                                   : MODEL_DROPS_HEAD;
    s->wrong |= s->overflow == MODEL_DROPS_HEAD && !is(word, "drop-head");
}

void model_read_setting(struct known_settings *s, const struct table_field *field)
{
    const struct text *name = &field->name;
    if (read_number(s, field))
        return;
    if (is(name, "x-overflow")) {
        s->said_overflow = true;
        read_overflow(s, &field->text);
    } else if (is(name, "x-queue-type")) {
        s->quorum = is(&field->text, "quorum");
        s->stream = is(&field->text, "stream");
        s->wrong |= !s->quorum && !s->stream && !is(&field->text, "classic");
    } else if (is(name, "x-max-age")) {
        s->age_ms = 1000 * strtoll(field->text.s, NULL, 10); /* in seconds here */
    } else if (is(name, "x-single-active-consumer")) {
        s->single = field->number;
    } else if (is(name, "x-confirm")) {
        s->level = is(&field->text, "ram") ? MODEL_RAM : MODEL_DISK;
    } else if (is(name, "x-sequence")) {
        s->sequence = field->number;
    } else if (is(name, "x-last-value-key")) {
        s->last_value = field->text;
    } else if (is(name, "x-dead-letter-exchange")) {
        s->has_target = true;
        s->target = field->text;
    } else if (is(name, "x-dead-letter-routing-key")) {
        s->has_key = true;
        s->key = field->text;
    } else if (is(name, "x-dead-letter-strategy")) {
        s->at_least_once = is(&field->text, "at-least-once");
    }
}

void model_no_settings(struct known_settings *s)
{
    memset(s, 0, sizeof *s);
    s->stream_bytes = s->segment = s->age_ms = s->timeout = s->conflation = s->reservation = -1;
    s->ttl = s->expires = s->length = s->bytes = s->highest = s->deliveries = -1;
}

bool model_settings_equal(const struct known_settings *a, const struct known_settings *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

bool model_settings_wrong(const struct known_request *q)
{
    const struct known_settings *s = &q->settings;
    bool only_quorum = s->deliveries >= 0 || s->at_least_once;
    bool passing = !q->durable || q->auto_delete;
    bool limited = s->ttl >= 0 || s->length >= 0 || s->bytes >= 0 || s->has_target || s->said_overflow;
    bool clashes = s->last_value.s[0] ? limited || s->highest >= 0 : s->conflation >= 0;
    bool homeless = s->reservation >= 0 && (!q->durable || q->exclusive);
    return s->wrong || clashes || homeless || (s->stream && passing) || (s->has_key && !s->has_target) ||
           (only_quorum && !s->quorum) || (s->quorum && (s->highest >= 0 || !q->durable || q->auto_delete));
}

void model_become_other(struct known_queue *queue)
{
    queue->perhaps_other = true;
    for (unsigned i = 0; i < queue->entry_count; i++) {
        model_doubt_entry(queue->entries[i]);
        queue->entries[i]->dead_ms = UINT64_MAX;
        queue->entries[i]->dead = 0;
    }
}

/* ---- what follows
 * ------------------------------------------------------------------------------------------ */

int64_t model_delivery_limit(const struct known_settings *s)
{
    return !s->quorum ? -1 : s->deliveries >= 0 ? s->deliveries : DELIVERIES_USUALLY;
}

bool model_is_limited(const struct known_settings *s)
{
    return s->length >= 0 || s->bytes >= 0;
}

unsigned model_priority(const struct known_queue *queue, const struct known_message *m)
{
    if (queue->settings.highest < 0)
        return 0;
    return m->priority < queue->settings.highest ? m->priority : (unsigned)queue->settings.highest;
}

/* Each of the exchange graph's edges that there ever was may have been one at the time. */
static void spread(const struct model *model, bool *at)
{
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < model->exchange_count; i++) {
            struct known_exchange *e = model->exchanges[i];
            struct known_exchange *other = NULL;
            for (unsigned b = 0; at[i] && b < model->binding_count; b++)
                if (model->bindings[b]->source == e && (other = model->bindings[b]->exchange))
                    for (unsigned n = 0; n < model->exchange_count; n++)
                        if (model->exchanges[n] == other && !at[n])
                            more = at[n] = true;
            for (unsigned n = 0; at[i] && e->alternate.s[0] && n < model->exchange_count; n++)
                if (same(&model->exchanges[n]->name, &e->alternate) && !at[n])
                    more = at[n] = true;
        }
    }
}

static void mark_named(const struct model *model, const struct text *name)
{
    for (unsigned i = 0; i < model->queue_count; i++)
        if (same(&model->queues[i]->name, name))
            model->queues[i]->receives = true;
}

/* Who may ever get dead letters of the queue. */
static void mark_receivers(const struct model *model, const struct known_settings *s)
{
    bool at[64] = {false};
    if (is(&s->target, "")) {
        for (unsigned i = 0; i < model->queue_count; i++)
            if (!s->has_key || same(&model->queues[i]->name, &s->key))
                model->queues[i]->receives = true;
        return;
    }
    for (unsigned i = 0; i < model->exchange_count; i++)
        at[i] = same(&model->exchanges[i]->name, &s->target);
    spread(model, at);
    for (unsigned b = 0; b < model->binding_count; b++)
        for (unsigned i = 0; model->bindings[b]->queue && i < model->exchange_count; i++)
            if (at[i] && model->exchanges[i] == model->bindings[b]->source)
                mark_named(model, &model->bindings[b]->queue->name);
}

bool model_receives(struct model *model, const struct known_queue *queue)
{
    unsigned things = model->exchange_count + model->queue_count + model->binding_count;
    for (unsigned i = 0; i < model->queue_count; i++)
        things += model->queues[i]->told_count;
    if (model->things_marked != things) {
        model->things_marked = things;
        for (unsigned i = 0; i < model->queue_count; i++)
            for (unsigned n = 0; n < model->queues[i]->told_count; n++)
                if (model->queues[i]->told[n].has_target)
                    mark_receivers(model, &model->queues[i]->told[n]);
    }
    return queue->receives || model->delays_again;
}
