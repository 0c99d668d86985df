#include "stomp_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"

struct stomp_model *stomp_model_new(void)
{
    struct stomp_model *model = calloc(1, sizeof *model);
    CHECK(model);
    model->count = 1; /* there is no message 0 */
    return model;
}

void stomp_model_free(struct stomp_model *model)
{
    for (unsigned i = 1; i < model->count; i++)
        free(model->messages[i]);
    free(model->messages);
    free(model);
}

/* ---- what is sent -------------------------------------------------------------------------------------- */

struct stomp_message *stomp_model_message(struct stomp_model *model)
{
    if (model->count >= model->room) {
        model->room = 2 * model->count + 62;
        model->messages = realloc(model->messages, model->room * sizeof *model->messages);
        CHECK(model->messages);
    }
    struct stomp_message *m = calloc(1, sizeof *m);
    CHECK(m);
    m->number = model->count;
    model->messages[model->count++] = m;
    return m;
}

void stomp_model_body(const struct stomp_message *m, uint8_t *to)
{
    char number[9];
    snprintf(number, sizeof number, "%08u", m->number);
    for (uint32_t i = 0; i < m->len; i++) {
        uint32_t pattern = m->number * 31 + i * 7 + i / 256;
        to[i] = (uint8_t)(i < 8 ? (uint32_t)number[i] : m->text ? 'a' + pattern % 26 : pattern);
    }
}

void stomp_model_note(const struct stomp_message *m, char *to, size_t size)
{
    snprintf(to, size, "a:%u\\n::", m->number);
}

void stomp_model_sent(struct stomp_model *model, struct stomp_message *m, uint64_t frame)
{
    m->fate = ST_MAYBE;
    m->frame = frame;
    m->rank = ++model->ranks;
    m->begin = ++model->clock;
    m->downs = model->downs;
}

void stomp_model_committed(struct stomp_model *model, uint64_t conn, unsigned transaction, uint64_t frame)
{
    for (unsigned i = 1; i < model->count; i++) {
        struct stomp_message *m = model->messages[i];
        if (m->conn == conn && m->transaction == transaction && !m->frame)
            stomp_model_sent(model, m, frame);
    }
}

void stomp_model_answered(struct stomp_message *m, uint64_t conn, uint64_t frame, bool keeps)
{
    if (keeps) {
        m->holder = NULL;
        return;
    }
    m->answered = true;
    m->answer_conn = conn;
    m->answer_frame = frame;
}

static bool speaks(uint64_t receipt, uint64_t frame, bool all)
{
    return frame == receipt || (all && frame && frame < receipt);
}

void stomp_model_safe(struct stomp_model *model, uint64_t conn, uint64_t frame, bool all)
{
    model->clock++;
    for (unsigned i = 1; i < model->count; i++) {
        struct stomp_message *m = model->messages[i];
        if (m->conn == conn && speaks(frame, m->frame, all))
            m->fate = ST_YES;
        if (m->answered && m->answer_conn == conn && speaks(frame, m->answer_frame, all)) {
            m->done = model->clock;
            m->done_downs = ST_FOREVER;
        }
    }
}

/* ---- subscriptions, the broker's end ------------------------------------------------------------------ */

void stomp_model_subscribed(struct stomp_model *model, unsigned queue, bool automatic)
{
    model->clock++;
    model->places[queue].auto_used |= automatic;
}

void stomp_model_ends(struct stomp_model *model, unsigned queue, bool automatic)
{
    model->places[queue].disturbed = true;
    model->places[queue].auto_disturbed |= automatic;
}

void stomp_model_ended(struct stomp_model *model, unsigned queue)
{
    struct stomp_place *p = &model->places[queue];
    model->clock++;
    if (p->disturbed)
        p->ended = model->clock;
    if (p->auto_disturbed)
        p->auto_ended = model->clock;
    p->disturbed = p->auto_disturbed = false;
}

void stomp_model_down(struct stomp_model *model)
{
    model->downs++;
    model->failed = false;
    for (unsigned i = 0; i < ST_QUEUES; i++) {
        struct stomp_place *p = &model->places[i];
        stomp_model_ends(model, i, p->auto_used);
        p->auto_used = false;
        stomp_model_ended(model, i);
    }
}
