/*
 * The control socket's requests about policies: one line each, with tabs between its words.
 *
 *   set_policy VHOST PRIORITY APPLY-TO NAME PATTERN KEY=TYPE:VALUE ...
 *   check_policy, with the same words: whether it could be set in that virtual host; nothing is changed
 *   clear_policy VHOST NAME
 *   list_policies VHOST      columns name, pattern, apply-to, definition (as JSON), priority
 *   list_all_policies        columns vhost, and these
 *
 * and the same with operator_policy and operator_policies, all_operator_policies. TYPE: s a string, i a whole
 * number, b true or false. Changes are answered with "ok" when they are safe and in force at every router.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct gannetd;

/* Answers the request, which is taken apart. False: it isn't one of these. Control thread. */
bool policies_answer(struct gannetd *gannetd, char *request, FILE *out);
