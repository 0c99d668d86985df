/*
 * BEGIN, COMMIT, ABORT: the frames of a transaction are kept as they came, and done one by one at COMMIT,
 * whose receipt comes when all of them are safe. A broker that is killed in the midst of it has done some.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/connection.h"

enum { TRANSACTIONS_MAX = 64 };

struct kept_frame {
    struct kept_frame *next;
    uint32_t len;
    uint8_t bytes[];
};

struct stomp_transaction {
    struct stomp_transaction *next;
    struct kept_frame *first, **end;
    struct span name; /* owned */
};

static struct stomp_transaction *find(struct stomp *c, const struct stomp_frame *f)
{
    struct span name = stomp_value(f, "transaction");
    for (struct stomp_transaction *t = c->transactions; t; t = t->next)
        if (span_equal(t->name, name))
            return t;
    stomp_fail(c, f, "there is no transaction '%.*s'", (int)(name.len < 128 ? name.len : 128),
               (const char *)name.at);
    return NULL;
}

static void frame_drop(struct stomp *c, struct stomp_transaction *t)
{
    struct kept_frame *frame = t->first;
    t->first = frame->next;
    if (!t->first)
        t->end = &t->first;
    host_buffer_free(c->host, (uint8_t *)frame);
}

static void drop(struct stomp *c, struct stomp_transaction *t)
{
    struct stomp_transaction **at = &c->transactions;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    c->transaction_count--;
    while (t->first)
        frame_drop(c, t);
    stomp_drop(&t->name);
    free(t);
}

void stomp_transactions_free(struct stomp *c)
{
    while (c->transactions)
        drop(c, c->transactions);
}

void stomp_begin(struct stomp *c, const struct stomp_frame *f)
{
    struct span name = stomp_value(f, "transaction");
    bool there = false;
    for (struct stomp_transaction *t = c->transactions; t; t = t->next)
        there |= span_equal(t->name, name);
    if (!name.len || there || c->transaction_count == TRANSACTIONS_MAX) {
        stomp_fail(c, f, "BEGIN %s",
                   !name.len ? "without a transaction"
                   : there   ? "of one that is open"
                             : "of too many");
        return;
    }
    struct stomp_transaction *t = calloc(1, sizeof *t);
    CHECK(t);
    t->name = stomp_keep(name);
    t->end = &t->first;
    t->next = c->transactions;
    c->transactions = t;
    c->transaction_count++;
    stomp_receipt(c, f, false);
}

void stomp_hold(struct stomp *c, const struct stomp_frame *f, struct span whole)
{
    struct stomp_transaction *t = find(c, f);
    if (!t)
        return;
    struct kept_frame *frame = (struct kept_frame *)(void *)host_buffer(c->host, sizeof *frame + whole.len);
    if (!frame) {
        stomp_fail(c, f, "no memory for a transaction");
        return;
    }
    frame->next = NULL;
    frame->len = (uint32_t)whole.len;
    put_span(frame->bytes, whole);
    *t->end = frame;
    t->end = &frame->next;
    stomp_receipt(c, f, false);
}

/* The next frame. False: it must wait, or the connection is closed. */
static bool replay(struct stomp *c, const struct kept_frame *frame)
{
    static _Thread_local struct stomp_frame f;
    const char *wrong;
    struct span whole = span_of(frame->bytes, frame->len);
    if (stomp_head_read(whole, c->version, &f, &wrong) != STOMP_READ)
        return false;
    c->committing = true;
    struct span body = span_of(whole.at + f.head_bytes, whole.len - f.head_bytes - 1);
    bool done = stomp_frame_do(c, &f, body, whole);
    c->committing = false;
    return done;
}

bool stomp_commit(struct stomp *c, const struct stomp_frame *f)
{
    struct stomp_transaction *t = find(c, f);
    if (!t)
        return false;
    while (t->first) {
        if (!replay(c, t->first))
            return false;
        frame_drop(c, t);
    }
    drop(c, t);
    stomp_receipt(c, f, false);
    return true;
}

void stomp_abort(struct stomp *c, const struct stomp_frame *f)
{
    struct stomp_transaction *t = find(c, f);
    if (!t)
        return;
    drop(c, t);
    stomp_receipt(c, f, false);
}
