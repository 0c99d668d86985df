#include "amqp.h"
#include "options.h"

#include <stdio.h>

/* Requests sent before the first answer is awaited: a round trip each would take minutes for 100,000
 * bindings. */
#define PIPELINE 256

struct topology {
    struct conn conn;
    const struct options *o;
    enum wire_method awaited; /* the answer to each request in flight */
    unsigned in_flight;
};

static int settle(struct topology *t)
{
    for (; t->in_flight; t->in_flight--)
        if (amqp_await(&t->conn, t->awaited, NULL))
            return -1;
    return 0;
}

/* Closes the frame of a request and sees to its answer, in time. */
static int request(struct topology *t, size_t at, enum wire_method answer)
{
    method_close(&t->conn.out, at);
    t->awaited = answer;
    return ++t->in_flight < PIPELINE ? 0 : settle(t);
}

static int declare_exchange(struct topology *t)
{
    size_t at = method_open(&t->conn.out, 1, EXCHANGE_DECLARE);
    write_u16(&t->conn.out, 0); /* reserved-1 */
    write_shortstr(&t->conn.out, t->o->exchange);
    write_shortstr(&t->conn.out, t->o->type);
    write_u8(&t->conn.out, t->o->durable ? 1 << 1 : 0); /* passive, durable, auto-delete, internal, no-wait */
    write_table(&t->conn.out, NULL, 0);
    return request(t, at, EXCHANGE_DECLARE_OK) || settle(t) ? -1 : 0;
}

static int declare_queue(struct topology *t, const char *queue)
{
    size_t at = method_open(&t->conn.out, 1, QUEUE_DECLARE);
    write_u16(&t->conn.out, 0);
    write_shortstr(&t->conn.out, queue);
    /* bits: passive, durable, exclusive, auto-delete, no-wait */
    write_u8(&t->conn.out, (uint8_t)((t->o->durable ? 1 << 1 : 0) | (t->o->auto_delete ? 1 << 3 : 0)));
    write_table(&t->conn.out, t->o->queue_args.row, t->o->queue_args.n);
    return request(t, at, QUEUE_DECLARE_OK);
}

static int purge_queue(struct topology *t, const char *queue)
{
    size_t at = method_open(&t->conn.out, 1, QUEUE_PURGE);
    write_u16(&t->conn.out, 0);
    write_shortstr(&t->conn.out, queue);
    write_u8(&t->conn.out, 0);
    return request(t, at, QUEUE_PURGE_OK);
}

static int bind_queue(struct topology *t, const char *queue, const char *key)
{
    const struct field headers[] = {{"x-match", "all", 'S'}, {"gannet-bench", key, 'S'}};
    size_t at = method_open(&t->conn.out, 1, QUEUE_BIND);
    write_u16(&t->conn.out, 0);
    write_shortstr(&t->conn.out, queue);
    write_shortstr(&t->conn.out, t->o->exchange);
    write_shortstr(&t->conn.out, key);
    write_u8(&t->conn.out, 0);
    write_table(&t->conn.out, headers, strcmp(t->o->type, "headers") == 0 ? 2 : 0);
    return request(t, at, QUEUE_BIND_OK);
}

static int delete_queue(struct topology *t, const char *queue)
{
    size_t at = method_open(&t->conn.out, 1, QUEUE_DELETE);
    write_u16(&t->conn.out, 0);
    write_shortstr(&t->conn.out, queue);
    write_u8(&t->conn.out, 0); /* bits: if-unused, if-empty, no-wait */
    return request(t, at, QUEUE_DELETE_OK);
}

static int delete_exchange(struct topology *t)
{
    size_t at = method_open(&t->conn.out, 1, EXCHANGE_DELETE);
    write_u16(&t->conn.out, 0);
    write_shortstr(&t->conn.out, t->o->exchange);
    write_u8(&t->conn.out, 0);
    return request(t, at, EXCHANGE_DELETE_OK) || settle(t) ? -1 : 0;
}

/* Does one thing to every queue, then waits for the last answer. */
static int each_queue(struct topology *t, int (*action)(struct topology *t, const char *queue))
{
    char queue[256];
    for (uint64_t i = 1; i <= t->o->queues; i++) {
        options_expand(queue, t->o->queue, i);
        if (action(t, queue))
            return -1;
    }
    return settle(t);
}

static int bind_all(struct topology *t)
{
    char queue[256], key[256];
    for (uint64_t i = 1; i <= t->o->queues; i++) {
        options_expand(queue, t->o->queue, i);
        options_expand(key, t->o->binding_key, i);
        if (bind_queue(t, queue, key))
            return -1;
    }
    options_expand(queue, t->o->queue, 1);
    for (uint64_t i = 1; i <= t->o->extra_bindings; i++) {
        options_expand(key, t->o->extra_key, i);
        if (bind_queue(t, queue, key))
            return -1;
    }
    return settle(t);
}

static int make(struct topology *t)
{
    const struct options *o = t->o;
    if (!o->predeclared && *o->exchange && declare_exchange(t))
        return -1;
    if (!o->predeclared && each_queue(t, declare_queue))
        return -1;
    if (o->purge && each_queue(t, purge_queue))
        return -1;
    return !o->predeclared && *o->exchange ? bind_all(t) : 0;
}

static int drop(struct topology *t)
{
    if (each_queue(t, delete_queue))
        return -1;
    return *t->o->exchange && !t->o->predeclared ? delete_exchange(t) : 0;
}

static int with_connection(const struct options *o, struct carrier *carrier,
                           int (*action)(struct topology *t), char *why, size_t why_size)
{
    struct topology t = {.o = o};
    conn_init(&t.conn, o, CONN_CONTROL, 0, carrier);
    int failed = conn_open(&t.conn) || action(&t);
    if (failed)
        snprintf(why, why_size, "%s", t.conn.why);
    conn_close(&t.conn);
    conn_free(&t.conn);
    return failed ? -1 : 0;
}

int amqp_make(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    return with_connection(o, carrier, make, why, why_size);
}

int amqp_remove(const struct options *o, struct carrier *carrier, char *why, size_t why_size)
{
    return with_connection(o, carrier, drop, why, why_size);
}
