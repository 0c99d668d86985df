#include "codec_script.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct script_message {
    struct script_message *next;
    struct message message;
};

void script_begin(struct script *s, const struct codec *codec, const uint8_t *data, size_t size)
{
    *s = (struct script){.codec = codec, .host = fake_host_new(), .bytes = span_of(data, size)};
    s->state = calloc(1, codec->state_bytes);
    CHECK(s->state);
}

void script_open(struct script *s)
{
    s->codec->open(s->state, s->host);
}

void script_end(struct script *s)
{
    s->codec->gone(s->state, s->host);
    CHECK(s->host->done + s->host->lent == s->pages);
    CHECK(!s->host->channels);
    for (struct op *op; (op = fake_take_op(s->host, NULL)); host_free_op(s->host, op))
        free(op->will);
    fake_host_free(s->host);
    free(s->state);
    free(s->input.at);
    for (struct script_message *m; (m = s->messages); free(m))
        s->messages = m->next;
}

uint8_t script_next(struct script *s)
{
    if (!s->bytes.len)
        return 0;
    s->bytes.len--;
    return *s->bytes.at++;
}

struct span script_take(struct script *s, size_t n)
{
    struct span taken = span_of(s->bytes.at, n < s->bytes.len ? n : s->bytes.len);
    s->bytes = span_of(taken.at + taken.len, s->bytes.len - taken.len);
    return taken;
}

/* ---- bytes in -------------------------------------------------------------------------------------- */

void script_append(struct script *s, struct span bytes)
{
    struct fake_bytes *b = &s->input;
    if (b->len + bytes.len >= b->room) {
        b->room = 2 * (b->len + bytes.len) + 1;
        b->at = realloc(b->at, b->room);
        CHECK(b->at);
    }
    put_span(b->at + b->len, bytes);
    b->len += bytes.len;
}

void script_show(struct script *s, size_t more)
{
    size_t bytes = s->shown + more;
    if (bytes > s->input.len)
        bytes = s->input.len;
    uint8_t *exact = malloc(bytes + 1);
    CHECK(exact);
    put_span(exact, span_of(s->input.at, bytes));
    size_t used = bytes; /* as a front does: nothing is shown if there is nothing */
    if (bytes && !s->host->closed)
        used = s->codec->input(s->state, s->host, span_of(exact, bytes));
    free(exact);
    CHECK(used <= bytes);
    s->input.len -= used;
    if (used)
        memmove(s->input.at, s->input.at + used, s->input.len);
    s->shown = bytes - used;
    s->codec->flush(s->state, s->host);
}

/* ---- routers --------------------------------------------------------------------------------------- */

struct op *script_op(struct script *s, uint8_t refused, uint8_t *how, unsigned *router)
{
    struct op *op = fake_take_op(s->host, router);
    *how = script_next(s);
    if (!op)
        return NULL;
    op->error = *how < refused ? ERR_NONE : (enum error)(*how % ERRORS);
    snprintf(op->text, sizeof op->text, "because of the fuzzer");
    op->got = *how & 1;
    if (op->kind == OP_CONSUME && op->error == ERR_NONE) {
        op->consumer = 1 + *how;
        s->handle = op->tag;
    }
    return op;
}

void script_op_back(struct script *s, struct op *op, unsigned router)
{
    s->codec->event(s->state, s->host, router, &(union event){.op = {.kind = EVENT_OP, .op = op}});
}

struct message *script_message(struct script *s, size_t bytes)
{
    struct script_message *m = calloc(1, sizeof *m + bytes);
    CHECK(m);
    m->next = s->messages;
    s->messages = m;
    return &m->message;
}

struct parts *script_parts(struct script *s)
{
    static uint8_t zeros[70000];
    uint32_t n = script_next(s) % 4;
    struct parts *parts = n ? malloc(sizeof *parts + n * sizeof parts->part[0]) : NULL;
    for (uint32_t i = 0; i < n; i++) {
        parts->part[i].at = zeros;
        parts->part[i].len = script_next(s) * 257u;
        parts->part[i].page = i;
    }
    if (parts)
        parts->n = n;
    return parts;
}

void script_deliver(struct script *s, unsigned router, const struct event_deliver *event)
{
    s->pages += 1 + (event->parts ? event->parts->n : 0);
    s->codec->event(s->state, s->host, router, &(union event){.deliver = *event});
    s->codec->flush(s->state, s->host);
}

void script_confirm(struct script *s)
{
    uint8_t flags = script_next(s);
    struct event_confirm event = {.kind = EVENT_CONFIRM,
                                  .flags = flags & 3,
                                  .channel = flags >> 2 & 3,
                                  .count = 1 + script_next(s) % 16,
                                  .seq = script_next(s)};
    s->codec->event(s->state, s->host, 0, &(union event){.confirm = event});
}

/* ---- the front ------------------------------------------------------------------------------------- */

/* What the user may do has changed. */
static void change_access(struct script *s, uint8_t how)
{
    static const char *const names[] = {"a", "", "amq.topic", "q"};
    const char *name = how & 4 ? names[how >> 3 & 3] : NULL;
    s->host->refused_right = (enum access_right)(how % 3);
    s->host->refused_name = how & 32 ? NULL : name;
    s->host->refused_topic = how & 32 ? name : NULL;
    s->host->channels_max = how & 64 ? 1 + (how & 3) : 0;
    s->host->exchange_version++;
    s->codec->access_changed(s->state, s->host);
}

static void rare(struct script *s, uint8_t what)
{
    if (what == 255)
        s->codec->shutdown(s->state, s->host, "fuzzing");
    else if (!s->host->entered)
        s->host->full = (enum host_entry)(what % (ENTRY_USER_FULL + 1));
    else if (s->host->closed)
        return;
    else if (what == 254)
        s->codec->expel(s->state, s->host, "fuzzing", true);
    else if (what == 253)
        s->codec->expel(s->state, s->host, "fuzzing", false);
    else
        change_access(s, what);
}

bool script_front(struct script *s, uint8_t what)
{
    struct host *host = s->host;
    switch (what % 8) {
    case 0:
        host->park = !host->park;
        break;
    case 1:
        host->admitted = script_next(s) % 4;
        break;
    case 2:
        host->now_ns += script_next(s) * 500000000ull;
        if (host->wake_ns && host->now_ns >= host->wake_ns)
            s->codec->tick(s->state, host);
        break;
    case 3:
        host->backlog = script_next(s) * 10000u;
        s->codec->drained(s->state, host);
        break;
    case 4:
        s->codec->blocked(s->state, host, script_next(s) & 1 ? "why" : NULL);
        break;
    case 7:
        rare(s, script_next(s));
        break;
    default:
        return false;
    }
    return true;
}
