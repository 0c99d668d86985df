/* Streams, on a router whose front and disk are the test's. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/consumer.h"
#include "router/properties.h"
#include "router/shape.h"
#include "router/stream.h"
#include "router/table_out.h"
#include "router_bench.h"

enum { MEMORY = 64 * PAGE_BYTES };

#define SECOND  UINT64_C(1000000000)
#define EPOCH_S UINT64_C(1700000000)

static uint8_t table[4096];

static struct span table_to(const uint8_t *end)
{
    return span_of(table, (size_t)(end - table));
}

static struct bench *with_stream(size_t budget, const char *argument, struct span text)
{
    struct bench *b = bench_new(budget);
    uint8_t *at = put_field_str(table, "x-queue-type", span_str("stream"));
    if (argument)
        at = put_field_str(at, argument, text);
    struct op *op = bench_op(b, OP_QUEUE_DECLARE, "s", OP_DURABLE, table_to(at));
    cr_assert_eq(op->error, ERR_NONE, "%s", op->text);
    return b;
}

static uint64_t number_in(const char *body)
{
    char *end;
    uint64_t n = strtoul(body, &end, 10);
    cr_assert(end != body && !*end);
    return n;
}

static void send_many(struct bench *b, unsigned from, unsigned to)
{
    char body[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(body, sizeof body, "%u", i);
        bench_send(b, "s", body);
    }
}

static struct span word(const char *offset)
{
    return table_to(put_field_str(table, "x-stream-offset", span_str(offset)));
}

static struct span number(int64_t offset)
{
    return table_to(put_field_long(table, "x-stream-offset", offset));
}

static struct span seconds(uint64_t s)
{
    return table_to(put_field_time(table, "x-stream-offset", s));
}

/* The next deliveries are the offsets [from, to), to consumer `tag`, and then nothing. */
static void expect(struct bench *b, uint64_t tag, uint64_t from, uint64_t to)
{
    for (uint64_t offset = from; offset < to; offset++) {
        struct bench_delivery d = bench_next(b);
        cr_assert(d.tag == tag && d.seq == offset + 1, "tag %lu offset %lu came, not tag %lu offset %lu",
                  d.tag, d.seq - 1, tag, offset);
        cr_assert_eq(number_in(d.body), offset);
        cr_assert_eq(d.flags, DELIVER_OFFSET);
    }
    struct bench_delivery more = bench_next(b);
    cr_assert_eq(more.tag, 0, "offset %lu came too", more.seq - 1);
}

static void starts_at(struct bench *b, struct span arguments, uint64_t offset, uint64_t end)
{
    static uint64_t tag = 100;
    struct op *op = bench_consume(b, "s", ++tag, 10000, arguments);
    cr_assert_eq(op->error, ERR_NONE, "%s", op->text);
    expect(b, tag, offset, end);
    queue_cancel(b->router, slots_get(&b->router->consumers, op->consumer));
}

/* ---- where consumers begin ----------------------------------------------------------------------- */

Test(stream, begins_where_it_is_asked_to)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    send_many(b, 0, 10);
    starts_at(b, word("first"), 0, 10);
    starts_at(b, word("last"), 9, 10);
    starts_at(b, word("next"), 10, 10);
    starts_at(b, span_of(table, 0), 10, 10);
    starts_at(b, number(-5), 0, 10);
    starts_at(b, number(0), 0, 10);
    starts_at(b, number(7), 7, 10);
    starts_at(b, number(10), 10, 10);
    starts_at(b, number(INT64_MAX), 10, 10);
    bench_free(b);
}

Test(stream, waits_for_a_number_to_come)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    bench_consume(b, "s", 1, 1000, number(5));
    send_many(b, 0, 8);
    expect(b, 1, 5, 8);
    bench_free(b);
}

/* Three messages each second, from second 1 on: the offsets of second n are 3 (n - 1) and on. */
Test(stream, begins_at_the_first_message_of_a_time)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    for (unsigned s = 1; s <= 600; s++) {
        b->now_ns = s * SECOND;
        send_many(b, 3 * (s - 1), 3 * s);
    }
    starts_at(b, seconds(0), 0, 1800);
    for (unsigned s = 300; s <= 600; s += 37)
        starts_at(b, seconds(EPOCH_S + s), 3 * (s - 1), 1800);
    starts_at(b, seconds(EPOCH_S + 601), 1800, 1800);
    starts_at(b, seconds(UINT64_MAX), 1800, 1800);
    starts_at(b, word("10s"), 3 * 589, 1800);
    b->now_ns = 700 * SECOND;
    starts_at(b, word("10s"), 1800, 1800);
    starts_at(b, word("5m"), 3 * 399, 1800);
    bench_free(b);
}

Test(stream, refuses_what_it_cannot_do)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    cr_assert_eq(bench_consume(b, "s", 1, 0, word("first"))->error, ERR_PRECONDITION_FAILED);
    cr_assert_eq(bench_consume(b, "s", 1, 1, word("1w"))->error, ERR_PRECONDITION_FAILED);
    cr_assert_eq(bench_consume(b, "s", 1, 1, word(""))->error, ERR_PRECONDITION_FAILED);
    cr_assert_eq(bench_consume(b, "s", 1, 1, word("0s"))->error, ERR_PRECONDITION_FAILED);
    struct span flag = table_to(put_u8(put_field(table, "x-stream-offset", 't'), 1));
    cr_assert_eq(bench_consume(b, "s", 1, 1, flag)->error, ERR_PRECONDITION_FAILED);
    cr_assert_eq(bench_op(b, OP_GET, "s", 0, span_of(table, 0))->error, ERR_NOT_IMPLEMENTED);
    cr_assert_eq(bench_op(b, OP_QUEUE_PURGE, "s", 0, span_of(table, 0))->error, ERR_NOT_IMPLEMENTED);
    bench_free(b);
}

/* ---- live ---------------------------------------------------------------------------------------- */

Test(stream, goes_live_without_gap_or_duplicate_and_settling_only_gives_credit)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    send_many(b, 0, 5);
    uint64_t consumer = bench_consume(b, "s", 1, 3, word("first"))->consumer;
    expect(b, 1, 0, 3);
    bench_settle(b, consumer, 1, 1, SETTLE_ACK);
    bench_settle(b, consumer, 2, 1, SETTLE_DROP);
    bench_settle(b, consumer, 3, 1, SETTLE_REQUEUE);
    bench_run(b);
    expect(b, 1, 3, 5);
    send_many(b, 5, 8);
    expect(b, 1, 5, 6);
    bench_settle(b, consumer, 4, 3, SETTLE_ACK);
    bench_run(b);
    expect(b, 1, 6, 8);
    cr_assert_eq(bench_queue(b, "s")->index.ready, 8);
    bench_free(b);
}

Test(stream, each_of_many_consumers_gets_everything)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    unsigned count[20] = {0};
    for (uint64_t tag = 0; tag < 20; tag++)
        bench_consume(b, "s", tag + 1, 1000, word("next"));
    send_many(b, 0, 100);
    for (struct bench_delivery d; (d = bench_next(b)).tag;)
        cr_assert_eq(d.seq, ++count[d.tag - 1]);
    for (uint64_t tag = 0; tag < 20; tag++)
        cr_assert_eq(count[tag], 100);
    bench_free(b);
}

/* An offset must not come to mean another message after a crash. */
Test(stream, delivers_what_is_safe_and_nothing_else)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    bench_consume(b, "s", 1, 1000, word("next"));
    b->hold_writes = true;
    send_many(b, 0, 3);
    cr_assert_eq(b->confirmed, 0);
    expect(b, 1, 0, 0);
    b->hold_writes = false;
    bench_run(b);
    cr_assert_eq(b->confirmed, 3, "a transient message is kept like any other");
    expect(b, 1, 0, 3);
    bench_free(b);
}

/* As a front does it: what is held back is given back unseen, and the consumer goes on where its client is,
 * in a new round. */
Test(stream, resumes_behind_what_the_client_has_seen)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    uint64_t consumer = bench_consume(b, "s", 1, 1000, word("next"))->consumer;
    send_many(b, 0, 6);
    expect(b, 1, 0, 6);
    bench_credit(b, (struct command_credit){.consumer = consumer, .flags = CREDIT_PAUSE});
    bench_settle(b, consumer, 4, 2, SETTLE_UNSEEN);
    bench_run(b);
    send_many(b, 6, 8);
    expect(b, 1, 0, 0);
    bench_credit(
        b, (struct command_credit){.consumer = consumer, .flags = CREDIT_RESUME, .round = 1, .seen = 3});
    bench_settle(b, consumer, 6, 1, SETTLE_UNSEEN); /* of the old round, on its way until now */
    bench_run(b);
    expect(b, 1, 3, 8);
    bench_credit(b, (struct command_credit){.consumer = consumer, .flags = CREDIT_PAUSE});
    bench_credit(b, (struct command_credit){.consumer = consumer, .flags = CREDIT_RESUME, .round = 2});
    bench_run(b);
    expect(b, 1, 0, 8);
    bench_free(b);
}

/* ---- filters ------------------------------------------------------------------------------------- */

static void send_filtered(struct bench *b, unsigned n, const char *value)
{
    uint8_t properties[128], *at = put_be32(put_be16(properties, HAS_HEADERS), 0);
    if (value)
        at = put_field_str(at, "x-stream-filter-value", span_str(value));
    put_be32(properties + 2, (uint32_t)(at - properties - 6));
    char body[16];
    snprintf(body, sizeof body, "%u", n);
    bench_publish(b, "s", PUBLISH_MARKED, span_of(properties, (size_t)(at - properties)), span_str(body));
    bench_run(b);
}

static struct span filter(const char *one, const char *other, bool unfiltered)
{
    uint8_t *at = put_field_str(table, "x-stream-offset", span_str("first"));
    if (other) {
        uint8_t *open = at = put_open(at, "x-stream-filter", 'A');
        at = put_long_str(put_u8(at, 'S'), span_str(one));
        at = put_long_str(put_u8(at, 'S'), span_str(other));
        put_length(open, at);
    } else {
        at = put_field_str(at, "x-stream-filter", span_str(one));
    }
    return table_to(put_u8(put_field(at, "x-stream-match-unfiltered", 't'), unfiltered));
}

static void filtered(struct bench *b, struct span arguments, const char *want)
{
    static uint64_t tag = 0;
    bench_consume(b, "s", ++tag, 10000, arguments);
    for (; *want; want++)
        cr_assert_eq(bench_next(b).seq - 1, (uint64_t)(*want - '0'));
    cr_assert_eq(bench_next(b).tag, 0);
}

Test(stream, filters_by_value)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    const char *values[] = {"a", "b", NULL, "ab", "a", "c", NULL};
    for (unsigned i = 0; i < 7; i++)
        send_filtered(b, i, values[i]);
    filtered(b, filter("a", NULL, false), "04");
    filtered(b, filter("a", NULL, true), "0246");
    filtered(b, filter("b", "c", false), "15");
    filtered(b, filter("", NULL, false), "");
    bench_free(b);
}

/* ---- retention ----------------------------------------------------------------------------------- */

static struct bench *with_lengths(uint64_t most, uint64_t segment)
{
    struct bench *b = bench_new(MEMORY);
    uint8_t *at = put_field_str(table, "x-queue-type", span_str("stream"));
    at = put_field_long(at, "x-max-length-bytes", (int64_t)most);
    at = put_field_long(at, "x-stream-max-segment-size-bytes", (int64_t)segment);
    cr_assert_eq(bench_op(b, OP_QUEUE_DECLARE, "s", OP_DURABLE, table_to(at))->error, ERR_NONE);
    return b;
}

Test(stream, drops_the_oldest_when_it_is_too_long_by_a_segment)
{
    struct bench *b = with_lengths(20, 10);
    send_many(b, 10, 25); /* of two bytes each */
    const struct index *index = &bench_queue(b, "s")->index;
    cr_assert(index->bytes == 30 && index_first(index) == 1);
    send_many(b, 25, 26);
    cr_assert_eq(index->bytes, 20);
    cr_assert_eq(index_first(index), 7);
    send_many(b, 26, 99);
    cr_assert(index->bytes <= 30 && index->bytes >= 20);
    bench_free(b);
}

Test(stream, the_newest_message_stays)
{
    struct bench *b = with_lengths(0, 0);
    send_many(b, 0, 10);
    cr_assert_eq(bench_queue(b, "s")->index.ready, 1);
    starts_at(b, word("first"), 9, 10);
    bench_free(b);
}

Test(stream, what_is_too_old_goes_by_itself)
{
    struct bench *b = with_stream(MEMORY, "x-max-age", span_str("60s"));
    const struct index *index = &bench_queue(b, "s")->index;
    b->now_ns = SECOND;
    send_many(b, 0, 5);
    b->now_ns = 40 * SECOND;
    send_many(b, 5, 9);
    b->now_ns = 61 * SECOND;
    bench_run(b);
    cr_assert_eq(index->ready, 9, "at 60 s of age");
    b->now_ns += 1000000;
    bench_run(b);
    cr_assert_eq(index->ready, 4);
    starts_at(b, number(0), 5, 9);
    b->now_ns = 1000 * SECOND;
    bench_run(b);
    cr_assert_eq(index->ready, 4, "those of the newest mark stay");
    bench_free(b);
}

Test(stream, a_policy_takes_effect_at_once)
{
    struct bench *b = with_stream(MEMORY, NULL, span_str(""));
    struct queue *queue = bench_queue(b, "s");
    send_many(b, 0, 5);
    b->now_ns = 100 * SECOND;
    send_many(b, 5, 9);
    struct settings settings = queue->shape->settings;
    settings_merge(&settings, table_to(put_field_str(table, "max-age", span_str("1m"))));
    shape_apply(b->router, queue, &settings);
    cr_assert_eq(index_first(&queue->index), 6);
    starts_at(b, word("first"), 5, 9);
    bench_free(b);
}

/* ---- old pages ----------------------------------------------------------------------------------- */

static void send_big(struct bench *b, unsigned n)
{
    static uint8_t big[40000];
    static const uint8_t nothing[2] = {0};
    snprintf((char *)big, sizeof big, "%u", n);
    bench_publish(b, "s", 0, span_of(nothing, 2), span_of(big, sizeof big));
    bench_run(b);
}

/* So many big messages, more than are kept in memory. */
static struct bench *with_backlog(unsigned messages)
{
    struct bench *b = with_stream(8 * PAGE_BYTES, NULL, span_str(""));
    for (unsigned i = 0; i < messages; i++)
        send_big(b, i);
    return b;
}

/* A reader of the beginning waits for the disk, and one at the end doesn't. */
Test(stream, readers_of_old_pages_hold_up_nobody)
{
    const unsigned messages = 600;
    struct bench *b = with_backlog(messages);
    b->hold_reads = true;
    uint64_t old = bench_consume(b, "s", 1, 1000, word("first"))->consumer;
    bench_consume(b, "s", 2, 1000, word("next"));
    expect(b, 1, 0, 0);
    send_big(b, messages);
    cr_assert_eq(b->confirmed, messages + 1);
    expect(b, 2, messages, messages + 1);
    b->hold_reads = false;
    for (unsigned offset = 0; offset < messages + 1;) {
        bench_run(b);
        struct bench_delivery d = bench_next(b);
        if (!d.tag) {
            bench_credit(b, (struct command_credit){.consumer = old, .bytes = CONSUMER_WINDOW});
            continue;
        }
        cr_assert(d.tag == 1 && d.seq == offset + 1);
        cr_assert_eq(number_in(d.body), offset);
        offset++;
    }
    bench_free(b);
}

/* One that can't be read back is passed over, and told of once; it stays. */
Test(stream, damaged_message_is_passed_over)
{
    struct bench *b = with_backlog(400);
    struct queue *queue = bench_queue(b, "s");
    const uint64_t damaged = 40;
    b->log[entry_position(index_at(&queue->index, damaged)) - SEGMENT_BYTES + 1000] ^= 1;
    for (uint64_t tag = 1; tag <= 2; tag++) {
        uint64_t consumer = bench_consume(b, "s", tag, 1000, word("first"))->consumer;
        for (uint64_t seq = 1; seq <= 80;) {
            struct bench_delivery d = bench_next(b);
            if (!d.tag) {
                bench_credit(b, (struct command_credit){.consumer = consumer, .bytes = CONSUMER_WINDOW});
                bench_run(b);
                continue;
            }
            seq += seq == damaged;
            cr_assert(d.tag == tag && d.seq == seq++);
        }
        queue_cancel(b->router, slots_get(&b->router->consumers, consumer));
        while (bench_next(b).tag)
            ;
    }
    cr_assert_eq(queue->damaged, 1);
    cr_assert_not_null(index_at(&queue->index, damaged));
    bench_free(b);
}

Test(stream, consumer_that_waits_for_a_page_may_go)
{
    struct bench *b = with_backlog(400);
    b->hold_reads = true;
    uint64_t consumer = bench_consume(b, "s", 1, 1000, word("first"))->consumer;
    bench_consume(b, "s", 2, 1000, word("first"));
    queue_cancel(b->router, slots_get(&b->router->consumers, consumer));
    b->hold_reads = false;
    bench_run(b);
    cr_assert_eq(bench_next(b).tag, 2);
    bench_op(b, OP_QUEUE_DELETE, "s", 0, span_of(table, 0));
    bench_free(b);
}
