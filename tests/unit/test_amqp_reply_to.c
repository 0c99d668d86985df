/* Direct reply-to: the queue behind the pseudo-queue, and how its name gets into requests. */
#include <criterion/criterion.h>
#include <string.h>

#include "amqp_client.h"

static struct client *connected(void)
{
    struct client *c = client_new();
    client_connect(c);
    return c;
}

Test(amqp_reply_to, direct_reply_to)
{
    struct client *c = connected();
    CALL(c, 1, BASIC_CONSUME, .queue = text("amq.rabbitmq.reply-to"), .no_ack = num(1),
         .consumer_tag = text("tag"));
    c->manual = true;
    client_run(c);
    struct op *op = c->host->op[0].op;
    cr_assert(op->kind == OP_QUEUE_DECLARE && op->flags == (OP_EXCLUSIVE | OP_AUTO_DELETE));
    char queue[256];
    memcpy(queue, op->name.bytes, op->name.len);
    queue[op->name.len] = 0;
    client_answer(c, ERR_NONE, "");
    cr_assert(c->host->op[0].op->kind == OP_CONSUME && span_is(name_span(&c->host->op[0].op->name), queue));
    client_answer(c, ERR_NONE, "");
    client_expect(c, 1, METHOD_BASIC_CONSUME_OK);
    CALL(c, 1, BASIC_PUBLISH, .routing_key = text("rpc"));
    client_header(c, 1, 1,
                  span_of("\x82\x08\1t\x15"
                          "amq.rabbitmq.reply-to\1a",
                          28));
    client_frame(c, FRAME_BODY, 1, span_str("x"));
    client_run(c);
    cr_assert_eq(c->host->publishes, 1);
    const struct command_publish *p = &c->host->publish[0].command;
    const uint8_t *at = p->bytes + p->properties_at;
    size_t len = strlen(queue);
    cr_assert_eq(p->properties_len, 2 + 2 + 1 + len + 2);
    cr_assert_eq(memcmp(at, "\x82\x08\1t", 4), 0);
    cr_assert(at[4] == len && !memcmp(at + 5, queue, len) && !memcmp(at + 5 + len, "\1a", 2));
    cr_assert_eq(p->bytes[p->body_at], 'x');
    client_gone(c);
    client_free(c);
}

Test(amqp_reply_to, direct_reply_to_that_cannot_be_declared)
{
    struct client *c = connected();
    c->manual = true;
    CALL(c, 1, BASIC_CONSUME, .queue = text("amq.rabbitmq.reply-to"), .no_ack = num(1));
    client_run(c);
    client_answer(c, ERR_INTERNAL, "no");
    client_expect_close(c, 0, 541, "INTERNAL_ERROR - no");
    client_free(c);
}
