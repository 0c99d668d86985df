/*
 * A trace: what passes over one connection, or through one queue, copied to the client of the control socket
 * that asks for it (trace_format.h). One at a time. The agent whose thing it is puts records into a tap and
 * never waits; the control thread takes them out every few milliseconds, makes secrets in them unreadable
 * (trace_mask.h), and sends what the client takes. What finds no room is lost, and the client is told how
 * much that was.
 *
 *   trace_connection NAME    NAME: as connections has it, or the client's address and port
 *   trace_queue VHOST NAME
 *
 * All on the control thread.
 */
#pragma once

#include <stdbool.h>

struct gannetd;
struct trace;

/* Whether the request is one of these. */
bool trace_is_wanted(const char *request);
/* Begins; fd, the client's, is the trace's from now on. NULL: the client has been told why not. */
struct trace *trace_begin(struct gannetd *gannetd, char *request, int fd);
/* Moves what there is. False: the client has gone. */
bool trace_move(struct trace *trace);
/* Nobody is looked at any more, and the client is let go. */
void trace_end(struct trace *trace);
