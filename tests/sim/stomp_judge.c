/* What a client reads, and what somebody should have read: is that right? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "stomp_model.h"

static _Noreturn void wrong(const struct stomp_message *m, const char *what)
{
    history_fail("STOMP: message %u (%s, to s%u, of client %u) %s", m->number,
                 m->persistent ? "persistent" : "transient", m->queue, m->client, what);
}

/* ---- a delivery -----------------------------------------------------------------------------------------
 */

static struct stomp_message *message_of(const struct stomp_model *model, const struct stomp_delivery *d)
{
    char number[9] = "", note[64];
    memcpy(number, d->body, d->len < 8 ? d->len : 8);
    unsigned long n = strtoul(number, NULL, 10);
    if (!n || n >= model->count)
        history_fail("STOMP: nobody has sent what came from s%u", d->queue);
    struct stomp_message *m = model->messages[n];
    uint8_t *body = malloc(m->len + 1);
    CHECK(body);
    stomp_model_body(m, body);
    bool same = m->len == d->len && memcmp(body, d->body, m->len) == 0;
    free(body);
    stomp_model_note(m, note, sizeof note);
    if (!same)
        wrong(m, "came with another body");
    if (m->queue != d->queue)
        wrong(m, "came from another queue");
    if (m->persistent != d->persistent || !d->note || strcmp(note, d->note) != 0)
        wrong(m, "came with other headers");
    return m;
}

/* One that is with somebody, or over, comes to nobody else. What is read late proves nothing. */
static void judge_held(const struct stomp_model *model, const struct stomp_message *m,
                       const struct stomp_delivery *d)
{
    if (m->fate == ST_NO)
        wrong(m, "came, and its transaction isn't committed");
    if (m->holder == d->client && m->holder_conn == d->conn)
        wrong(m, "came twice on one connection, and wasn't given back");
    if (m->holder && d->steady && stomp_client_steady(m->holder, m->holder_conn))
        wrong(m, "came to somebody, and somebody else has it");
    bool over = m->done && (m->done_downs == ST_FOREVER || m->done_downs == model->downs);
    if (over && (d->steady || d->begin > m->done))
        wrong(m, m->done_downs == ST_FOREVER ? "came again after it was acknowledged"
                                             : "came again, and ack is auto");
    if (m->seen_downs == model->downs + 1 && d->steady && !d->redelivered)
        wrong(m, "came again, and isn't marked as redelivered");
}

/* Nobody has had it, and no subscription has ended that may have had it: then it is its turn. */
static void judge_order(const struct stomp_model *model, const struct stomp_message *m,
                        const struct stomp_delivery *d)
{
    const struct stomp_place *p = &model->places[m->queue];
    if (!d->steady || !d->orderly || d->redelivered || p->disturbed || m->begin < p->ended)
        return;
    for (unsigned i = 1; i < model->count; i++) {
        const struct stomp_message *later = model->messages[i];
        if (later->conn == m->conn && later->queue == m->queue && later->rank > m->rank &&
            later->got_conn == d->conn) {
            char text[64];
            snprintf(text, sizeof text, "came behind message %u", later->number);
            wrong(m, text);
        }
    }
}

static void take(const struct stomp_model *model, struct stomp_message *m, const struct stomp_delivery *d)
{
    bool here = d->conn_downs == model->downs;
    m->got_conn = d->conn;
    if (d->automatic && here) {
        m->done = model->clock;
        m->done_downs = model->downs;
    }
    m->gone |= d->automatic;
    if (d->automatic || !d->steady)
        return;
    m->holder = d->client;
    m->holder_conn = d->conn;
    m->seen_downs = model->downs + 1;
    m->answered = false;
}

struct stomp_message *stomp_model_delivered(struct stomp_model *model, const struct stomp_delivery *d)
{
    model->clock++;
    model->judged++;
    struct stomp_message *m = message_of(model, d);
    judge_held(model, m, d);
    judge_order(model, m, d);
    take(model, m, d);
    return m;
}

/* ---- what is owed ---------------------------------------------------------------------------------------
 */

void stomp_model_owed(struct stomp_model *model, unsigned queue)
{
    const struct stomp_place *p = &model->places[queue];
    for (unsigned i = 1; i < model->count; i++) {
        const struct stomp_message *m = model->messages[i];
        bool kept = m->persistent || m->downs == model->downs;
        if (m->queue != queue || m->fate != ST_YES || !kept || m->begin < p->auto_ended)
            continue;
        model->owed++;
        if (!m->done && !m->answered && !m->gone)
            wrong(m, "was lost");
    }
}
