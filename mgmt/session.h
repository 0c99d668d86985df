/*
 * Calls that do what clients do: gannet-mgmtd is an AMQP client of the broker then, as the very user whose
 * call it is, so that what he may do, and what he is told, is the broker's to say. It comes by
 * DATADIR/amqp.sock, where nobody needs a password.
 */
#pragma once

#include <amqp.h>
#include <amqp_framing.h>

#include "call.h"

/* A broker that doesn't answer within is given up. */
enum { SESSION_S = 10 };

struct session {
    amqp_connection_state_t connection; /* NULL: there is none */
    amqp_channel_t channel;
};

/* As which user such a call is made: the one who has logged in; on the administrator's socket the one behind
 * ?as=, or else the first administrator by his name. False: the reply says that there is none. */
bool session_user(const struct call *call, char user[PATH_NAME_BYTES + 1], struct reply *reply);
/* Logs in and opens a channel. False: the reply says why not; there is nothing to close. */
bool session_open(struct session *session, const struct call *call, const char *vhost, struct reply *reply);
/* Waits until the broker has taken all that was sent. */
void session_close(struct session *session);
/* Whether what was asked for last was done. False: the reply says why not: 404, 401 or 400 with the broker's
 * words, 503 if it doesn't answer; the channel may be closed. */
bool session_done(struct session *session, struct reply *reply);
/* The same of an answer. */
bool session_answered(struct session *session, amqp_rpc_reply_t answer, struct reply *reply);
/* After a channel was closed by an error: another one. */
bool session_channel(struct session *session, struct reply *reply);

static inline amqp_bytes_t session_bytes(const char *text)
{
    return amqp_cstring_bytes(text);
}
