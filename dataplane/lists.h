/*
 * The control socket's requests for lists that may be long. Each is asked for in slices, one after the other,
 * and its rows are written as they come.
 *
 *   queues [VHOST], exchanges [VHOST], bindings [VHOST]     columns: router/listing.h
 *   segments                                                columns: router/pinned.h
 *   pins ROUTER FIRST LAST: what segments FIRST to LAST have that is needed     the same
 *   deliveries ROUTER QUEUE FIRST LAST: who has the queue's messages FIRST to LAST
 *   connections, channels, consumers [VHOST]                columns: front.h
 *
 *   queue VHOST NAME, exchange VHOST NAME                   the one, found by its name
 *   connection NAME, channel NAME, channels_of_connection NAME
 *
 * Behind the last row there is an empty line, with which the answer is complete; one that had to be broken
 * off has "error TEXT" behind that. In cells of text a backslash is \\ and what is below a blank \xHH
 * (router/rows.h).
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct gannetd;

/* Answers the request. False: it isn't one of these. Control thread. */
bool lists_answer(struct gannetd *gannetd, const char *request, FILE *out);
