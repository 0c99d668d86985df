#include "session.h"

#include <amqp_tcp_socket.h>
#include <string.h>
#include <sys/time.h>

#include "listeners.h"

/* ---- what the broker says ------------------------------------------------------------------------------ */

/* "NOT_FOUND - no queue 'q' in vhost '/'", of which RabbitMQ's API shows what is behind the dash. */
static void refused(struct reply *reply, unsigned code, amqp_bytes_t text)
{
    char reason[512];
    size_t len = text.len < sizeof reason ? text.len : sizeof reason - 1;
    memcpy(reason, text.bytes, len);
    reason[len] = '\0';
    const char *dash = strstr(reason, " - "), *what = dash ? dash + 3 : reason;
    switch (code) {
    case AMQP_NOT_FOUND:
        reply_word(reply, 404, "not_found", what);
        return;
    case AMQP_ACCESS_REFUSED:
        reply_forbidden(reply, what);
        return;
    case AMQP_INTERNAL_ERROR:
    case AMQP_CONNECTION_FORCED:
        reply_error(reply, 503, "%s", what);
        return;
    default: /* 530 is of a virtual host that he may not use, but of limits, too */
        if (strstr(what, "refused for user"))
            reply_forbidden(reply, what);
        else
            reply_error(reply, 400, "%s", what);
    }
}

bool session_answered(struct session *session, amqp_rpc_reply_t answer, struct reply *reply)
{
    (void)session;
    if (answer.reply_type == AMQP_RESPONSE_NORMAL)
        return true;
    if (answer.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && answer.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = answer.reply.decoded;
        refused(reply, close->reply_code, close->reply_text);
    } else if (answer.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               answer.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = answer.reply.decoded;
        refused(reply, close->reply_code, close->reply_text);
    } else {
        reply_error(reply, 503, "the broker does not answer: %s; what was asked for may still be done",
                    amqp_error_string2(answer.library_error));
    }
    return false;
}

bool session_done(struct session *session, struct reply *reply)
{
    return session_answered(session, amqp_get_rpc_reply(session->connection), reply);
}

/* ---- the connection ------------------------------------------------------------------------------------ */

/* An address to connect to, of one that is listened on. */
static const char *reached_by(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : strcmp(address, "::") == 0 ? "::1" : address;
}

static bool connect_to(struct session *session, const json_t *listener)
{
    struct timeval limit = {.tv_sec = SESSION_S};
    amqp_socket_t *socket = amqp_tcp_socket_new(session->connection);
    const char *address = reached_by(json_string_value(json_object_get(listener, "ip_address")));
    int port = (int)json_integer_value(json_object_get(listener, "port"));
    return socket && amqp_socket_open_noblock(socket, address, port, &limit) == AMQP_STATUS_OK;
}

/* At the first of its listeners that are plain AMQP's. */
static bool connect_to_broker(struct session *session, const struct call *call, struct reply *reply)
{
    json_t *listeners = listeners_json(call, reply), *listener;
    size_t i;
    bool ok = false;
    if (!listeners)
        return false;
    json_array_foreach(listeners, i, listener)
    {
        if (strcmp(json_string_value(json_object_get(listener, "protocol")), "amqp") == 0) {
            ok = connect_to(session, listener);
            break;
        }
    }
    json_decref(listeners);
    if (!ok)
        reply_error(reply, 503, "the broker can't be reached by AMQP without TLS, which this call needs");
    return ok;
}

bool session_channel(struct session *session, struct reply *reply)
{
    amqp_channel_open(session->connection, ++session->channel);
    return session_done(session, reply);
}

static bool log_in(struct session *session, const struct call *call, const char *vhost, struct reply *reply)
{
    struct timeval limit = {.tv_sec = SESSION_S};
    amqp_set_handshake_timeout(session->connection, &limit);
    amqp_set_rpc_timeout(session->connection, &limit);
    return session_answered(session,
                            amqp_login(session->connection, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                       AMQP_SASL_METHOD_PLAIN, call->caller.name, call->caller.password),
                            reply) &&
           session_channel(session, reply);
}

bool session_open(struct session *session, const struct call *call, const char *vhost, struct reply *reply)
{
    *session = (struct session){0};
    if (!*call->caller.password) {
        reply_error(reply, 400, "this call is a user's: log in as one, on the administrator's socket, too");
        return false;
    }
    session->connection = amqp_new_connection();
    if (!session->connection)
        reply_error(reply, 503, "no memory");
    else if (connect_to_broker(session, call, reply) && log_in(session, call, vhost, reply))
        return true;
    if (session->connection)
        amqp_destroy_connection(session->connection);
    session->connection = NULL;
    return false;
}

void session_close(struct session *session)
{
    amqp_connection_close(session->connection, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(session->connection);
    session->connection = NULL;
}
