/* What channel.flow and a channel's limit hold back. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "amqp_client.h"
#include "codec/amqp/amqp.h"

#define NONE span_of("\0\0", 2)

static struct client *consuming(bool no_ack)
{
    struct client *c = client_new();
    client_connect(c);
    CALL(c, 1, BASIC_CONSUME, .queue = text("q"), .consumer_tag = text("tag"), .no_ack = num(no_ack));
    client_run(c);
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    return c;
}

static unsigned delivered(struct client *c)
{
    struct reply reply;
    unsigned n = 0;
    while (client_reply(c, &reply))
        n += reply.method == METHOD_BASIC_DELIVER;
    return n;
}

/* The router had sent more before it was told to go on: behind what it gets back, so that goes back too. */
Test(amqp_flow, what_stands_behind_a_message_that_was_held_back_is_out_of_turn)
{
    struct client *c = consuming(false);
    struct message *m = client_message("", "q", NONE, span_str("x"));
    CALL(c, 1, CHANNEL_FLOW, .active = num(0));
    client_run(c);
    client_deliver(c, 1, m);
    CALL(c, 1, CHANNEL_FLOW, .active = num(1));
    client_run(c);
    uint16_t round = c->host->round;
    c->host->round = 0;
    client_deliver(c, 2, m);
    cr_assert_eq(delivered(c), 0);
    c->host->round = round;
    client_deliver(c, 1, m);
    client_deliver(c, 2, m);
    cr_assert_eq(delivered(c), 2);
    client_free(c);
    free(m);
}

Test(amqp_flow, what_is_held_back_takes_nothing_of_the_window)
{
    struct client *c = consuming(false);
    static const char body[60000];
    struct message *m = client_message("", "q", NONE, span_of(body, sizeof body));
    CALL(c, 1, CHANNEL_FLOW, .active = num(0));
    client_run(c);
    for (uint64_t seq = 1; seq <= 9; seq++) /* half of the window */
        client_deliver(c, seq, m);
    client_flush(c);
    cr_assert_eq(c->host->credits, 2);
    cr_assert_eq(c->host->credit[0].flags, CREDIT_PAUSE);
    cr_assert_eq(c->host->credit[1].bytes, 9 * 60001);
    client_free(c);
    free(m);
}

/* Flow pauses it, the limit keeps it so, an acknowledgement lets it go on. */
Test(amqp_flow, a_consumer_that_flow_paused_at_its_limit)
{
    struct client *c = consuming(false);
    struct message *m = client_message("", "q", NONE, span_str("x"));
    client_deliver(c, 1, m);
    CALL(c, 1, BASIC_QOS, .prefetch_count = num(1), .global = num(1));
    CALL(c, 1, CHANNEL_FLOW, .active = num(0));
    CALL(c, 1, CHANNEL_FLOW, .active = num(1));
    client_run(c);
    cr_assert_eq(c->host->credit[c->host->credits - 1].flags, CREDIT_PAUSE);
    CALL(c, 1, BASIC_ACK, .delivery_tag = num(1));
    client_run(c);
    cr_assert_eq(c->host->credit[c->host->credits - 1].flags, CREDIT_RESUME);
    cr_assert_eq(c->host->credit[c->host->credits - 1].seen, 1, "where a stream is to go on");
    client_free(c);
    free(m);
}
