/*
 * The control socket's requests about users, virtual hosts and permissions: one line each, with tabs between
 * its words. What is in brackets may be left away, with all behind it.
 *
 *   add_user USER PASSWORD                    delete_user USER
 *   change_password USER PASSWORD             clear_password USER
 *   add_user_hash USER HASH                   change_password_hash USER HASH
 *   set_user_tags USER [TAG ...]              authenticate_user USER PASSWORD
 *   put_user USER PASSWORD [TAG ...]          put_user_hash USER HASH [TAG ...]
 *   put_user_without_password USER [TAG ...]
 *   add_vhost VHOST [DESCRIPTION [TAGS]]      delete_vhost VHOST
 *   put_vhost VHOST [DESCRIPTION [TYPE [TAG ...]]]
 *   set_permissions VHOST USER CONFIGURE WRITE READ
 *   clear_permissions VHOST USER
 *   set_topic_permissions VHOST USER EXCHANGE WRITE READ
 *   clear_topic_permissions VHOST USER [EXCHANGE]
 *   set_user_limits USER LIMITS               clear_user_limits USER [LIMIT]
 *   set_vhost_limits VHOST LIMITS             clear_vhost_limits VHOST [LIMIT]
 *   add_vhost_limits VHOST LIMITS             delete_users USER ...
 *   list_user_limits [USER], list_vhost_limits [VHOST]
 *   list_users, list_user_hashes, list_vhosts, list_permissions VHOST, list_user_permissions USER,
 * list_topic_permissions VHOST, list_user_topic_permissions USER, list_all_permissions,
 * list_all_topic_permissions
 *
 *   set_global_parameter NAME VALUE           clear_global_parameter NAME
 *   list_global_parameters
 *
 *   stamp USER, login USER PASSWORD
 *
 * A HASH is an algorithm's name, a colon, and what RabbitMQ exports as password_hash (router/password.h).
 * list_user_hashes tells what is kept of each password in the form that put_user_hash takes again: who may
 * open the socket could read it from the journal. Changes are answered with "ok" when they are safe and in
 * force at every router and front; put_user says whether the user is new.
 *
 * add_vhost_limits leaves those as they are that LIMITS doesn't name; set_vhost_limits ends them. Of users
 * who aren't all there delete_users deletes none.
 *
 * stamp says what his password is as long as it stays the same, and nothing of it; his tags; whether he may
 * only come from this machine. login does too, if the password is right; else, and whether there is such a
 * user or not, it says "error".
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "router/password.h"

struct gannetd;

/* Answers the request, which is taken apart. False: it isn't one of these. Control thread. */
bool users_answer(struct gannetd *gannetd, char *request, FILE *out);
/* What is kept of a password. False: there is no memory to make it. At start, or control thread. */
bool users_hash(struct gannetd *gannetd, struct span password, char text[PASSWORD_TEXT_BYTES]);
