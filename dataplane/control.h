/*
 * The control socket, DATADIR/control.sock: what gannetctl talks to. A thread of its own, which waits for
 * agents but never makes one wait.
 *
 * A client sends one line: status, alarms, version, limits, listeners, certificates, a trace (trace.h), or
 * one of what lists.h, policies.h, users.h, parameters.h, connections.h and upkeep.h have. The answer is
 * "ok", then a line with the columns' names, and the rows, tabs between columns; then the end of the stream.
 * What stands behind a column's name says what it holds: # numbers, ? true or false, { JSON. Or it is
 * "missing TEXT" (what the request is about isn't there), "failed TEXT" (the broker can't, whatever is asked)
 * or "error TEXT".
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct control;
struct gannetd;
struct op;

/* A request's line with its end. */
enum { CONTROL_LINE_BYTES = 16384 };

/* The broker's workers must run. Returns NULL with one sentence in error. */
struct control *control_new(struct gannetd *gannetd, char *error, size_t error_size);
/* While the workers still run. */
void control_free(struct control *control);
/* For what answers requests, on the control thread: hands the op (malloc'd) to router 0 and waits. Returns it
 * as it came back, to be freed with front_free_answer; NULL: that took too long, and it may still be done. */
struct op *control_ask(struct gannetd *gannetd, struct op *op);
/* The same; what is wrong, or that it took too long, has been said then, and NULL is returned. */
struct op *control_ask_saying(struct gannetd *gannetd, struct op *op, FILE *out);
/* The same as control_ask to what op->router or op->place name, by that front. */
struct op *control_ask_front(struct gannetd *gannetd, unsigned front, struct op *op);
