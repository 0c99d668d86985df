#include "codec/stomp/queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/connection.h"
#include "codec/stomp/permission.h"
#include "router/table_out.h"

enum {
    REMEMBERED = 16,    /* of those that outlive the connection */
    EXCLUSIVE_MAX = 64, /* of those that don't */
};

struct stomp_known {
    struct stomp_known *next;
    struct span name, arguments; /* owned */
    uint32_t flags;
};

/* ---- what a frame says ------------------------------------------------------------------------------- */

enum kind { NUMBER, LIMIT, FLAG, TEXT, AGE, WORD };

struct argument {
    const char *name;
    enum kind kind;
};

static const struct argument of_queues[] = {
#define X(setting, argument, key, kind, least, most, types, merge) {argument, kind},
#include "router/settings.def"
#undef X
};

static const struct argument of_consumers[] = {
    {"x-priority", LIMIT}, {"x-stream-filter", TEXT}, {"x-stream-match-unfiltered", FLAG}};

static const char *wrong(const char *name, const char *what)
{
    static _Thread_local char text[NAME_MAX_BYTES + 64];
    snprintf(text, sizeof text, "%s isn't %s", name, what);
    return text;
}

static bool signed_number(struct span text, int64_t *value)
{
    bool minus = span_starts(text, "-");
    uint64_t n;
    if (!stomp_number(span_of(text.at + minus, text.len - minus), &n))
        return false;
    *value = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

/* Of its name, text becomes a value of the type that declarations by AMQP have. */
static const char *put_argument(uint8_t **at, const struct argument *a, struct span text)
{
    int64_t n;
    switch (a->kind) {
    case NUMBER:
    case LIMIT:
        if (!signed_number(text, &n))
            return wrong(a->name, "a number");
        *at = put_field_long(*at, a->name, n);
        return NULL;
    case FLAG:
        if (!span_is(text, "true") && !span_is(text, "false"))
            return wrong(a->name, "true or false");
        *at = put_u8(put_field(*at, a->name, 't'), span_is(text, "true"));
        return NULL;
    default:
        *at = put_field_str(*at, a->name, text);
        return NULL;
    }
}

static const char *put_arguments(uint8_t **at, const struct stomp_frame *f, const struct argument *of,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct span *text = stomp_find(f, of[i].name);
        const char *why = text ? put_argument(at, &of[i], *text) : NULL;
        if (why)
            return why;
    }
    return NULL;
}

/* A flag of three states: *value stays as it is if the header isn't there. */
static const char *read_flag(const struct stomp_frame *f, const char *name, bool *value, bool *said)
{
    const struct span *text = stomp_find(f, name);
    if (!text)
        return NULL;
    if (!span_is(*text, "true") && !span_is(*text, "false"))
        return wrong(name, "true or false");
    *value = span_is(*text, "true");
    *said = true;
    return NULL;
}

/* Of a SEND, `persistent` is the message's. */
static const char *read_durable(const struct stomp_frame *f, bool *durable, bool *said)
{
    const char *why = span_is(f->command, "SEND") ? NULL : read_flag(f, "persistent", durable, said);
    return why ? why : read_flag(f, "durable", durable, said);
}

const char *stomp_queue_read(uint8_t *to, const struct stomp_frame *f, const struct stomp_destination *d,
                             struct stomp_queue *queue)
{
    bool durable = d->kind == STOMP_TO_QUEUE, said = false;
    uint8_t *end = to;
    const char *why = read_durable(f, &durable, &said);
    bool exclusive = !durable, auto_delete = !durable;
    if (!why)
        why = read_flag(f, "exclusive", &exclusive, &said);
    if (!why)
        why = read_flag(f, "auto-delete", &auto_delete, &said);
    if (!why)
        why = put_arguments(&end, f, of_queues, sizeof of_queues / sizeof *of_queues);
    said |= end != to;
    queue->arguments = span_of(to, (size_t)(end - to));
    queue->flags = (durable ? OP_DURABLE : 0u) | (exclusive ? OP_EXCLUSIVE : 0u) |
                   (auto_delete ? OP_AUTO_DELETE : 0u) | (said ? 0u : OP_ANY_WAY);
    return why;
}

/* "first", "last", "next", "offset=N", "timestamp=SECONDS", or N. */
static const char *put_offset(uint8_t **at, struct span text)
{
    static const char name[] = "x-stream-offset", offset[] = "offset=", time[] = "timestamp=";
    uint64_t n;
    bool is_time = span_starts(text, time);
    size_t skip = span_starts(text, offset) ? sizeof offset - 1 : is_time ? sizeof time - 1 : 0;
    if (!stomp_number(span_of(text.at + skip, text.len - skip), &n)) {
        *at = put_field_str(*at, name, text);
        return skip ? wrong(name, "followed by a number") : NULL;
    }
    *at = is_time ? put_field_time(*at, name, n) : put_field_long(*at, name, (int64_t)n);
    return NULL;
}

const char *stomp_consumer_read(uint8_t *to, const struct stomp_frame *f, struct span *arguments)
{
    uint8_t *end = to;
    const struct span *offset = stomp_find(f, "x-stream-offset");
    const char *why = offset ? put_offset(&end, *offset) : NULL;
    if (!why)
        why = put_arguments(&end, f, of_consumers, sizeof of_consumers / sizeof *of_consumers);
    *arguments = span_of(to, (size_t)(end - to));
    return why;
}

/* ---- what was declared --------------------------------------------------------------------------------- */

static struct stomp_known *find(const struct stomp *c, struct span name)
{
    for (struct stomp_known *k = c->known; k; k = k->next)
        if (span_equal(k->name, name))
            return k;
    return NULL;
}

bool stomp_queue_known(const struct stomp *c, struct span name, const struct stomp_queue *queue)
{
    const struct stomp_known *k = find(c, name);
    return k && (queue->flags & OP_ANY_WAY ||
                 (k->flags == queue->flags && span_equal(k->arguments, queue->arguments)));
}

static void forget(struct stomp *c, struct stomp_known **at)
{
    struct stomp_known *k = *at;
    *at = k->next;
    c->known_count -= !(k->flags & OP_EXCLUSIVE);
    c->exclusive_count -= !!(k->flags & OP_EXCLUSIVE);
    stomp_drop(&k->name);
    stomp_drop(&k->arguments);
    free(k);
}

/* The one that was declared first makes room. */
static void make_room(struct stomp *c)
{
    struct stomp_known **oldest = NULL;
    for (struct stomp_known **at = &c->known; *at; at = &(*at)->next)
        if (!((*at)->flags & OP_EXCLUSIVE))
            oldest = at;
    forget(c, oldest);
}

static void remember(struct stomp *c, struct span name, uint32_t flags, struct span arguments)
{
    for (struct stomp_known **at = &c->known; *at; at = &(*at)->next)
        if (span_equal((*at)->name, name)) {
            forget(c, at);
            break;
        }
    if (!(flags & OP_EXCLUSIVE) && c->known_count == REMEMBERED)
        make_room(c);
    struct stomp_known *k = calloc(1, sizeof *k);
    CHECK(k);
    *k = (struct stomp_known){c->known, stomp_keep(name), stomp_keep(arguments), flags};
    c->known = k;
    c->known_count += !(flags & OP_EXCLUSIVE);
    c->exclusive_count += !!(flags & OP_EXCLUSIVE);
}

static struct op *declaration(struct stomp *c, enum stomp_purpose purpose, struct span name,
                              const struct stomp_queue *queue)
{
    struct op *op = stomp_op(c, OP_QUEUE_DECLARE, purpose, name);
    op->flags = queue->flags;
    if (queue->arguments.len)
        op->arguments = stomp_keep(queue->arguments);
    return op;
}

void stomp_queue_declare(struct stomp *c, struct span name, const struct stomp_queue *queue, uint64_t tag)
{
    if (queue->flags & OP_EXCLUSIVE && c->exclusive_count >= EXCLUSIVE_MAX) {
        stomp_fail(c, NULL, "more than %d exclusive queues of one connection", EXCLUSIVE_MAX);
        return;
    }
    if (span_starts(name, "amq.")) {
        stomp_fail(c, NULL, "the queue '%.*s' can't be declared: names that begin with amq. are the broker's",
                   (int)name.len, (const char *)name.at);
        return;
    }
    const struct stomp_known *k = queue->flags & OP_ANY_WAY ? find(c, name) : NULL;
    struct stomp_queue how = k ? (struct stomp_queue){k->flags | OP_ANY_WAY, k->arguments} : *queue;
    struct op *op = declaration(c, STOMP_QUEUE, name, &how);
    op->tag = tag;
    c->declaring = (struct stomp_queue){k ? k->flags : queue->flags, stomp_keep(how.arguments)};
    stomp_send_op(c, op);
}

/* The queue of a subscription that its router deletes with it needs no place here. */
void stomp_queue_declared(struct stomp *c, const struct op *op)
{
    bool temporary = op->tag && c->declaring.flags & OP_EXCLUSIVE && c->declaring.flags & OP_AUTO_DELETE;
    if (!temporary)
        remember(c, name_span(&op->name), c->declaring.flags, c->declaring.arguments);
    stomp_drop(&c->declaring.arguments);
}

void stomp_queue_again(struct stomp *c, struct span name)
{
    const struct stomp_known *k = find(c, name);
    struct stomp_queue queue = {OP_DURABLE | OP_ANY_WAY, span_of("", 0)};
    if (k)
        queue = (struct stomp_queue){k->flags | OP_ANY_WAY, k->arguments};
    if (stomp_queue_permitted(c, NULL, name, &queue))
        stomp_send_op(c, declaration(c, STOMP_AGAIN, name, &queue));
}

void stomp_queues_free(struct stomp *c)
{
    while (c->known) {
        if (c->known->flags & OP_EXCLUSIVE) {
            struct op *op = stomp_op(c, OP_QUEUE_DELETE, STOMP_RELEASE, c->known->name);
            op->flags = OP_OF_OWNER;
            stomp_send_op(c, op);
        }
        forget(c, &c->known);
    }
    stomp_drop(&c->declaring.arguments);
}
