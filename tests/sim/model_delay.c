#include "model_delay.h"

#include <string.h>

#include "model_leave.h"

#define U(n) ((unsigned long long)(n))

/* ---- publishing -------------------------------------------------------------------------------------- */

/* Where the value stands in the properties. */
void model_delay_turn(struct known_message *m, bool left)
{
    static const uint8_t name[] = "\7x-delayI";
    uint32_t value = left ? (uint32_t)-m->delay_ms : (uint32_t)m->delay_ms;
    for (size_t i = 0; i + sizeof name - 1 + 4 <= m->properties.len; i++) {
        uint8_t *at = m->properties.at + i;
        if (memcmp(at, name, sizeof name - 1) != 0)
            continue;
        for (unsigned n = 0; n < 4; n++)
            at[sizeof name - 1 + n] = (uint8_t)(value >> (24 - 8 * n));
        return;
    }
}

void model_delay(struct model *model, struct known_message *m)
{
    const struct known_exchange *e = model_exchange(model, &m->exchange, false);
    for (unsigned i = 0; e && e->delays && i < m->header_count; i++) {
        const struct table_field *field = &m->headers[i];
        if (!is(&field->name, "x-delay") || field->type != 'I' || field->number <= 0)
            continue;
        m->delay_ms = (uint64_t)field->number;
        m->delay = DELAY_WAITS;
        m->delay_sure = e->thing.there == YES && !m->loose;
        m->left_ms = UINT64_MAX;
        ADD(model->delayed, model->delayed_count, m);
        history_note("model: m%llu waits for %llu ms%s", U(m->number), U(m->delay_ms),
                     m->delay_sure ? "" : ", perhaps");
    }
}

/* ---- leaving ------------------------------------------------------------------------------------------ */

static bool may_be_due(const struct model *model, const struct known_message *m)
{
    return model->now_ms >= m->begun_ms + m->delay_ms;
}

void model_delay_check(const struct model *model, const struct known_message *m)
{
    if (m->delay_ms && !may_be_due(model, m))
        history_fail("m%llu was to wait for %llu ms, and came after %llu", U(m->number), U(m->delay_ms),
                     U(model->now_ms - m->begun_ms));
}

void model_delays_due(struct model *model)
{
    for (unsigned i = 0; i < model->delayed_count; i++) {
        struct known_message *m = model->delayed[i];
        if (m->delay != DELAY_WAITS || m->nowhere || !may_be_due(model, m))
            continue;
        m->delay = DELAY_LEAVES;
        model_look(model, m, true);
        history_note("model: m%llu may leave, to %u queues", U(m->number), m->entry_count);
    }
}

void model_delays_rerouted(struct model *model)
{
    for (unsigned i = 0; i < model->delayed_count; i++)
        if (model->delayed[i]->delay == DELAY_LEAVES)
            model_look(model, model->delayed[i], false);
}

static void arrive(struct model *model, struct known_message *m)
{
    m->delay = DELAY_OVER;
    m->left_ms = model->now_ms;
    m->left_unsafe = model->failed;
    history_note("model: m%llu has left%s", U(m->number), m->delay_sure ? "" : ", perhaps");
    for (unsigned i = 0; i < m->entry_count; i++) {
        struct known_entry *e = m->entries[i];
        model_set_times(model, e);
        if (!e->must || !m->delay_sure || e->present != MAYBE || e->where != WHERE_READY || m->nowhere ||
            m->refused || e->mortal || e->full || model->failed || e->queue->gone)
            continue;
        e->present = YES;
        e->since = model->clock;
    }
}

void model_delays_settled(struct model *model)
{
    for (unsigned i = 0; i < model->delayed_count; i++) {
        struct known_message *m = model->delayed[i];
        bool over = m->accepted && m->delay == DELAY_LEAVES && model->now_ms > m->closed_ms + m->delay_ms;
        m->delay_sure &= !model->failed || (m->safe && m->delay == DELAY_WAITS);
        if (over && !model->ending && model->now_ns >= model->room_ns)
            arrive(model, m);
    }
}

bool model_delays(const struct model *model)
{
    for (unsigned i = 0; i < model->delayed_count; i++) {
        const struct known_message *m = model->delayed[i];
        if (m->delay != DELAY_OVER && m->accepted && !m->nowhere &&
            model->now_ms <= m->closed_ms + m->delay_ms)
            return true;
    }
    return false;
}

/* ---- doubts -------------------------------------------------------------------------------------------- */

void model_delays_doubt(const struct model *model, const struct known_exchange *exchange)
{
    for (unsigned i = 0; i < model->delayed_count; i++)
        if (same(&model->delayed[i]->exchange, &exchange->name))
            model->delayed[i]->delay_sure = false;
}

/* What was leaving, or has left when a journal had failed, may have left, and leave once more. */
void model_delays_down(struct model *model)
{
    for (unsigned i = 0; i < model->delayed_count; i++) {
        struct known_message *m = model->delayed[i];
        const struct known_exchange *e = model_exchange(model, &m->exchange, false);
        bool lasts = e->durable || e->perhaps_durable;
        if (m->delay == DELAY_OVER && !m->left_unsafe)
            continue;
        m->delay_sure &= m->accepted && m->safe && !m->refused && e->thing.there == YES && e->durable;
        if (m->delay != DELAY_WAITS) {
            m->late = model->delays_again = true;
            m->delay_sure = false;
            for (unsigned n = 0; n < m->entry_count; n++)
                model_doubt_entry(m->entries[n]);
        }
        m->left_unsafe = false;
        m->delay = lasts && !m->nowhere ? DELAY_WAITS : DELAY_OVER;
    }
}
