/* A consumer that has kept a delivery for too long: what it has goes back, and late answers are passed over.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_client.h"

#define NONE span_of(NULL, 0)

/* A consumer on channel 1 of a client that has taken so many deliveries, numbers from 1 on. */
static struct client *holding(uint64_t deliveries, bool tx)
{
    struct client *c = client_new();
    client_connect(c);
    if (tx) {
        CALL(c, 1, TX_SELECT);
        client_run(c);
        client_expect(c, 1, METHOD_TX_SELECT_OK);
    }
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("tag"));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    struct message *m = client_message("", "q", NONE, span_str("x"));
    struct reply reply;
    for (uint64_t seq = 1; seq <= deliveries; seq++) {
        client_deliver(c, seq, m);
        for (int frames = 0; frames < 3; frames++)
            cr_assert(client_reply(c, &reply));
    }
    free(m);
    return c;
}

static void lapse(struct client *c)
{
    union event cancel = {
        .cancel = {.kind = EVENT_CANCEL, .flags = CANCEL_LAPSED, .channel = 1, .tag = c->consumer_tag}};
    client_event(c, c->consumer_router, &cancel);
    client_flush(c);
}

static void expect_settle(const struct client *c, size_t i, uint64_t seq, uint32_t count, enum settle how)
{
    const struct fake_settle *s = &c->host->settle[i];
    cr_assert(i < c->host->settles && s->seq == seq && s->count == count && s->how == how);
}

Test(amqp_lapse, all_goes_back_and_then_the_consumer)
{
    struct client *c = holding(4, false);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
    client_run(c);
    c->manual = true;
    lapse(c);
    expect_settle(c, 0, 2, 1, SETTLE_ACK);
    expect_settle(c, 1, 1, 1, SETTLE_REQUEUE);
    expect_settle(c, 2, 3, 2, SETTLE_REQUEUE);
    cr_assert_eq(c->host->ops, 1);
    cr_assert_eq(c->host->op[0].op->kind, OP_CANCEL);
    cr_assert(span_is(client_expect(c, 1, METHOD_BASIC_CANCEL).args[0].s, "tag"));
    client_answer(c, ERR_NONE, "");
    cr_assert(client_silent(c));
    client_free(c);
}

Test(amqp_lapse, late_answers_are_passed_over)
{
    struct client *c = holding(3, false);
    lapse(c);
    client_expect(c, 1, METHOD_BASIC_CANCEL);
    cr_assert_eq(c->host->settles, 1);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(1));
    CALL(c, 1, BASIC_REJECT, .delivery_tag = num(2));
    CALL(c, 1, BASIC_NACK, .delivery_tag = num(3), .multiple = num(1));
    CALL(c, 1, BASIC_ACK, .multiple = num(1));
    CALL(c, 1, BASIC_RECOVER, .requeue = num(1));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_RECOVER_OK);
    cr_assert(client_silent(c));
    cr_assert_eq(c->host->settles, 1);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(4));
    client_run(c);
    client_expect_close(c, 1, 406, "PRECONDITION_FAILED - unknown delivery tag 4");
    client_free(c);
}

Test(amqp_lapse, zero_is_still_no_tag)
{
    struct client *c = holding(3, false);
    lapse(c);
    client_expect(c, 1, METHOD_BASIC_CANCEL);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(0));
    client_run(c);
    client_expect_close(c, 1, 406, "PRECONDITION_FAILED - unknown delivery tag 0");
    client_free(c);
}

Test(amqp_lapse, while_its_client_cancels_it)
{
    struct client *c = holding(2, false);
    c->manual = true;
    CALL(c, 1, BASIC_CANCEL, .consumer_tag = text("tag"));
    client_run(c);
    lapse(c);
    cr_assert(client_silent(c));
    expect_settle(c, 0, 1, 2, SETTLE_REQUEUE);
    cr_assert_eq(c->host->ops, 1);
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_BASIC_CANCEL_OK);
    client_free(c);
}

Test(amqp_lapse, of_a_channel_that_is_closed_there_is_nothing_left)
{
    struct client *c = holding(2, false);
    c->manual = true;
    CALL(c, 1, CHANNEL_CLOSE, .reply_code = num(200));
    client_run(c);
    size_t settles = c->host->settles, ops = c->host->ops;
    lapse(c);
    cr_assert(c->host->settles == settles && c->host->ops == ops && client_silent(c));
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_CHANNEL_CLOSE_OK);
    client_free(c);
}

Test(amqp_lapse, and_the_channel_closed_behind_it)
{
    struct client *c = holding(2, false);
    c->manual = true;
    lapse(c);
    client_expect(c, 1, METHOD_BASIC_CANCEL);
    CALL(c, 1, CHANNEL_CLOSE, .reply_code = num(200));
    client_run(c);
    while (c->host->ops)
        client_answer(c, ERR_NONE, "");
    client_run(c);
    client_expect(c, 1, METHOD_CHANNEL_CLOSE_OK);
    cr_assert_eq(c->host->settles, 1);
    client_free(c);
}

Test(amqp_lapse, what_a_transaction_holds_is_answered_by_its_commit)
{
    struct client *c = holding(3, true);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
    client_run(c);
    lapse(c);
    client_expect(c, 1, METHOD_BASIC_CANCEL);
    expect_settle(c, 0, 1, 1, SETTLE_REQUEUE);
    expect_settle(c, 1, 3, 1, SETTLE_REQUEUE);
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    client_expect(c, 1, METHOD_TX_COMMIT_OK);
    expect_settle(c, 2, 2, 1, SETTLE_ACK);
    client_free(c);
}

Test(amqp_lapse, and_goes_back_if_that_is_rolled_back)
{
    struct client *c = holding(3, true);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
    client_run(c);
    lapse(c);
    client_expect(c, 1, METHOD_BASIC_CANCEL);
    CALL(c, 1, TX_ROLLBACK);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    client_expect(c, 1, METHOD_TX_ROLLBACK_OK);
    client_expect(c, 1, METHOD_TX_COMMIT_OK);
    expect_settle(c, 2, 2, 1, SETTLE_REQUEUE);
    cr_assert_eq(c->host->settles, 3);
    client_free(c);
}

/* The cancel's answer may be the last that a commit waits for. */
Test(amqp_lapse, in_the_middle_of_a_commit)
{
    struct client *c = holding(3, true);
    c->manual = true;
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(2));
    CALL(c, 1, TX_COMMIT);
    client_run(c);
    lapse(c);
    client_expect(c, 1, METHOD_BASIC_CANCEL);
    cr_assert_eq(c->host->ops, 2);
    client_answer(c, ERR_NONE, "");
    cr_assert(client_silent(c));
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_TX_COMMIT_OK);
    client_free(c);
}

Test(amqp_lapse, the_limit_of_the_channel_has_room_again)
{
    struct client *c = client_new();
    struct message *m = client_message("", "q", NONE, span_str("x"));
    struct reply reply;
    client_connect(c);
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(1), .global = num(1));
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("other"));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_QOS_OK);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    uint64_t other = c->consumer_tag;
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("tag"));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    client_deliver(c, 1, m);
    for (int frames = 0; frames < 3; frames++)
        cr_assert(client_reply(c, &reply));
    uint64_t lapsing = c->consumer_tag;
    c->consumer_tag = other;
    client_deliver(c, 2, m);
    cr_assert_eq(c->host->credit[0].flags, CREDIT_PAUSE);
    c->consumer_tag = lapsing;
    lapse(c);
    cr_assert_eq(c->host->credit[c->host->credits - 1].flags, CREDIT_RESUME);
    client_free(c);
    free(m);
}
