/* What a client reads, and what it should have read: is that right? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "mqtt_model.h"

static _Noreturn void wrong(const struct mqtt_session *session, const struct mqtt_message *m,
                            const char *what)
{
    history_fail("client %u of MQTT: message %u (QoS %u%s, to '%s', of client %u) %s", session->client,
                 m->number, m->qos, m->retain ? ", retained" : "", m->topic, m->client, what);
}

static struct mqtt_got *got_of(const struct mqtt_model *model, struct mqtt_session *session, unsigned number)
{
    if (number >= session->got_room) {
        session->got = realloc(session->got, model->message_room * sizeof *session->got);
        CHECK(session->got);
        memset(session->got + session->got_room, 0,
               (model->message_room - session->got_room) * sizeof *session->got);
        session->got_room = model->message_room;
    }
    return &session->got[number];
}

/* ---- which subscriptions speak for it ------------------------------------------------------------------ */

/* What may be, and what must be, of a message at a session. */
struct verdict {
    bool routed;      /* it may be in its queue, */
    bool wanted;      /* and something speaks for it, or did: no local counts when it is delivered */
    bool live;        /* both */
    bool flagged;     /* a live one may carry RETAIN */
    unsigned copies;  /* SUBSCRIBEs that may have asked for it as a retained one */
    unsigned qos_max; /* of all that may speak for it now, */
    unsigned qos_min; /* of all that surely do: at least */
};

/* Whether another message has surely taken its place as the topic's retained one, before then. */
static bool surely_replaced(const struct mqtt_model *model, const struct mqtt_message *m, uint64_t then)
{
    for (unsigned i = m->number + 1; i < model->message_count; i++) {
        const struct mqtt_message *other = model->messages[i];
        if (other->retain && other->fate == MQ_YES && other->begin > m->end && other->end < then &&
            strcmp(other->topic, m->topic) == 0)
            return true;
    }
    return false;
}

static void add_sub(const struct mqtt_model *model, const struct mqtt_session *session,
                    const struct mqtt_message *m, const struct mqtt_sub *s, struct verdict *v)
{
    bool own = s->no_local && m->client == session->client;
    unsigned qos = s->qos < m->qos ? s->qos : m->qos;
    if (s->gone < m->begin || !mqtt_matches(s->filter, m->topic))
        return;
    if (qos > v->qos_max)
        v->qos_max = qos;
    if (s->sure < m->begin && !s->replaced && s->quit == MQ_OPEN && !own && qos > v->qos_min)
        v->qos_min = qos;
    v->routed |= s->begin < m->end;
    v->wanted |= !own;
    v->flagged |= s->as_published && m->retain && !own; /* the broker asks when it delivers */
    if (m->retain && s->handling != 2 && !(s->handling == 1 && s->old) && s->group < 0 &&
        !surely_replaced(model, m, s->begin))
        v->copies++;
}

/* An older wish speaks no more, surely, when a younger one for the same filter does. */
static struct verdict verdict_of(const struct mqtt_model *model, const struct mqtt_session *session,
                                 const struct mqtt_message *m)
{
    struct verdict v = {0};
    for (unsigned i = 0; i < session->sub_count; i++)
        add_sub(model, session, m, &session->subs[i], &v);
    v.live = v.routed && v.wanted;
    v.flagged &= v.live;
    return v;
}

/* Those shared subscriptions that it may have gone to; at: which the session has, or NULL for all. */
static unsigned shares(const struct mqtt_model *model, const struct mqtt_message *m,
                       const struct mqtt_session *at)
{
    unsigned n = 0;
    for (unsigned i = 0; i < model->share_count; i++) {
        const struct mqtt_sub *share = &model->shares[i];
        bool has = !at;
        for (unsigned j = 0; at && j < at->sub_count; j++)
            has |= at->subs[j].group == share->group && strcmp(at->subs[j].filter, share->filter) == 0 &&
                   at->subs[j].gone == MQ_OPEN;
        n += has && share->begin < m->end && mqtt_matches(share->filter, m->topic);
    }
    return n;
}

/* ---- a delivery -----------------------------------------------------------------------------------------
 */

static struct mqtt_message *message_of(const struct mqtt_model *model, const struct mqtt_session *session,
                                       const struct mqtt_delivery *d)
{
    char number[9] = "";
    memcpy(number, d->body, d->len < 8 ? d->len : 8);
    unsigned long n = strtoul(number, NULL, 10);
    if (!n || n >= model->message_count)
        history_fail("client %u of MQTT: nobody has published what came to '%s'", session->client, d->topic);
    struct mqtt_message *m = model->messages[n];
    uint8_t *body = malloc(m->len + 1);
    CHECK(body);
    mqtt_body(m, body);
    bool same = m->len == d->len && memcmp(body, d->body, m->len) == 0;
    free(body);
    if (!same)
        wrong(session, m, "came with another payload");
    if (strcmp(m->topic, d->topic) != 0)
        wrong(session, m, "came with another topic");
    return m;
}

/* The subscriptions that surely were there when it was published, and since; with what QoS, at least, it is
 * owed then; -1: it isn't. */
static int owed_qos(const struct mqtt_session *session, const struct mqtt_message *m)
{
    int owed = -1;
    for (unsigned i = 0; i < session->sub_count; i++) {
        const struct mqtt_sub *s = &session->subs[i];
        int least = m->qos;
        if (s->group >= 0 || s->sure > m->begin || s->quit != MQ_OPEN || !mqtt_matches(s->filter, m->topic))
            continue;
        for (unsigned j = 0; j < session->sub_count; j++) {
            const struct mqtt_sub *wish = &session->subs[j];
            if (strcmp(wish->filter, s->filter) != 0 || wish->gone < m->begin)
                continue;
            least = wish->qos < least ? wish->qos : least;
            if (wish->no_local && m->client == session->client)
                least = -1;
        }
        owed = least > owed ? least : owed;
    }
    return owed;
}

/* Order of those that come the first time; then one may have had RETAIN. One that was sent again may have
 * gone nowhere the first time. With QoS 0 it may have been sent and lost, and have come to be again: from the
 * publisher, or with a restart. */
static void judge_order(const struct mqtt_model *model, struct mqtt_session *session,
                        const struct mqtt_message *m, const struct mqtt_delivery *d, bool flagged)
{
    const struct mqtt_got *got = got_of(model, session, m->number);
    if (got->had || (flagged && got->had_flagged) || m->will || (!d->qos && m->downs != model->downs) ||
        (m->sends > 1 && owed_qos(session, m) <= 0))
        return;
    for (unsigned i = m->number + 1; i < model->message_count && i < session->got_room; i++) {
        const struct mqtt_message *later = model->messages[i];
        if (session->got[i].had && !later->will && later->client == m->client && later->line == m->line &&
            later->qos == m->qos && strcmp(later->topic, m->topic) == 0) {
            char text[64];
            snprintf(text, sizeof text, "came behind message %u", later->number);
            wrong(session, m, text);
        }
    }
}

/* Those without DUP: one for each time that it was sent, unless the broker has forgotten that it sent it. */
static void judge_shared(struct mqtt_model *model, const struct mqtt_session *session, struct mqtt_message *m,
                         const struct mqtt_delivery *d)
{
    if (!shares(model, m, session))
        wrong(session, m, "came, but no shared subscription is for it");
    m->fresh += d->qos && !d->dup;
    m->taken |= !d->qos;
    if (m->downs == model->downs && m->fresh > shares(model, m, NULL) * m->sends)
        wrong(session, m, "came to a shared subscription twice without DUP");
}

static void judge_count(const struct mqtt_model *model, const struct mqtt_session *session,
                        const struct mqtt_message *m, const struct mqtt_delivery *d,
                        const struct mqtt_got *got, const struct verdict *v)
{
    /* A SUBSCRIBE that changes the QoS does so for what is under way, too. */
    bool two = d->qos == 2, hard = (two && v->qos_min == 2) || (!d->dup && got->downs == model->downs);
    unsigned times = d->retain ? (two ? got->flagged_twos : got->flagged)
                     : two     ? got->twos
                               : got->plain,
             sends = m->qos == 2 ? 1 + m->doubled : m->sends;
    unsigned most = (d->retain ? v->copies + v->flagged : v->live) * sends;
    if (!most)
        wrong(session, m,
              d->retain ? "came as a retained one, and wasn't" : "came, and is subscribed to by nobody");
    if (times > most && hard)
        wrong(session, m, d->qos == 2 ? "came twice with QoS 2" : "came twice, and without DUP");
}

static void judge_flags(const struct mqtt_model *model, const struct mqtt_session *session,
                        const struct mqtt_message *m, const struct mqtt_delivery *d,
                        const struct mqtt_got *got, const struct verdict *v)
{
    if (d->retain && !m->retain)
        wrong(session, m, "came with RETAIN");
    if (d->qos > v->qos_max)
        wrong(session, m, "came with too high a QoS");
    /* What isn't on disk when a journal has failed: a will, a refused message, a copy of a retained one. */
    bool lost = model->ever_failed && (m->will || d->retain || m->fate != MQ_YES);
    if (d->qos < v->qos_min && !(lost && d->qos == 1))
        wrong(session, m, "came with too low a QoS");
    if (d->dup && (!d->qos || m->begin > d->conn_begin))
        wrong(session, m, "came with DUP, and can't have been sent before");
    bool known = got->id && d->qos && d->dup && !d->retain && !m->retain;
    if (known && m->sends == 1 && got->id != d->id)
        wrong(session, m, "came again with another packet identifier");
}

/* Of QoS 0 only those on one connection count; with DUP, if it can't have been QoS 1 before. */
static void count(const struct mqtt_model *model, const struct mqtt_delivery *d, struct mqtt_got *got,
                  const struct verdict *v)
{
    if (!d->qos && got->conn != d->conn)
        got->plain = got->flagged = 0;
    if (!got->had && !got->had_flagged)
        got->downs = model->downs;
    bool counts = !d->dup || v->qos_min == 2;
    if (d->retain)
        got->had_flagged = true, got->flagged += counts, got->flagged_twos += d->qos == 2;
    else
        got->had = true, got->plain += counts, got->twos += d->qos == 2;
    got->conn = d->conn;
    if (!d->retain)
        got->id = d->id;
}

static void judge_empty(const struct mqtt_model *model, const struct mqtt_session *session,
                        const struct mqtt_delivery *d)
{
    for (unsigned i = 1; i < model->message_count; i++)
        if (!model->messages[i]->len && strcmp(model->messages[i]->topic, d->topic) == 0)
            return;
    history_fail("client %u of MQTT: nobody has published an empty message to '%s'", session->client,
                 d->topic);
}

unsigned mqtt_model_delivered(struct mqtt_model *model, struct mqtt_session *session,
                              const struct mqtt_delivery *d)
{
    model->clock++;
    model->judged++;
    if (!d->len) {
        judge_empty(model, session, d);
        return 0;
    }
    struct mqtt_message *m = message_of(model, session, d);
    if (m->fate == MQ_NO)
        wrong(session, m, "came, and should never have been published");
    m->came = true;
    if (m->topic[0] == '$') {
        judge_shared(model, session, m, d);
        return m->number;
    }
    if (d->again)
        return m->number;
    struct verdict v = verdict_of(model, session, m);
    struct mqtt_got *got = got_of(model, session, m->number);
    judge_flags(model, session, m, d, got, &v);
    if (!d->retain)
        judge_order(model, session, m, d, v.flagged);
    count(model, d, got, &v);
    judge_count(model, session, m, d, got, &v);
    return m->number;
}

/* ---- what is owed
 * ------------------------------------------------------------------------------------------
 */

/* Live ones. With QoS 0 only if the connection has been there since. */
static void judge_live(struct mqtt_model *model, struct mqtt_session *session, uint64_t conn_begin)
{
    for (unsigned i = 1; i < model->message_count; i++) {
        const struct mqtt_message *m = model->messages[i];
        if (m->fate != MQ_YES || m->end == MQ_OPEN || !m->len || m->topic[0] == '$')
            continue;
        int qos = owed_qos(session, m);
        if (qos < 0 || (qos == 0 && m->begin < conn_begin))
            continue;
        const struct mqtt_got *got = got_of(model, session, i);
        model->owed++;
        if (!got->had && !got->had_flagged)
            wrong(session, m, "never came");
    }
}

/* The topic's retained message, if it is sure which it is since before then: a message, or NULL. */
static const struct mqtt_message *surely_retained(const struct mqtt_model *model, const char *topic,
                                                  uint64_t then)
{
    const struct mqtt_message *last = NULL;
    for (unsigned i = 1; i < model->message_count; i++) {
        const struct mqtt_message *m = model->messages[i];
        if (m->retain && m->fate != MQ_NO && strcmp(m->topic, topic) == 0 &&
            (!last || m->begin > last->begin))
            last = m;
    }
    if (!last || last->fate != MQ_YES || last->end >= then)
        return NULL;
    for (unsigned i = 1; i < model->message_count; i++) {
        const struct mqtt_message *m = model->messages[i];
        if (m != last && m->retain && m->fate != MQ_NO && m->end >= last->begin &&
            strcmp(m->topic, topic) == 0)
            return NULL;
    }
    return last->len ? last : NULL;
}

/* What a SUBSCRIBE asked for of what was retained, as long as nothing has befallen broker and connection. */
static void judge_retained(struct mqtt_model *model, struct mqtt_session *session, struct mqtt_sub *s)
{
    if (s->group >= 0 || s->handling == 2 || (s->handling == 1 && !s->anew) || s->downs != model->downs ||
        s->quit != MQ_OPEN || s->gone != MQ_OPEN)
        return;
    for (unsigned i = 1; i < model->message_count; i++) {
        const struct mqtt_message *m = model->messages[i];
        bool own = s->no_local && m->client == session->client;
        if (!m->retain || own || !mqtt_matches(s->filter, m->topic) ||
            surely_retained(model, m->topic, s->begin) != m)
            continue;
        model->owed++;
        if (!got_of(model, session, i)->had_flagged)
            wrong(session, m, "is retained, and didn't come when its topic was subscribed to");
    }
}

void mqtt_model_owed(struct mqtt_model *model, struct mqtt_session *session, uint64_t conn_begin, bool last)
{
    model->clock++;
    if (last)
        judge_live(model, session, conn_begin);
    for (unsigned i = 0; i < session->sub_count && !model->failed; i++) {
        struct mqtt_sub *s = &session->subs[i];
        if (s->sure == MQ_OPEN || s->judged || s->begin < conn_begin)
            continue;
        s->judged = true;
        judge_retained(model, session, s);
    }
}

/* A member with QoS 0 may have had it, and lost it. */
static bool may_be_lost(const struct mqtt_model *model, const struct mqtt_message *m)
{
    for (unsigned i = 0; i < model->share_count; i++)
        if (!model->shares[i].qos && mqtt_matches(model->shares[i].filter, m->topic))
            return true;
    return false;
}

void mqtt_model_shared_owed(struct mqtt_model *model, const uint64_t *conn_begin)
{
    for (unsigned i = 1; i < model->message_count; i++) {
        const struct mqtt_message *m = model->messages[i];
        if (m->topic[0] != '$' || m->fate != MQ_YES || m->end == MQ_OPEN || !m->qos || !m->len || m->taken ||
            m->downs != model->downs || may_be_lost(model, m))
            continue;
        for (unsigned j = 0; j < model->session_count; j++)
            for (unsigned k = 0; k < model->sessions[j]->sub_count; k++) {
                const struct mqtt_sub *s = &model->sessions[j]->subs[k];
                if (s->group >= 0 && s->qos && s->sure < m->begin && s->begin > conn_begin[j] &&
                    s->quit == MQ_OPEN && s->gone == MQ_OPEN && mqtt_matches(s->filter, m->topic))
                    wrong(model->sessions[j], m, "never came to a shared subscription");
            }
    }
}
