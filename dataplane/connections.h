/*
 * The control socket's requests that close connections: one line each, with tabs between its words.
 *
 *   close_connection NAME REASON              close_all_user_connections USER REASON
 *   close_all_connections VHOST REASON        (VHOST empty: of every virtual host)
 *
 * NAME is what lists of connections have (front.h). The client is told the reason as its protocol has it:
 * AMQP 320, MQTT 5.0 a DISCONNECT with 0x98, STOMP an ERROR; more than 200 bytes of it are cut off. Of
 * several it is answered how many were closed. One that comes meanwhile may stay.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct gannetd;

/* Answers the request, which is taken apart. False: it isn't one of these. Control thread. */
bool connections_answer(struct gannetd *gannetd, char *request, FILE *out);
