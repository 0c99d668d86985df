/*
 * The control socket's requests about what RabbitMQ calls parameters of a virtual host. Here these are its
 * limits and its operator policies, which have requests of their own (users.h, policies.h); so they are only
 * listed.
 *
 *   list_parameters VHOST, list_all_parameters
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct gannetd;

/* Answers the request, which is taken apart. False: it isn't one of these. Control thread. */
bool parameters_answer(struct gannetd *gannetd, char *request, FILE *out);
