/* Confirms, returns and transactions, from one router or several. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_client.h"

#define NONE span_of("\0\0", 2)

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

static struct client *confirming(uint64_t interest)
{
    struct client *c = connected();
    c->host->interest = interest;
    CALL(c, 1, CONFIRM_SELECT);
    client_run(c);
    client_expect(c, 1, METHOD_CONFIRM_SELECT_OK);
    return c;
}

static void publish(struct client *c, unsigned times, bool mandatory)
{
    for (unsigned i = 0; i < times; i++) {
        CALL(c, 1, BASIC_PUBLISH, .exchange = text("amq.direct"), .routing_key = text("k"),
             .mandatory = num(mandatory));
        client_header(c, 1, 1, NONE);
        client_frame(c, FRAME_BODY, 1, span_str("x"));
    }
    client_run(c);
}

static void expect_ack(struct client *c, enum method method, uint64_t tag, bool multiple)
{
    struct reply reply = client_expect(c, 1, method);
    cr_assert_eq(reply.args[0].n, tag);
    cr_assert_eq(reply.args[1].n, multiple);
}

static void returns(struct client *c, unsigned router, uint64_t seq, const struct message *m)
{
    client_event(
        c, router,
        &(union event){.deliver = {.kind = EVENT_RETURN, .channel = 1, .tag = seq, .page = 3, .message = m}});
}

static void expect_return(struct client *c)
{
    struct reply reply = client_expect(c, 1, METHOD_BASIC_RETURN);
    cr_assert_eq(reply.args[0].n, 312);
    cr_assert(span_is(reply.args[1].s, "NO_ROUTE"));
    client_reply(c, &reply);
    cr_assert_eq(reply.type, FRAME_HEADER);
    client_reply(c, &reply);
    cr_assert_eq(reply.type, FRAME_BODY);
}

Test(amqp_confirm, flags_say_what_is_to_be_answered)
{
    struct client *c = connected();
    publish(c, 1, false);
    publish(c, 1, true);
    CALL(c, 1, CONFIRM_SELECT);
    publish(c, 1, false);
    cr_assert_eq(c->host->publish[0].command.flags, 0);
    cr_assert_eq(c->host->publish[1].command.flags, PUBLISH_MANDATORY);
    cr_assert_eq(c->host->publish[2].command.flags, PUBLISH_CONFIRM);
    client_free(c);
}

Test(amqp_confirm, gathered)
{
    struct client *c = confirming(1);
    publish(c, 100, false);
    uint64_t first = c->host->publish[0].command.seq;
    client_confirm(c, 0, 1, first, 60, 0);
    expect_ack(c, METHOD_BASIC_ACK, 60, true);
    client_confirm(c, 0, 1, first + 60, 1, 0);
    expect_ack(c, METHOD_BASIC_ACK, 61, false);
    client_confirm(c, 0, 1, first + 61, 39, CONFIRM_REFUSED);
    expect_ack(c, METHOD_BASIC_NACK, 100, true);
    cr_assert(client_silent(c));
    client_free(c);
}

Test(amqp_confirm, of_several_routers_the_last_counts)
{
    struct client *c = confirming(3);
    publish(c, 3, false);
    uint64_t first = c->host->publish[0].command.seq;
    cr_assert(c->host->publish[0].command.flags & PUBLISH_SHARED);
    client_confirm(c, 1, 1, first, 3, 0);
    cr_assert(client_silent(c));
    client_confirm(c, 0, 1, first + 1, 1, 0);
    expect_ack(c, METHOD_BASIC_ACK, 2, false);
    client_confirm(c, 0, 1, first, 1, CONFIRM_REFUSED);
    expect_ack(c, METHOD_BASIC_NACK, 1, false);
    client_confirm(c, 0, 1, first + 2, 1, 0);
    expect_ack(c, METHOD_BASIC_ACK, 3, false);
    client_free(c);
}

Test(amqp_confirm, returned_by_one_router)
{
    struct client *c = confirming(1);
    struct message *m = client_message("amq.direct", "k", NONE, span_str("x"));
    publish(c, 1, true);
    uint64_t seq = c->host->publish[0].command.seq;
    returns(c, 0, seq, m);
    expect_return(c);
    client_confirm(c, 0, 1, seq, 1, CONFIRM_UNROUTED);
    expect_ack(c, METHOD_BASIC_ACK, 1, false);
    cr_assert_eq(c->host->done, 1);
    client_free(c);
    free(m);
}

Test(amqp_confirm, returned_only_if_no_router_has_a_queue)
{
    for (int confirm = 0; confirm < 2; confirm++) {
        struct client *c = confirm ? confirming(3) : connected();
        struct message *m = client_message("amq.direct", "k", NONE, span_str("x"));
        c->host->interest = 3;
        publish(c, 2, true);
        uint64_t first = c->host->publish[0].command.seq;
        returns(c, 0, first, m);
        returns(c, 0, first + 1, m);
        client_confirm(c, 0, 1, first, 2, CONFIRM_UNROUTED);
        cr_assert(client_silent(c));
        client_confirm(c, 1, 1, first, 1, CONFIRM_UNROUTED);
        expect_return(c);
        if (confirm)
            expect_ack(c, METHOD_BASIC_ACK, 1, false);
        client_confirm(c, 1, 1, first + 1, 1, 0);
        if (confirm)
            expect_ack(c, METHOD_BASIC_ACK, 2, false);
        cr_assert(client_silent(c));
        cr_assert_eq(c->host->done, 2);
        client_free(c);
        free(m);
    }
}

Test(amqp_confirm, kept_returns_go_with_the_channel)
{
    struct client *c = confirming(3);
    struct message *m = client_message("amq.direct", "k", NONE, span_str("x"));
    publish(c, 1, true);
    returns(c, 0, c->host->publish[0].command.seq, m);
    cr_assert_eq(c->host->done, 0);
    client_gone(c);
    cr_assert_eq(c->host->done, 1);
    client_free(c);
    free(m);
}

Test(amqp_confirm, modes_exclude_each_other)
{
    struct client *c = connected();
    CALL(c, 1, TX_SELECT);
    CALL(c, 1, CONFIRM_SELECT);
    client_run(c);
    client_expect(c, 1, METHOD_TX_SELECT_OK);
    client_expect_close(c, 1, 406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode");
    client_free(c);
    c = confirming(1);
    CALL(c, 1, TX_SELECT);
    client_run(c);
    client_expect_close(c, 1, 406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode");
    client_free(c);
}

/* ---- transactions
 * ------------------------------------------------------------------------------------------------ */

static struct client *transaction(void)
{
    struct client *c = connected();
    CALL(c, 1, TX_SELECT);
    client_run(c);
    client_expect(c, 1, METHOD_TX_SELECT_OK);
    c->manual = true;
    return c;
}

Test(amqp_confirm, a_commit_waits_for_everything)
{
    struct client *c = transaction();
    publish(c, 3, false);
    cr_assert_eq(c->host->publishes, 0);
    cr_assert_eq(c->host->buffers, 3);
    CALL(c, 1, TX_COMMIT);
    CALL(c, 1, BASIC_QOS);
    client_run(c);
    cr_assert_eq(c->host->publishes, 3);
    cr_assert_eq(c->host->buffers, 0);
    cr_assert_eq(c->host->publish[0].command.flags, PUBLISH_CONFIRM);
    cr_assert_eq(c->host->op[0].op->kind, OP_BARRIER);
    uint64_t first = c->host->publish[0].command.seq;
    client_confirm(c, 0, 1, first, 3, 0);
    cr_assert(client_silent(c));
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_TX_COMMIT_OK);
    client_expect(c, 1, METHOD_BASIC_QOS_OK);
    client_free(c);
}

Test(amqp_confirm, a_commit_that_a_router_refuses)
{
    struct client *c = transaction();
    publish(c, 2, false);
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    uint64_t first = c->host->publish[0].command.seq;
    client_confirm(c, 0, 1, first, 1, 0);
    client_confirm(c, 0, 1, first + 1, 1, CONFIRM_REFUSED);
    client_answer(c, ERR_NONE, "");
    client_expect_close(c, 1, 406, "PRECONDITION_FAILED - partial tx completion");
    client_free(c);
}

/* A mandatory publish to several routers, before there was a transaction, is answered too: before it begins,
 * or after. */
Test(amqp_confirm, a_commit_is_not_about_what_was_refused_before)
{
    for (unsigned late = 0; late < 2; late++) {
        struct client *c = connected();
        c->host->interest = 3;
        publish(c, 1, true);
        client_run(c);
        uint64_t seq = c->host->publish[0].command.seq;
        client_confirm(c, 0, 1, seq, 1, CONFIRM_REFUSED);
        if (!late)
            client_confirm(c, 1, 1, seq, 1, 0);
        CALL(c, 1, TX_SELECT);
        client_run(c);
        client_expect(c, 1, METHOD_TX_SELECT_OK);
        if (late)
            client_confirm(c, 1, 1, seq, 1, CONFIRM_REFUSED);
        CALL(c, 1, TX_COMMIT);
        client_run(c);
        client_expect(c, 1, METHOD_TX_COMMIT_OK);
        client_free(c);
    }
}

Test(amqp_confirm, a_commit_that_must_wait)
{
    struct client *c = transaction();
    uint8_t *large = calloc(1, 3 * INLINE_BODY_MAX);
    publish(c, 2, false);
    CALL(c, 1, BASIC_PUBLISH, .exchange = text("amq.direct"), .routing_key = text("large"));
    client_header(c, 1, 3 * INLINE_BODY_MAX, NONE);
    for (int i = 0; i < 3; i++)
        client_frame(c, FRAME_BODY, 1, span_of(large, INLINE_BODY_MAX));
    CALL(c, 1, TX_COMMIT);
    c->host->park = true;
    for (size_t sent = 1; sent <= 5; sent++) {
        c->host->admitted = 1;
        client_run(c);
        cr_assert_eq(c->host->publishes + c->host->parts, sent);
    }
    client_run(c);
    cr_assert_eq(c->host->ops, 1);
    cr_assert_eq(c->host->part[1].command.flags, PART_LAST);
    client_confirm(c, 0, 1, c->host->publish[0].command.seq, 3, 0);
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_TX_COMMIT_OK);
    client_free(c);
    free(large);
}

Test(amqp_confirm, a_commit_that_is_cut_off)
{
    struct client *c = transaction();
    uint8_t *large = calloc(1, 2 * INLINE_BODY_MAX);
    CALL(c, 1, BASIC_PUBLISH, .exchange = text("amq.direct"), .routing_key = text("large"));
    client_header(c, 1, 2 * INLINE_BODY_MAX, NONE);
    client_frame(c, FRAME_BODY, 1, span_of(large, 2 * INLINE_BODY_MAX - 8));
    client_frame(c, FRAME_BODY, 1, span_of(large, 8));
    CALL(c, 1, TX_COMMIT);
    c->host->park = true;
    c->host->admitted = 1;
    client_run(c);
    cr_assert_eq(c->host->publishes, 1);
    client_gone(c);
    cr_assert_eq(c->host->parts, 1);
    cr_assert_eq(c->host->part[0].command.flags, PART_ABORT);
    cr_assert_eq(c->host->buffers, 0);
    client_free(c);
    free(large);
}

Test(amqp_confirm, a_commit_of_acknowledgements_that_a_router_cannot_keep)
{
    struct client *c = transaction();
    struct message *m = client_message("", "q", NONE, span_str("x"));
    struct reply content;
    c->manual = false;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    client_run(c);
    client_deliver(c, 1, m);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    client_expect(c, 1, METHOD_BASIC_DELIVER);
    cr_assert(client_reply(c, &content) && content.type == FRAME_HEADER);
    cr_assert(client_reply(c, &content) && content.type == FRAME_BODY);
    c->manual = true;
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(1));
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    cr_assert_eq(c->host->op[0].op->flags, OP_DURABLE);
    client_answer(c, ERR_INTERNAL, "the journal of router 0 has failed");
    client_expect_close(c, 1, 406, "PRECONDITION_FAILED - partial tx completion");
    client_free(c);
    free(m);
}

Test(amqp_confirm, acknowledgements_of_a_transaction)
{
    struct client *c = transaction();
    struct message *m = client_message("", "q", NONE, span_str("x"));
    c->manual = false;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"));
    client_run(c);
    for (uint64_t seq = 1; seq <= 4; seq++)
        client_deliver(c, seq, m);
    c->manual = true;
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2), .multiple = num(1));
    CALL(c, 1, TX_ROLLBACK);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(1));
    CALL(c, 1, BASIC_REJECT, .delivery_tag = num(3));
    CALL(c, 1, BASIC_NACK, .delivery_tag = num(4), .multiple = num(1), .requeue = num(1));
    client_run(c);
    cr_assert_eq(c->host->settles, 0);
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    cr_assert_eq(c->host->settles, 4);
    cr_assert(c->host->settle[0].how == SETTLE_ACK && c->host->settle[0].seq == 1);
    cr_assert(c->host->settle[1].how == SETTLE_REQUEUE && c->host->settle[1].seq == 2);
    cr_assert(c->host->settle[2].how == SETTLE_DROP && c->host->settle[2].seq == 3);
    cr_assert(c->host->settle[3].how == SETTLE_REQUEUE && c->host->settle[3].seq == 4);
    cr_assert_eq(c->host->ops, 1);
    cr_assert_eq(c->host->op[0].router, c->consumer_router);
    client_answer(c, ERR_NONE, "");
    client_free(c);
    free(m);
}

Test(amqp_confirm, an_exchange_that_goes_before_the_commit)
{
    struct client *c = transaction();
    publish(c, 1, false);
    c->host->exchange_name[1] = "renamed";
    c->host->exchange_version++;
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    client_expect_close(c, 1, 404, "NOT_FOUND - no exchange 'amq.direct' in vhost '/'");
    cr_assert_eq(c->host->publishes, 0);
    client_free(c);
}

Test(amqp_confirm, a_rollback_frees_its_memory)
{
    struct client *c = transaction();
    publish(c, 5, false);
    CALL(c, 1, TX_ROLLBACK);
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    cr_assert_eq(c->host->buffers, 0);
    client_expect(c, 1, METHOD_TX_ROLLBACK_OK);
    client_expect(c, 1, METHOD_TX_COMMIT_OK);
    publish(c, 5, false);
    client_gone(c);
    cr_assert_eq(c->host->buffers, 0);
    client_free(c);
}
