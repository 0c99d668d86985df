/* What there is: messages, sessions, subscriptions, and how sure it is. */
#include "mqtt_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "client.h"
#include "history.h"

struct mqtt_model *mqtt_model_new(unsigned sessions)
{
    struct mqtt_model *model = calloc(1, sizeof *model);
    CHECK(model);
    model->session_count = sessions;
    model->sessions = calloc(sessions, sizeof *model->sessions);
    CHECK(model->sessions);
    for (unsigned i = 0; i < sessions; i++) {
        model->sessions[i] = calloc(1, sizeof **model->sessions);
        CHECK(model->sessions[i]);
        model->sessions[i]->client = i;
    }
    mqtt_model_message(model)->fate = MQ_NO; /* number 0 is none */
    return model;
}

void mqtt_session_anew(struct mqtt_session *session)
{
    free(session->subs);
    free(session->got);
    *session = (struct mqtt_session){.client = session->client};
}

void mqtt_model_free(struct mqtt_model *model)
{
    for (unsigned i = 0; i < model->session_count; i++) {
        mqtt_session_anew(model->sessions[i]);
        free(model->sessions[i]);
    }
    for (unsigned i = 0; i < model->message_count; i++)
        free(model->messages[i]);
    free(model->sessions);
    free(model->messages);
    free(model);
}

/* ---- messages ----------------------------------------------------------------------------------------- */

struct mqtt_message *mqtt_model_message(struct mqtt_model *model)
{
    if (model->message_count == model->message_room) {
        model->message_room = model->message_room ? 2 * model->message_room : 256;
        model->messages = realloc(model->messages, model->message_room * sizeof(void *));
        CHECK(model->messages);
    }
    struct mqtt_message *m = calloc(1, sizeof *m);
    CHECK(m);
    m->number = model->message_count;
    m->begin = ++model->clock;
    m->end = MQ_OPEN;
    m->downs = model->downs;
    m->sends = 1;
    m->failed = model->failed;
    model->messages[model->message_count++] = m;
    return m;
}

void mqtt_body(const struct mqtt_message *m, uint8_t *to)
{
    char number[9];
    snprintf(number, sizeof number, "%08u", m->number);
    for (uint32_t i = 0; i < m->len; i++)
        to[i] = i < 8 ? (uint8_t)number[i] : body_octet(m->number, i);
}

void mqtt_message_again(struct mqtt_model *model, struct mqtt_message *m, bool withdraws)
{
    m->sends++;
    m->doubled += m->failed && withdraws;
    m->failed = model->failed;
}

void mqtt_message_over(struct mqtt_model *model, struct mqtt_message *m, enum mqtt_fate fate)
{
    if (m->end != MQ_OPEN)
        return;
    m->end = ++model->clock;
    m->fate = fate;
}

/* ---- subscriptions --------------------------------------------------------------------------------------
 */

static bool is_filter(const struct mqtt_sub *s, int group, const char *filter)
{
    return s->group == group && strcmp(s->filter, filter) == 0;
}

/* Its queue may outlive all who have subscribed. */
static void share(struct mqtt_model *model, const struct mqtt_sub *s)
{
    for (unsigned i = 0; i < model->share_count; i++)
        if (is_filter(&model->shares[i], s->group, s->filter)) {
            model->shares[i].qos = s->qos < model->shares[i].qos ? s->qos : model->shares[i].qos;
            return;
        }
    CHECK(model->share_count < sizeof model->shares / sizeof *model->shares);
    model->shares[model->share_count++] = *s;
}

unsigned mqtt_model_wish(struct mqtt_model *model, struct mqtt_session *session, const char *text,
                         uint8_t options)
{
    const char *filter;
    int group = mqtt_group(text, &filter);
    struct mqtt_sub s = {.group = group,
                         .qos = options & 3,
                         .no_local = options >> 2 & 1,
                         .as_published = options >> 3 & 1,
                         .handling = options >> 4 & 3,
                         .anew = true,
                         .begin = ++model->clock,
                         .sure = MQ_OPEN,
                         .gone = MQ_OPEN,
                         .quit = MQ_OPEN};
    snprintf(s.filter, sizeof s.filter, "%s", filter);
    for (unsigned i = 0; i < session->sub_count; i++) {
        struct mqtt_sub *old = &session->subs[i];
        if (!is_filter(old, group, filter))
            continue;
        old->replaced = true;
        s.anew &= old->gone != MQ_OPEN;
        s.old |= old->sure != MQ_OPEN && old->quit == MQ_OPEN;
    }
    if (group >= 0)
        share(model, &s);
    session->subs = realloc(session->subs, (session->sub_count + 1) * sizeof s);
    CHECK(session->subs);
    session->subs[session->sub_count] = s;
    return session->sub_count++;
}

/* All wishes for the filter up to that place. */
static void quit(struct mqtt_model *model, struct mqtt_session *session, int group, const char *filter)
{
    for (unsigned i = 0; i < session->sub_count; i++)
        if (is_filter(&session->subs[i], group, filter) && session->subs[i].quit == MQ_OPEN)
            session->subs[i].quit = model->clock;
}

void mqtt_model_wished(struct mqtt_model *model, struct mqtt_session *session, unsigned place, uint8_t code,
                       bool failed)
{
    struct mqtt_sub *s = &session->subs[place];
    model->clock++;
    if (code >= 0x80 && !failed)
        history_fail("client %u of MQTT: a subscription to '%s' was refused with 0x%02x", session->client,
                     s->filter, code);
    if (code >= 0x80) {
        quit(model, session, s->group, s->filter);
        return;
    }
    if (code != s->qos)
        history_fail("client %u of MQTT: '%s' was to have QoS %u and was granted %u", session->client,
                     s->filter, s->qos, code);
    if (failed)
        return;
    s->sure = model->clock;
    s->downs = model->downs;
    for (unsigned i = 0; i < place; i++)
        if (is_filter(&session->subs[i], s->group, s->filter) && session->subs[i].gone == MQ_OPEN)
            session->subs[i].gone = model->clock;
}

uint64_t mqtt_model_quit(struct mqtt_model *model, struct mqtt_session *session, const char *text)
{
    const char *filter;
    int group = mqtt_group(text, &filter);
    model->clock++;
    quit(model, session, group, filter);
    return model->clock;
}

void mqtt_model_quitted(struct mqtt_model *model, struct mqtt_session *session, const char *text,
                        uint64_t sent, bool well, bool failed)
{
    const char *filter;
    int group = mqtt_group(text, &filter);
    model->clock++;
    if (!well && !failed)
        history_fail("client %u of MQTT: it can't end its subscription to '%s'", session->client, text);
    for (unsigned i = 0; well && !failed && i < session->sub_count; i++) {
        struct mqtt_sub *s = &session->subs[i];
        if (is_filter(s, group, filter) && s->begin < sent && s->gone == MQ_OPEN)
            s->gone = model->clock;
    }
}

/* ---- what befalls the broker ------------------------------------------------------------------------------
 */

void mqtt_model_down(struct mqtt_model *model)
{
    model->clock++;
    model->downs++;
    model->failed = false;
    for (unsigned i = 1; i < model->message_count; i++) {
        struct mqtt_message *m = model->messages[i];
        if (m->loose || (!m->qos && !m->will))
            mqtt_message_over(model, m, MQ_MAYBE);
    }
}

void mqtt_model_failed(struct mqtt_model *model)
{
    for (unsigned i = 1; !model->failed && i < model->message_count; i++)
        model->messages[i]->failed |= model->messages[i]->end == MQ_OPEN;
    model->failed = model->ever_failed = true;
}

/* A loose message that nothing has befallen has arrived, if the broker is known to have taken it (its fate).
 */
void mqtt_model_quiet(struct mqtt_model *model)
{
    for (unsigned i = 1; i < model->message_count; i++) {
        struct mqtt_message *m = model->messages[i];
        bool sure = m->fate == MQ_YES && m->downs == model->downs && !model->failed;
        if (m->loose)
            mqtt_message_over(model, m, sure ? MQ_YES : MQ_MAYBE);
    }
}
