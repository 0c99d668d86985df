#include "router_bench.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/consumer.h"

static const uint64_t log_begin = SEGMENT_BYTES;

struct bench *bench_new(size_t budget_bytes)
{
    struct bench *b = calloc(1, sizeof *b);
    lone_router_begin(&b->lone, (struct router_options){.memory_budget = budget_bytes,
                                                        .epoch_ns = UINT64_C(1700000000000000000)});
    b->router = b->lone.router;
    b->log = calloc(BENCH_PAGES, PAGE_BYTES);
    store_open(&b->router->store, &(struct journal_end){.lsn = log_begin, .safe = log_begin}, 1, 1);
    b->handed = log_begin;
    b->exchange = catalog_exchange(&b->router->catalog, LONE_VHOST, span_str(""))->exchange.id;
    return b;
}

static void free_op(struct op *op)
{
    if (op)
        free((void *)(uintptr_t)op->arguments.at);
    free(op);
}

void bench_free(struct bench *b)
{
    free_op(b->answer);
    lone_router_end(&b->lone);
    free(b->log);
    free(b);
}

/* ---- the disk ------------------------------------------------------------------------------------ */

static void tell(struct bench *b, struct journal_event event)
{
    cr_assert_eq(ring_put(b->lone.from_journal, &event, 1), 1);
}

static void read_back(struct bench *b, const struct journal_command *c)
{
    memcpy(c->bytes, b->log + (c->lsn - log_begin), c->len);
    tell(b, (struct journal_event){.kind = JOURNAL_DONE, .tag = c->tag});
}

static unsigned disk(struct bench *b)
{
    struct journal_command c;
    unsigned work = 0;
    for (; ring_take(b->lone.to_journal, &c, 1); work++) {
        if (c.kind == JOURNAL_WRITE) {
            cr_assert(c.lsn + c.len <= log_begin + (uint64_t)BENCH_PAGES * PAGE_BYTES);
            memcpy(b->log + (c.lsn - log_begin), c.bytes, c.len);
            b->handed = c.lsn + c.len;
        } else if (c.kind == JOURNAL_READ) {
            b->reads[b->read_count++] = c;
        }
    }
    for (; !b->hold_reads && b->read_count; work++)
        read_back(b, &b->reads[--b->read_count]);
    if (!b->hold_writes && b->router->store.safe < b->handed) {
        tell(b, (struct journal_event){.kind = JOURNAL_SAFE, .lsn = b->handed});
        work++;
    }
    return work;
}

/* ---- the front ----------------------------------------------------------------------------------- */

static void command(struct bench *b, union command command)
{
    cr_assert_eq(ring_put(b->lone.from_front, &command, 1), 1);
}

static void done(struct bench *b, uint64_t page)
{
    command(b, (union command){.done = {.kind = COMMAND_DONE, .count = 1, .page = page}});
}

static void on_deliver(struct bench *b, const struct event_deliver *e)
{
    struct bench_delivery d = {.tag = e->tag, .seq = e->seq, .flags = e->flags, .round = (uint16_t)e->ready};
    struct span body = message_body(e->message);
    size_t len = body.len < sizeof d.body - 1 ? body.len : sizeof d.body - 1;
    memcpy(d.body, body.at, len);
    cr_assert_lt(b->count, BENCH_DELIVERIES);
    d.parts = e->parts ? e->parts->n : 0;
    b->got[b->count++] = d;
    for (size_t i = 0; i < d.parts; i++)
        done(b, e->parts->part[i].page);
    free(e->parts);
    done(b, e->page);
}

static unsigned front(struct bench *b)
{
    union event e;
    unsigned work = 0;
    for (; ring_take(b->lone.to_front, &e, 1); work++) {
        if (e.kind == EVENT_DELIVER)
            on_deliver(b, &e.deliver);
        else if (e.kind == EVENT_CONFIRM)
            b->confirmed += e.confirm.count;
        else if (e.kind == EVENT_OP)
            b->answer = e.op.op;
        else if (e.kind == EVENT_EXCHANGE)
            free(e.exchange.update);
    }
    return work;
}

void bench_run(struct bench *b)
{
    for (unsigned quiet = 0, turns = 0; quiet < 3; turns++) {
        cr_assert_lt(turns, 1000000, "it never comes to rest");
        unsigned work = router_poll(b->router, b->now_ns) + disk(b) + front(b);
        quiet = work ? 0 : quiet + 1;
    }
}

void bench_publish(struct bench *b, const char *queue, uint8_t flags, struct span properties,
                   struct span body)
{
    size_t key = strlen(queue);
    uint8_t *bytes = malloc(key + properties.len + body.len);
    put_span(put_span(put_span(bytes, span_str(queue)), properties), body);
    command(b, (union command){.publish = {.kind = COMMAND_PUBLISH,
                                           .flags = flags | PUBLISH_CONFIRM,
                                           .key_len = (uint8_t)key,
                                           .protocol = PROPERTIES_AMQP,
                                           .properties_at = (uint16_t)key,
                                           .seq = ++b->published,
                                           .exchange = b->exchange,
                                           .bytes = bytes,
                                           .properties_len = (uint32_t)properties.len,
                                           .body_at = (uint32_t)(key + properties.len),
                                           .body_len = (uint32_t)body.len,
                                           .total_len = (uint32_t)body.len}});
    router_poll(b->router, b->now_ns);
    front(b);
    free(bytes);
}

void bench_send(struct bench *b, const char *queue, const char *body)
{
    static const uint8_t nothing[2] = {0};
    bench_publish(b, queue, 0, span_of(nothing, 2), span_str(body));
    bench_run(b);
}

struct op *bench_op(struct bench *b, enum op_kind kind, const char *name, uint32_t flags,
                    struct span arguments)
{
    free_op(b->answer);
    b->answer = NULL;
    struct op *op = calloc(1, sizeof *op);
    op->kind = kind;
    op->flags = flags;
    op->vhost = LONE_VHOST;
    op->arguments = span_copy(arguments);
    name_set(&op->name, span_str(name));
    command(b, (union command){.op = {.kind = COMMAND_OP, .op = op}});
    bench_run(b);
    cr_assert_eq(b->answer, op);
    return op;
}

struct op *bench_consume(struct bench *b, const char *queue, uint64_t tag, uint32_t prefetch,
                         struct span arguments)
{
    free_op(b->answer);
    b->answer = NULL;
    struct op *op = calloc(1, sizeof *op);
    op->kind = OP_CONSUME;
    op->flags = prefetch ? 0 : OP_NO_PREFETCH;
    op->vhost = LONE_VHOST;
    op->arguments = span_copy(arguments);
    op->tag = tag;
    op->prefetch = prefetch ? prefetch : UNACKED_MAX;
    op->window = CONSUMER_WINDOW;
    name_set(&op->name, span_str(queue));
    command(b, (union command){.op = {.kind = COMMAND_OP, .op = op}});
    bench_run(b);
    cr_assert_eq(b->answer, op);
    return op;
}

void bench_settle(struct bench *b, uint64_t consumer, uint64_t seq, uint32_t count, enum settle how)
{
    struct consumer *c = slots_get(&b->router->consumers, consumer);
    command(b, (union command){.settle = {.kind = COMMAND_SETTLE,
                                          .how = (uint8_t)how,
                                          .count = count,
                                          .queue = c->queue->handle,
                                          .seq = seq,
                                          .consumer = consumer}});
}

void bench_credit(struct bench *b, struct command_credit credit)
{
    credit.kind = COMMAND_CREDIT;
    command(b, (union command){.credit = credit});
}

struct bench_delivery bench_next(struct bench *b)
{
    if (b->looked < b->count)
        return b->got[b->looked++];
    b->looked = b->count = 0;
    return (struct bench_delivery){0};
}

struct queue *bench_queue(struct bench *b, const char *name)
{
    return catalog_queue(&b->router->catalog, LONE_VHOST, span_str(name));
}
