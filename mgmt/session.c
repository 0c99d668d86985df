#include "session.h"

#include <amqp_tcp_socket.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "ask.h"
#include "control_client.h"
#include "login.h"

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

/* AMQP on a socket of the broker's that only an administrator may open: there we are any user. */
static bool connect_to_broker(struct session *session, const struct call *call, struct reply *reply)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/amqp.sock", call->mgmtd->data_dir);
    int fd = control_connect(path);
    amqp_socket_t *socket = fd < 0 ? NULL : amqp_tcp_socket_new(session->connection);
    if (socket)
        amqp_tcp_socket_set_sockfd(socket, fd); /* it is the library's now */
    else if (fd >= 0)
        close(fd);
    if (!socket)
        reply_error(reply, 503, "the broker can't be reached by AMQP at %s: %s", path, strerror(errno));
    return socket;
}

bool session_channel(struct session *session, struct reply *reply)
{
    amqp_channel_open(session->connection, ++session->channel);
    return session_done(session, reply);
}

/* The first by name of those who may do everything. */
static bool first_administrator(const struct call *call, char user[PATH_NAME_BYTES + 1], struct reply *reply)
{
    struct table table;
    *user = '\0';
    if (!ask(call, reply, &table, "list_users", NULL))
        return false;
    for (size_t i = 1; i < table.rows; i++) {
        const char *name = table_cell(&table, i, "user");
        if ((login_rights(table_cell(&table, i, "tags")) & MAY_ADMINISTER) &&
            (!*user || strcmp(name, user) < 0))
            snprintf(user, PATH_NAME_BYTES + 1, "%s", name);
    }
    table_free(&table);
    if (!*user)
        reply_error(reply, 400,
                    "this call is made as a user, and there is no administrator: name one with ?as=USER");
    return *user;
}

bool session_user(const struct call *call, char user[PATH_NAME_BYTES + 1], struct reply *reply)
{
    const char *wanted = call->caller.own ? query_value(&call->query, "as") : call->caller.name;
    if (!wanted)
        return first_administrator(call, user, reply);
    if (!ask(call, reply, NULL, "stamp", wanted, NULL)) /* which knows how long a name may be */
        return false;
    snprintf(user, PATH_NAME_BYTES + 1, "%s", wanted);
    return true;
}

static bool log_in(struct session *session, const char *user, const char *vhost, struct reply *reply)
{
    struct timeval limit = {.tv_sec = SESSION_S};
    amqp_set_handshake_timeout(session->connection, &limit);
    amqp_set_rpc_timeout(session->connection, &limit);
    return session_answered(session,
                            amqp_login(session->connection, vhost, 0, AMQP_DEFAULT_FRAME_SIZE, 0,
                                       AMQP_SASL_METHOD_EXTERNAL, user),
                            reply) &&
           session_channel(session, reply);
}

bool session_open(struct session *session, const struct call *call, const char *vhost, struct reply *reply)
{
    char user[PATH_NAME_BYTES + 1];
    *session = (struct session){0};
    if (!session_user(call, user, reply))
        return false;
    session->connection = amqp_new_connection();
    if (!session->connection)
        reply_error(reply, 503, "no memory");
    else if (connect_to_broker(session, call, reply) && log_in(session, user, vhost, reply))
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
