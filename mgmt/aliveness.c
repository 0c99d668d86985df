/* The old probe: whether a message can be published and got. */
#include "handlers.h"
#include "session.h"

static const char name[] = "aliveness-test";

/* False: the reply says what went wrong. */
static bool get_back(struct session *session, struct reply *reply)
{
    amqp_message_t message;
    amqp_rpc_reply_t got = amqp_basic_get(session->connection, session->channel, session_bytes(name), 1);
    if (!session_answered(session, got, reply))
        return false;
    if (got.reply.id != AMQP_BASIC_GET_OK_METHOD) { /* another probe was faster */
        reply_error(reply, 503, "the queue '%s' has not got what was published", name);
        return false;
    }
    if (!session_answered(session, amqp_read_message(session->connection, session->channel, &message, 0),
                          reply))
        return false;
    amqp_destroy_message(&message);
    return true;
}

static bool publish_and_get(struct session *session, struct reply *reply)
{
    amqp_queue_declare(session->connection, session->channel, session_bytes(name), 0, 0, 0, 0,
                       amqp_empty_table);
    if (!session_done(session, reply))
        return false;
    int status = amqp_basic_publish(session->connection, session->channel, amqp_empty_bytes,
                                    session_bytes(name), 0, 0, NULL, session_bytes("test_message"));
    if (status != AMQP_STATUS_OK) {
        reply_error(reply, 503, "the broker does not answer: %s", amqp_error_string2(status));
        return false;
    }
    return get_back(session, reply);
}

void test_aliveness(const struct call *call, struct reply *reply)
{
    struct session session;
    if (!session_open(&session, call, call->argument[0], reply))
        return;
    if (publish_and_get(&session, reply))
        reply_json(reply, json_pack("{ss}", "status", "ok"));
    session_close(&session);
}
