/* Channels: what is asked of the routers, in which order, and what comes back to the client. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "amqp_client.h"
#include "codec/amqp/amqp.h"

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

static struct op *pending(struct client *c, size_t i)
{
    cr_assert(i < c->host->ops, "no op %zu", i);
    return c->host->op[i].op;
}

/* ---- one at a time
 * ------------------------------------------------------------------------------------------------ */

Test(amqp_channel, the_methods_of_a_channel_wait_for_each_other)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, QUEUE_DECLARE, .queue = text("a"));
    CALL(c, 1, QUEUE_BIND, .queue = text("a"), .exchange = text("amq.direct"));
    client_publish(c, 1, "amq.direct", "a", span_str("x"));
    client_run(c);
    cr_assert_eq(c->host->ops, 1);
    cr_assert_eq(pending(c, 0)->kind, OP_QUEUE_DECLARE);
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_QUEUE_DECLARE_OK);
    cr_assert_eq(pending(c, 0)->kind, OP_QUEUE_BIND);
    cr_assert_eq(c->host->publishes, 0);
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_QUEUE_BIND_OK);
    cr_assert_eq(c->host->publishes, 1);
    client_free(c);
}

Test(amqp_channel, channels_do_not_wait_for_each_other)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 2, CHANNEL_OPEN);
    CALL(c, 1, QUEUE_DECLARE, .queue = text("a"));
    CALL(c, 2, QUEUE_DECLARE, .queue = text("b"));
    client_run(c);
    client_expect(c, 2, METHOD_CHANNEL_OPEN_OK);
    cr_assert_eq(c->host->ops, 2);
    client_answer(c, ERR_NONE, "");
    client_answer(c, ERR_NONE, "");
    client_free(c);
}

/* ---- what is asked
 * --------------------------------------------------------------------------------------------------- */

Test(amqp_channel, fields_become_ops)
{
    static const char arguments[] = "\1aI\0\0\0\5";
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, EXCHANGE_DECLARE, .exchange = text("e"), .type = text("topic"), .durable = num(1),
         .internal = num(1), .auto_delete = num(1),
         .arguments = str(span_of(arguments, sizeof arguments - 1)));
    client_run(c);
    struct op *op = pending(c, 0);
    cr_assert_eq(op->kind, OP_EXCHANGE_DECLARE);
    cr_assert_eq(op->flags, OP_DURABLE | OP_INTERNAL | OP_AUTO_DELETE);
    cr_assert(span_is(name_span(&op->name), "e") && span_is(name_span(&op->type), "topic"));
    cr_assert(span_equal(op->arguments, span_of(arguments, sizeof arguments - 1)));
    cr_assert(op->vhost == 7 && op->channel == 1 && op->conn == 77);
    client_answer(c, ERR_NONE, "");
    CALL(c, 1, EXCHANGE_BIND, .destination = text("d"), .source = text("s"), .routing_key = text("k"));
    client_run(c);
    op = pending(c, 0);
    cr_assert_eq(op->kind, OP_EXCHANGE_BIND);
    cr_assert(span_is(name_span(&op->name), "d") && span_is(name_span(&op->other), "s") &&
              span_is(name_span(&op->key), "k"));
    client_answer(c, ERR_NONE, "");
    CALL(c, 1, QUEUE_DELETE, .queue = text("q"), .if_unused = num(1), .if_empty = num(1));
    client_run(c);
    op = pending(c, 0);
    cr_assert_eq(op->flags, OP_IF_UNUSED | OP_IF_EMPTY);
    client_answer(c, ERR_NONE, "");
    CALL(c, 1, QUEUE_DECLARE, .queue = text("q"), .durable = num(1), .exclusive = num(1));
    client_run(c);
    cr_assert_eq(pending(c, 0)->flags, OP_EXCLUSIVE);
    client_answer(c, ERR_NONE, "");
    client_free(c);
}

Test(amqp_channel, generated_names_differ)
{
    struct client *c = connected();
    struct reply one, two;
    CALL(c, 1, QUEUE_DECLARE, .nowait = num(0));
    CALL(c, 1, QUEUE_DECLARE, .nowait = num(0));
    client_run(c);
    one = client_expect(c, 1, METHOD_QUEUE_DECLARE_OK);
    two = client_expect(c, 1, METHOD_QUEUE_DECLARE_OK);
    cr_assert(span_starts(one.args[0].s, "amq.gen-") && one.args[0].s.len == 30);
    cr_assert(!span_equal(one.args[0].s, two.args[0].s));
    client_free(c);
}

/* ---- errors
 * ------------------------------------------------------------------------------------------------------------
 */

/* The router refuses a method with each error there is: the client is told on the level that the table says.
 */
Test(amqp_channel, every_error)
{
    for (enum error error = ERR_NONE + 1; error < ERRORS; error++) {
        char what[128];
        struct client *c = connected();
        c->manual = true;
        CALL(c, 1, QUEUE_PURGE, .queue = text("q"));
        client_run(c);
        client_answer(c, error, "because");
        snprintf(what, sizeof what, "%s - because", error_name(error));
        client_expect_close(c, error_is_hard(error) ? 0 : 1, error_code(error), what);
        client_free(c);
    }
}

Test(amqp_channel, the_close_names_the_method)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, QUEUE_PURGE, .queue = text("q"), .nowait = num(1));
    client_run(c);
    client_answer(c, ERR_NOT_FOUND, "no queue 'q' in vhost '/'");
    struct reply reply = client_expect(c, 1, METHOD_CHANNEL_CLOSE);
    cr_assert_eq(reply.args[2].n, 50);
    cr_assert_eq(reply.args[3].n, 30);
    client_free(c);
}

Test(amqp_channel, a_text_that_is_too_long_is_cut)
{
    char text_of_300[301];
    struct client *c = connected();
    c->manual = true;
    memset(text_of_300, 'x', 300);
    text_of_300[300] = 0;
    CALL(c, 1, QUEUE_PURGE, .queue = text("q"));
    client_run(c);
    client_answer(c, ERR_NOT_FOUND, text_of_300);
    struct reply reply = client_expect(c, 1, METHOD_CHANNEL_CLOSE);
    cr_assert_eq(reply.args[1].s.len, 255);
    client_free(c);
}

/* Every method on an open channel, with empty fields: an answer or a close, and never a break. */
Test(amqp_channel, every_method_with_nothing_in_it)
{
    for (enum method method = METHOD_NONE + 1; method < METHODS; method++)
        for (uint16_t channel = 0; channel < 3; channel++)
            for (int bit = 0; bit < 2; bit++) {
                union value args[METHOD_FIELDS_MAX];
                struct client *c = connected();
                memset(args, 0, sizeof args);
                for (int i = 0; bit && i < METHOD_FIELDS_MAX; i++)
                    if (i < (int)strlen(methods[method].layout) && methods[method].layout[i] == 'b')
                        args[i].n = 1;
                client_method(c, channel, method, args);
                client_method(c, 1, METHOD_BASIC_QOS, args);
                client_run(c);
                client_free(c);
            }
}

/* ---- the end of a channel
 * ------------------------------------------------------------------------------------------------ */

static void consume(struct client *c, const char *queue, const char *tag)
{
    CALL(c, 1, BASIC_CONSUME, .queue = text(queue), .consumer_tag = text(tag));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
}

Test(amqp_channel, settles_before_it_cancels_and_answers_last)
{
    struct client *c = connected();
    struct message *m = client_message("", "q", span_of("\0\0", 2), span_str("x"));
    consume(c, "q", "tag");
    for (uint64_t seq = 1; seq <= 3; seq++)
        client_deliver(c, seq, m);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
    client_run(c);
    fake_forget(c->host);
    c->read = 0;
    c->manual = true;
    CALL(c, 1, CHANNEL_CLOSE);
    client_run(c);
    cr_assert_eq(c->host->settles, 2);
    cr_assert(c->host->settle[0].seq == 1 && c->host->settle[0].how == SETTLE_REQUEUE);
    cr_assert(c->host->settle[1].seq == 3);
    cr_assert_eq(pending(c, 0)->kind, OP_CANCEL);
    cr_assert_eq(pending(c, 0)->consumer, 1000);
    cr_assert(client_silent(c));
    /* What is on its way is given back unseen. */
    client_deliver(c, 4, m);
    cr_assert_eq(c->host->settles, 3);
    cr_assert_eq(c->host->settle[2].how, SETTLE_UNSEEN);
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_CHANNEL_CLOSE_OK);
    client_free(c);
    free(m);
}

Test(amqp_channel, a_number_used_again_is_another_channel)
{
    struct client *c = connected();
    CALL(c, 1, CONFIRM_SELECT);
    client_publish(c, 1, "amq.direct", "k", span_str("x"));
    CALL(c, 1, CHANNEL_CLOSE);
    CALL(c, 1, CHANNEL_OPEN);
    CALL(c, 1, CONFIRM_SELECT);
    client_publish(c, 1, "amq.direct", "k", span_str("x"));
    client_run(c);
    client_expect(c, 1, METHOD_CONFIRM_SELECT_OK);
    client_expect(c, 1, METHOD_CHANNEL_CLOSE_OK);
    client_expect(c, 1, METHOD_CHANNEL_OPEN_OK);
    client_expect(c, 1, METHOD_CONFIRM_SELECT_OK);
    uint64_t first = c->host->publish[0].command.seq, second = c->host->publish[1].command.seq;
    client_confirm(c, 0, 1, first, 1, 0);
    cr_assert(client_silent(c));
    client_confirm(c, 0, 1, second, 1, 0);
    struct reply reply = client_expect(c, 1, METHOD_BASIC_ACK);
    cr_assert_eq(reply.args[0].n, 1);
    client_free(c);
}

Test(amqp_channel, a_return_for_a_channel_that_is_gone)
{
    struct client *c = connected();
    struct message *m = client_message("", "q", span_of("\0\0", 2), span_str("x"));
    client_publish(c, 1, "amq.direct", "k", span_str("x"));
    CALL(c, 1, CHANNEL_CLOSE);
    CALL(c, 1, CHANNEL_OPEN);
    client_publish(c, 1, "amq.direct", "k", span_str("x"));
    client_run(c);
    size_t written = c->host->output.len;
    for (uint64_t seq = 0; seq < 2; seq++)
        client_event(c, 0,
                     &(union event){.deliver = {.kind = EVENT_RETURN,
                                                .channel = (uint16_t)(seq ? 1 : 9),
                                                .tag = 1,
                                                .page = 1,
                                                .message = m}});
    cr_assert_eq(c->host->output.len, written);
    cr_assert_eq(c->host->done, 2);
    client_free(c);
    free(m);
}

/* ---- the end of a connection
 * --------------------------------------------------------------------------------------------- */

Test(amqp_channel, the_connection_ends_when_the_routers_have_answered)
{
    struct client *c = connected();
    CALL(c, 1, QUEUE_DECLARE, .queue = text("mine"), .exclusive = num(1));
    client_run(c);
    client_expect(c, 1, METHOD_QUEUE_DECLARE_OK);
    consume(c, "shared", "a");
    c->manual = true;
    fake_forget(c->host);
    c->read = 0;
    CALL(c, 0, CONNECTION_CLOSE);
    client_run(c);
    cr_assert_eq(c->host->ops, 2);
    cr_assert_eq(pending(c, 0)->kind, OP_CANCEL);
    cr_assert_eq(pending(c, 1)->kind, OP_QUEUE_DELETE);
    cr_assert_eq(pending(c, 1)->flags, OP_OF_OWNER);
    cr_assert(span_is(name_span(&pending(c, 1)->name), "mine"));
    client_answer(c, ERR_NONE, "");
    cr_assert(client_silent(c));
    client_answer(c, ERR_NONE, "");
    client_expect(c, 0, METHOD_CONNECTION_CLOSE_OK);
    cr_assert(c->host->closed);
    client_free(c);
}

Test(amqp_channel, a_stream_that_breaks)
{
    struct client *c = connected();
    struct message *m = client_message("", "q", span_of("\0\0", 2), span_str("x"));
    CALL(c, 1, QUEUE_DECLARE, .queue = text("mine"), .exclusive = num(1));
    client_run(c);
    client_expect(c, 1, METHOD_QUEUE_DECLARE_OK);
    consume(c, "mine", "a");
    client_deliver(c, 1, m);
    c->manual = true;
    fake_forget(c->host);
    client_gone(c);
    cr_assert_eq(c->host->settles, 1);
    cr_assert_eq(c->host->settle[0].how, SETTLE_REQUEUE);
    cr_assert_eq(c->host->ops, 2);
    cr_assert_eq(pending(c, 0)->kind, OP_CANCEL);
    cr_assert_eq(pending(c, 1)->kind, OP_QUEUE_DELETE);
    client_free(c);
    free(m);
}

/* What a router made for a connection that had to be closed meanwhile is taken away again. */
Test(amqp_channel, a_late_consumer_is_cancelled)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    CALL(c, 0, CHANNEL_OPEN);
    client_run(c);
    client_expect(c, 0, METHOD_CONNECTION_CLOSE);
    client_answer(c, ERR_NONE, "");
    cr_assert_eq(c->host->ops, 1);
    cr_assert_eq(pending(c, 0)->kind, OP_CANCEL);
    cr_assert_eq(pending(c, 0)->consumer, 1000);
    client_answer(c, ERR_NONE, "");
    client_free(c);
}

Test(amqp_channel, a_late_exclusive_queue_is_deleted)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, QUEUE_DECLARE, .queue = text("mine"), .exclusive = num(1));
    CALL(c, 0, CONNECTION_CLOSE);
    client_run(c);
    client_answer(c, ERR_NONE, "");
    cr_assert(client_silent(c));
    cr_assert_eq(pending(c, 0)->kind, OP_QUEUE_DELETE);
    client_answer(c, ERR_NONE, "");
    client_expect(c, 0, METHOD_CONNECTION_CLOSE_OK);
    client_free(c);
}

Test(amqp_channel, exclusive_queues_that_are_gone_are_not_deleted_again)
{
    struct client *c = connected();
    CALL(c, 1, QUEUE_DECLARE, .queue = text("a"), .exclusive = num(1));
    CALL(c, 1, QUEUE_DECLARE, .queue = text("b"), .exclusive = num(1), .auto_delete = num(1));
    CALL(c, 1, QUEUE_DELETE, .queue = text("a"));
    CALL(c, 1, BASIC_CONSUME, .queue = text("b"), .consumer_tag = text("t"));
    CALL(c, 1, BASIC_CANCEL, .consumer_tag = text("t"));
    client_run(c);
    c->manual = true;
    client_gone(c);
    cr_assert_eq(c->host->ops, 0);
    client_free(c);
}

/* The queue is deleted under its consumer: the router tells of both, in either order. */
Test(amqp_channel, a_consumer_of_a_deleted_exclusive_queue)
{
    for (int order = 0; order < 2; order++) {
        struct client *c = connected();
        CALL(c, 1, QUEUE_DECLARE, .queue = text("a"), .exclusive = num(1));
        client_run(c);
        client_expect(c, 1, METHOD_QUEUE_DECLARE_OK);
        consume(c, "a", "t");
        c->manual = true;
        CALL(c, 1, QUEUE_DELETE, .queue = text("a"));
        client_run(c);
        union event cancel = {.cancel = {.kind = EVENT_CANCEL, .channel = 1, .tag = c->consumer_tag}};
        if (order == 0)
            client_event(c, 0, &cancel);
        client_answer(c, ERR_NONE, "");
        if (order == 1)
            client_event(c, 0, &cancel);
        client_expect(c, 1, order ? METHOD_QUEUE_DELETE_OK : METHOD_BASIC_CANCEL);
        client_expect(c, 1, order ? METHOD_BASIC_CANCEL : METHOD_QUEUE_DELETE_OK);
        client_free(c);
    }
}

/* ---- frames
 * -------------------------------------------------------------------------------------------------------------
 */

static void wrong_frame(const void *bytes, size_t len, uint16_t code)
{
    struct client *c = connected();
    client_bytes(c, span_of(bytes, len));
    client_run(c);
    struct reply reply = client_expect(c, 0, METHOD_CONNECTION_CLOSE);
    cr_assert_eq(reply.args[0].n, code, "%lu", reply.args[0].n);
    client_free(c);
}

Test(amqp_channel, wrong_frames)
{
    wrong_frame("\4\0\1\0\0\0\0\xce", 8, 501);
    wrong_frame("\0\0\1\0\0\0\0\xce", 8, 501);
    wrong_frame("\1\0\1\0\1\xff\xf9", 7, 501);
    wrong_frame("\1\0\1\xff\xff\xff\xff", 7, 501);
    wrong_frame("\1\0\1\0\0\0\0\xcd", 8, 501);
    wrong_frame("\1\0\1\0\0\0\0\xce", 8, 501);
    wrong_frame("\1\0\1\0\0\0\3\0\x0a\0\xce", 11, 501);
    wrong_frame("\1\0\1\0\0\0\4\0\x32\xff\xff\xce", 12, 540);
    wrong_frame("\1\0\1\0\0\0\4\0\x3c\0\x28\xce", 12, 502);
    wrong_frame("\2\0\0\0\0\0\1\0\xce", 9, 505);
    wrong_frame("\2\0\5\0\0\0\1\0\xce", 9, 504);
    wrong_frame("\10\0\1\0\0\0\0\xce", 8, 501);
    wrong_frame("\10\0\0\0\0\0\1x\xce", 9, 501);
}

Test(amqp_channel, above_the_negotiated_number)
{
    struct client *c = connected();
    CALL(c, 2047, CHANNEL_OPEN);
    CALL(c, 2048, CHANNEL_OPEN);
    client_run(c);
    client_expect(c, 2047, METHOD_CHANNEL_OPEN_OK);
    client_expect_close(c, 0, 530, "NOT_ALLOWED - channel 2048 is above the negotiated channel_max (2047)");
    client_free(c);
}
