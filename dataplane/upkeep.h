/*
 * The control socket's requests that keep a broker up: one line each, with tabs between its words.
 *
 *   purge_queue VHOST QUEUE                  answered with how many messages went
 *   delete_queue VHOST QUEUE [if_empty] [if_unused]
 *   suspend_listeners                        no new connections are taken, until
 *   resume_listeners                         they are again
 *   drain MOST [now]
 *
 * drain suspends the listeners, and tells MOST connections at most that the broker ends, as its protocol has
 * it (AMQP 320, MQTT 5.0 a DISCONNECT with 0x8B, STOMP an ERROR). A connection whose client is owed confirms
 * is read from no more, and told when it has them; with now, at once. It is answered how many were closed,
 * how many wait for confirms, and how many are open still: who asks does so until none are, at a pace of his
 * own. Nothing of it outlives the process.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct gannetd;

/* Answers the request, which is taken apart. False: it isn't one of these. Control thread. */
bool upkeep_answer(struct gannetd *gannetd, char *request, FILE *out);
