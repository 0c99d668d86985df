/*
 * The control socket, DATADIR/control.sock: what gannetctl talks to. A thread of its own, which waits for
 * agents but never makes one wait.
 *
 * A client sends one line: status, queues or connections. The answer is "ok" or "error TEXT", a line with the
 * names of the columns (a # behind it: it holds numbers), and the rows, tabs between columns; then the end
 * of the stream.
 */
#pragma once

#include <stddef.h>

struct control;
struct gannetd;

/* The broker's workers must run. Returns NULL with one sentence in error. */
struct control *control_new(struct gannetd *gannetd, char *error, size_t error_size);
/* While the workers still run. */
void control_free(struct control *control);
