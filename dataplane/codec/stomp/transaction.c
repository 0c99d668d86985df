/*
 * BEGIN, COMMIT, ABORT: the frames of a transaction are looked at when they come, so that what is wrong is
 * said then, and kept. COMMIT does them one behind the other; its receipt comes when all of them are safe. A
 * broker that is killed in the midst of it has done some.
 */
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/connection.h"
#include "codec/stomp/permission.h"

enum { TRANSACTIONS_MAX = 64 };

struct kept_frame {
    struct kept_frame *next;
    uint32_t len;
    bool piece; /* of a large body; whole with its NUL, or the head of such a one, otherwise */
    uint8_t bytes[];
};

struct stomp_transaction {
    struct stomp_transaction *next;
    struct kept_frame *first, **end;
    struct span name; /* owned */
    bool going;       /* its COMMIT has begun */
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

static void drop(struct stomp *c, struct stomp_transaction *t)
{
    struct stomp_transaction **at = &c->transactions;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    c->transaction_count--;
    for (struct kept_frame *frame; (frame = t->first);) {
        t->first = frame->next;
        host_buffer_free(c->host, (uint8_t *)frame);
    }
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

static bool keep(struct stomp *c, struct stomp_transaction *t, struct span whole, bool piece)
{
    struct kept_frame *frame = (struct kept_frame *)(void *)host_buffer(c->host, sizeof *frame + whole.len);
    if (!frame) {
        stomp_fail(c, NULL, "no memory for a transaction");
        return false;
    }
    frame->next = NULL;
    frame->piece = piece;
    frame->len = (uint32_t)whole.len;
    put_span(frame->bytes, whole);
    *t->end = frame;
    t->end = &frame->next;
    return true;
}

bool stomp_hold(struct stomp *c, const struct stomp_frame *f, struct span body, struct span whole)
{
    struct stomp_transaction *t = find(c, f);
    if (!t || !(span_is(f->command, "SEND") ? stomp_publishable(c, f, body) : stomp_ack_known(c, f)))
        return false;
    if (!keep(c, t, whole, false))
        return false;
    stomp_receipt(c, f, false);
    return c->stage == STOMP_OPEN;
}

bool stomp_hold_head(struct stomp *c, const struct stomp_frame *f, struct span head)
{
    if (!stomp_hold(c, f, span_of("", 0), head))
        return false;
    c->rest = (struct stomp_rest){.going = true, .into = find(c, f), .left = f->length};
    return true;
}

bool stomp_hold_piece(struct stomp *c, struct span piece)
{
    return keep(c, c->rest.into, piece, true);
}

/* ---- COMMIT ------------------------------------------------------------------------------------------ */

/* Its body is behind the head. */
static bool read_kept(struct stomp *c, const struct kept_frame *frame, struct stomp_frame *f)
{
    const char *wrong;
    return stomp_head_read(span_of(frame->bytes, frame->len), c->version, f, &wrong) == STOMP_READ;
}

/* Before anything is done: an exchange may be gone since, or the right to send to it. */
static bool can_be_sent(struct stomp *c, const struct stomp_transaction *t)
{
    static _Thread_local struct stomp_frame f;
    struct stomp_destination d;
    for (const struct kept_frame *frame = t->first; frame; frame = frame->next)
        if (!frame->piece && read_kept(c, frame, &f) && span_is(f.command, "SEND") &&
            stomp_destination_read(stomp_value(&f, "destination"), &d) &&
            (!stomp_may_send(c, &f, &d) || !stomp_exchange(c, &f, &d)))
            return false;
    return true;
}

static bool replay_frame(struct stomp *c, const struct kept_frame *frame)
{
    static _Thread_local struct stomp_frame f;
    struct span whole = span_of(frame->bytes, frame->len);
    if (!read_kept(c, frame, &f))
        return false;
    size_t behind = whole.len - f.head_bytes;
    struct span body = span_of(whole.at + f.head_bytes, behind ? behind - 1 : 0);
    c->committing = true;
    bool done = stomp_frame_do(c, &f, body, whole);
    c->committing = false;
    return done;
}

static void unlink_first(struct stomp_transaction *t, struct kept_frame *next)
{
    t->first = next;
    if (!next)
        t->end = &t->first;
}

/* Does the first and takes it off. False: it must wait, or the connection is closed. */
static bool replay(struct stomp *c, struct stomp_transaction *t)
{
    struct kept_frame *frame = t->first, *next = frame->next;
    bool piece = frame->piece;
    if (piece ? !stomp_publish_rest(c, span_of(frame->bytes, frame->len), frame) : !replay_frame(c, frame))
        return false;
    unlink_first(t, next);
    if (!piece) /* one that was sent is the host's */
        host_buffer_free(c->host, (uint8_t *)frame);
    return true;
}

/* All that was sent without a confirm, acknowledgements too, has been when the barriers answer. */
bool stomp_commit(struct stomp *c, const struct stomp_frame *f)
{
    struct stomp_transaction *t = find(c, f);
    if (!t || (!t->going && !can_be_sent(c, t)))
        return false;
    t->going = true;
    while (t->first)
        if (!replay(c, t))
            return false;
    drop(c, t);
    stomp_receipt_behind(c, f, c->told, false);
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
