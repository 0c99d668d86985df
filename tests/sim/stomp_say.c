/* What a client of STOMP says, and what it means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "stomp_client.h"

/* ---- frames ----------------------------------------------------------------------------------------------
 */

static void header(struct stomp_client *c, const char *name, const char *value)
{
    stomp_wire_header(&c->out, c->version, name, value);
}

static void destination(struct stomp_client *c, unsigned queue)
{
    char text[16];
    snprintf(text, sizeof text, "/queue/s%u", queue);
    header(c, "destination", text);
}

static void in_transaction(struct stomp_client *c, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, "t-%u", number);
    header(c, "transaction", text);
}

/* Begins a frame, returns its number. What its receipt would say: as in struct stomp_awaited. */
static uint64_t begin(struct stomp_client *c, const char *command, bool receipt, bool speaks, bool all)
{
    char id[32];
    uint64_t frame = ++c->frames;
    stomp_wire_begin(&c->out, command);
    history_note("stomp %u > %s, frame %llu%s", c->number, command, (unsigned long long)frame,
                 receipt ? " with receipt" : "");
    if (!receipt)
        return frame;
    snprintf(id, sizeof id, "r-%llu", (unsigned long long)frame);
    header(c, "receipt", id);
    c->awaited = realloc(c->awaited, (c->awaited_count + 1) * sizeof *c->awaited);
    CHECK(c->awaited);
    c->awaited[c->awaited_count++] = (struct stomp_awaited){frame, speaks, all};
    return frame;
}

static void end(struct stomp_client *c)
{
    stomp_wire_end(&c->out, NULL, 0);
}

/* ---- SEND -------------------------------------------------------------------------------------------------
 */

void stomp_say_send(struct stomp_client *c, struct stomp_message *m, int transaction, bool receipt)
{
    char text[64];
    uint8_t *body = malloc(m->len + 1);
    CHECK(body);
    uint64_t frame = begin(c, "SEND", receipt, transaction < 0, false);
    m->client = c->number;
    m->conn = c->conn;
    destination(c, m->queue);
    if (m->persistent)
        header(c, "persistent", "true");
    stomp_model_note(m, text, sizeof text);
    header(c, "note", text);
    snprintf(text, sizeof text, "%u", m->len);
    if (!m->text)
        header(c, "content-length", text);
    if (transaction >= 0)
        in_transaction(c, m->transaction = c->open[transaction].number);
    stomp_model_body(m, body);
    stomp_wire_end(&c->out, body, m->len);
    free(body);
    if (transaction < 0)
        stomp_model_sent(c->party->model, m, frame);
    history_note("stomp %u sends message %08u to s%u: %s, %u bytes, transaction %u", c->number, m->number,
                 m->queue, m->persistent ? "persistent" : "transient", m->len, m->transaction);
}

/* ---- SUBSCRIBE, UNSUBSCRIBE
 * --------------------------------------------------------------------------------- */

void stomp_say_subscribe(struct stomp_client *c, unsigned queue, enum stomp_mode mode, unsigned prefetch,
                         bool receipt)
{
    static const char *const modes[] = {"auto", "client", "client-individual"};
    char text[16];
    c->subs = realloc(c->subs, (c->sub_count + 1) * sizeof *c->subs);
    CHECK(c->subs);
    struct stomp_sub *s = &c->subs[c->sub_count++];
    *s = (struct stomp_sub){.queue = queue, .mode = mode, .prefetch = prefetch};
    stomp_model_subscribed(c->party->model, queue, mode == ST_AUTO);
    s->begin = c->party->model->clock;
    snprintf(s->name, sizeof s->name, "n:%u", c->sub_count);
    if (c->version == 10)
        snprintf(s->name, sizeof s->name, "/queue/s%u", queue);
    begin(c, "SUBSCRIBE", receipt, false, false);
    destination(c, queue);
    if (c->version > 10)
        header(c, "id", s->name);
    if (mode != ST_AUTO || c->sub_count % 2)
        header(c, "ack", modes[mode]);
    snprintf(text, sizeof text, "%u", prefetch);
    if (prefetch)
        header(c, "prefetch-count", text);
    end(c);
    history_note("stomp %u subscribes to s%u as '%s': %s, prefetch-count %u", c->number, queue, s->name,
                 modes[mode], prefetch);
}

void stomp_say_unsubscribe(struct stomp_client *c, struct stomp_sub *s, bool receipt)
{
    s->quit = begin(c, "UNSUBSCRIBE", receipt, false, false);
    if (c->version > 10)
        header(c, "id", s->name);
    else
        destination(c, s->queue);
    end(c);
    stomp_model_ends(c->party->model, s->queue, s->mode == ST_AUTO);
    history_note("stomp %u unsubscribes '%s'", c->number, s->name);
}

/* ---- ACK, NACK -------------------------------------------------------------------------------------------
 */

static void drop_hold(struct stomp_client *c, unsigned i)
{
    memmove(&c->holds[i], &c->holds[i + 1], (--c->hold_count - i) * sizeof *c->holds);
}

/* The broker does it: of a subscription that is there and cumulative, all up to that one. */
static void answer(struct stomp_client *c, unsigned hold, enum stomp_answer how, uint64_t frame)
{
    const struct stomp_sub *s = &c->subs[c->holds[hold].sub];
    unsigned sub = c->holds[hold].sub;
    bool all = s->mode == ST_CUMULATIVE && !s->quit;
    for (unsigned i = hold + 1; i-- > (all ? 0 : hold);) {
        if (c->holds[i].sub != sub)
            continue;
        stomp_model_answered(c->holds[i].message, c->conn, frame, how == ST_NACK);
        drop_hold(c, i);
    }
}

static void keep(struct stomp_transaction_open *t, const char *id, enum stomp_answer how)
{
    t->kept = realloc(t->kept, (t->count + 1) * sizeof *t->kept);
    CHECK(t->kept);
    t->kept[t->count] = (struct stomp_kept){.how = how};
    snprintf(t->kept[t->count++].id, sizeof t->kept->id, "%s", id);
}

void stomp_say_answer(struct stomp_client *c, unsigned hold, enum stomp_answer how, int transaction,
                      bool receipt)
{
    const struct stomp_hold *h = &c->holds[hold];
    uint64_t frame = begin(c, how == ST_ACK ? "ACK" : "NACK", receipt, transaction < 0, false);
    header(c, c->version == 12 ? "id" : "message-id", h->id);
    if (c->version == 11)
        header(c, "subscription", c->subs[h->sub].name);
    if (how == ST_DROP)
        header(c, "requeue", "false");
    if (transaction >= 0)
        in_transaction(c, c->open[transaction].number);
    end(c);
    history_note("stomp %u answers for message %08u: %u, transaction %d", c->number, h->message->number, how,
                 transaction < 0 ? 0 : (int)c->open[transaction].number);
    if (transaction < 0)
        answer(c, hold, how, frame);
    else
        keep(&c->open[transaction], h->id, how);
}

/* The broker is to end the connection. */
static void leave(struct stomp_client *c)
{
    c->state = ST_LEAVING;
    for (unsigned i = 0; i < c->sub_count; i++)
        stomp_model_ends(c->party->model, c->subs[i].queue, c->subs[i].mode == ST_AUTO);
}

void stomp_say_wrong(struct stomp_client *c)
{
    begin(c, "ACK", true, false, false);
    header(c, c->version == 12 ? "id" : "message-id", "7-1000000");
    end(c);
    c->wrong = true;
    leave(c);
}

/* ---- transactions
 * ------------------------------------------------------------------------------------------- */

void stomp_say_begin(struct stomp_client *c, unsigned place, bool receipt)
{
    begin(c, "BEGIN", receipt, false, false);
    c->open[place].number = ++c->transactions;
    in_transaction(c, c->transactions);
    end(c);
}

void stomp_say_commit(struct stomp_client *c, unsigned place, bool receipt)
{
    struct stomp_transaction_open *t = &c->open[place];
    uint64_t frame = begin(c, "COMMIT", receipt, true, true);
    in_transaction(c, t->number);
    end(c);
    stomp_model_committed(c->party->model, c->conn, t->number, frame);
    for (unsigned k = 0; k < t->count; k++)
        for (unsigned i = 0; i < c->hold_count; i++)
            if (strcmp(c->holds[i].id, t->kept[k].id) == 0) {
                answer(c, i, t->kept[k].how, frame);
                break;
            }
    t->number = t->count = 0;
}

void stomp_say_abort(struct stomp_client *c, unsigned place, bool receipt)
{
    begin(c, "ABORT", receipt, false, false);
    in_transaction(c, c->open[place].number);
    end(c);
    c->open[place].number = c->open[place].count = 0;
}

void stomp_say_disconnect(struct stomp_client *c, bool receipt)
{
    begin(c, "DISCONNECT", receipt, true, true);
    end(c);
    leave(c);
    c->hold_count = 0;
}
