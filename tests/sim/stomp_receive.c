/* What comes to a client of STOMP. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "network.h"
#include "stomp_client.h"
#include "tap.h"

static const char *need(const struct stomp_client *c, const struct stomp_wire_frame *f, const char *name)
{
    const char *value = stomp_wire_value(f, name);
    if (!value)
        history_fail("client %u of STOMP: %s without %s", c->number, f->command, name);
    return value;
}

static bool is(const struct stomp_wire_frame *f, const char *name, const char *value)
{
    const char *is = stomp_wire_value(f, name);
    return is && strcmp(is, value) == 0;
}

/* ---- CONNECTED, RECEIPT, ERROR --------------------------------------------------------------------------
 */

static void on_connected(struct stomp_client *c, const struct stomp_wire_frame *f)
{
    static const char *const versions[] = {"1.0", "1.1", "1.2"};
    if (c->state != ST_CONNECTING)
        history_fail("client %u of STOMP: a second CONNECTED", c->number);
    if (!is(f, "version", versions[c->version - 10]))
        history_fail("client %u of STOMP: CONNECTED with another version", c->number);
    c->state = ST_CONNECTED;
}

static void subs_gone(struct stomp_client *c, uint64_t frame)
{
    for (unsigned i = 0; i < c->sub_count; i++)
        c->subs[i].gone |= c->subs[i].quit && c->subs[i].quit <= frame;
}

static void on_receipt(struct stomp_client *c, const struct stomp_wire_frame *f)
{
    char due[32] = "none";
    struct stomp_awaited a = c->awaited_count ? c->awaited[0] : (struct stomp_awaited){0};
    if (c->awaited_count)
        snprintf(due, sizeof due, "r-%llu", (unsigned long long)a.frame);
    if (strcmp(need(c, f, "receipt-id"), due) != 0)
        history_fail("client %u of STOMP: RECEIPT %s, and due is %s", c->number, need(c, f, "receipt-id"),
                     due);
    memmove(c->awaited, c->awaited + 1, --c->awaited_count * sizeof *c->awaited);
    subs_gone(c, a.frame);
    if (a.speaks)
        stomp_model_safe(c->party->model, c->conn, a.frame, a.all);
}

static void on_error(struct stomp_client *c, const struct stomp_wire_frame *f)
{
    const struct stomp_party *party = c->party;
    bool may = c->wrong || party->stopping || party->model->failed || party->model->downs != c->conn_downs ||
               network_is_lan(party->network);
    c->told = true;
    history_note("stomp %u: ERROR: %s", c->number, need(c, f, "message"));
    may |= c->beat_ms && strstr(need(c, f, "message"), "nothing heard");
    may |= c->transactions && strstr(need(c, f, "message"), "no memory for a transaction");
    if (!may)
        history_fail("client %u of STOMP: ERROR: %s", c->number, need(c, f, "message"));
}

/* ---- MESSAGE
 * ----------------------------------------------------------------------------------------------- */

static struct stomp_sub *sub_of(struct stomp_client *c, const struct stomp_wire_frame *f)
{
    const char *name = need(c, f, "subscription");
    char destination[16];
    for (unsigned i = c->sub_count; i-- > 0;) {
        struct stomp_sub *s = &c->subs[i];
        if (strcmp(s->name, name) != 0)
            continue;
        snprintf(destination, sizeof destination, "/queue/s%u", s->queue);
        if (s->gone)
            history_fail("client %u of STOMP: MESSAGE after UNSUBSCRIBE was answered", c->number);
        if (!is(f, "destination", destination))
            history_fail("client %u of STOMP: MESSAGE from another destination", c->number);
        return s;
    }
    history_fail("client %u of STOMP: MESSAGE for no subscription", c->number);
}

/* Ids are numbers that go up. */
static void judge_id(struct stomp_client *c, const struct stomp_wire_frame *f, const struct stomp_sub *s)
{
    const char *id = need(c, f, "message-id"), *ack = stomp_wire_value(f, "ack"), *dash = strrchr(id, '-');
    uint64_t tag = dash ? strtoul(dash + 1, NULL, 10) : 0;
    if (tag <= c->last_tag)
        history_fail("client %u of STOMP: message-id %s behind %llu", c->number, id,
                     (unsigned long long)c->last_tag);
    c->last_tag = tag;
    if (!ack != (c->version < 12 || s->mode == ST_AUTO))
        history_fail("client %u of STOMP: MESSAGE %s an id for ACK", c->number, ack ? "with" : "without");
}

static void hold(struct stomp_client *c, const struct stomp_wire_frame *f, const struct stomp_sub *s,
                 struct stomp_message *m)
{
    unsigned sub = (unsigned)(s - c->subs), held = 0;
    c->holds = realloc(c->holds, (c->hold_count + 1) * sizeof *c->holds);
    CHECK(c->holds);
    struct stomp_hold *h = &c->holds[c->hold_count++];
    *h = (struct stomp_hold){.message = m, .sub = sub};
    snprintf(h->id, sizeof h->id, "%s", need(c, f, c->version == 12 ? "ack" : "message-id"));
    for (unsigned i = 0; i < c->hold_count; i++)
        held += c->holds[i].sub == sub;
    if (s->prefetch && held > s->prefetch)
        history_fail("client %u of STOMP: %u messages wait for its answer, and prefetch-count is %u",
                     c->number, held, s->prefetch);
}

/* The broker has ended none of the queue's subscriptions that its client doesn't know of. */
static bool all_there(const struct stomp_party *party, unsigned queue)
{
    for (unsigned i = 0; i <= ST_CLIENTS; i++) {
        const struct stomp_client *c = &party->clients[i];
        for (unsigned j = 0; j < c->sub_count; j++)
            if (c->subs[j].queue == queue && taps_left(party->taps, c->stream))
                return false;
    }
    return true;
}

static void on_message(struct stomp_client *c, const struct stomp_wire_frame *f)
{
    struct stomp_party *party = c->party;
    const struct stomp_sub *s = sub_of(c, f);
    const char *length = need(c, f, "content-length");
    judge_id(c, f, s);
    struct stomp_delivery d = {.client = c,
                               .conn = c->conn,
                               .conn_downs = c->conn_downs,
                               .begin = s->begin,
                               .queue = s->queue,
                               .steady = stomp_client_steady(c, c->conn),
                               .orderly = all_there(party, s->queue),
                               .automatic = s->mode == ST_AUTO,
                               .redelivered = is(f, "redelivered", "true"),
                               .persistent = is(f, "persistent", "true"),
                               .body = f->body,
                               .len = f->body_len,
                               .note = stomp_wire_value(f, "note")};
    if (strtoul(length, NULL, 10) != f->body_len)
        history_fail("client %u of STOMP: MESSAGE of another length", c->number);
    struct stomp_message *m = stomp_model_delivered(party->model, &d);
    history_note("stomp %u has got message %08u from s%u%s", c->number, m->number, s->queue,
                 d.redelivered ? ", again" : "");
    if (!d.automatic && c->state == ST_CONNECTED)
        hold(c, f, s, m);
}

static void on_frame(struct stomp_client *c, const struct stomp_wire_frame *f)
{
    if (f->bad)
        history_fail("client %u of STOMP: a malformed frame", c->number);
    if (c->state == ST_CONNECTING && strcmp(f->command, "CONNECTED") != 0 && strcmp(f->command, "ERROR") != 0)
        history_fail("client %u of STOMP: %s before CONNECTED", c->number, f->command);
    if (strcmp(f->command, "CONNECTED") == 0)
        on_connected(c, f);
    else if (strcmp(f->command, "RECEIPT") == 0)
        on_receipt(c, f);
    else if (strcmp(f->command, "MESSAGE") == 0)
        on_message(c, f);
    else if (strcmp(f->command, "ERROR") == 0)
        on_error(c, f);
    else
        history_fail("client %u of STOMP: a broker sends no %s", c->number, f->command);
}

void stomp_client_take(struct stomp_client *c)
{
    static struct stomp_wire_frame f;
    size_t n;
    while ((n = stomp_wire_read(&c->in, c->version, &f))) {
        if (f.command[0]) {
            history_note("stomp %u < %s %s", c->number, f.command,
                         strcmp(f.command, "RECEIPT") == 0 ? need(c, &f, "receipt-id") : "");
            on_frame(c, &f);
        }
        buffer_drop(&c->in, n);
    }
}
