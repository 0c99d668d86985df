/*
 * Sessions of clients that come and go: which connection has one. What is remembered of a session is a queue
 * and its bindings; here is who uses it now, who waits until that one has left, and what is to be published
 * when nobody has come back in time.
 *
 * A session belongs to the router of its queue, and is known here only while there is something to know.
 */
#pragma once

#include "router/alarm.h"
#include "router/command.h"

struct router;

/* The ops of sessions and their senders (sender.h). SESSION_ATTACH is answered when whoever had the session
 * has left; he is told to (CANCEL_SESSION). With SESSION_DETACH the queue goes, or will when it has been
 * unused for expiry_s, and the will is published, or when its delay is over. */
void session_on_op(struct router *router, struct op *op);
/* All of them, at the end: ops that wait are then among those that wait for the disk. */
void sessions_free(struct router *router);
