/*
 * Who may do what: users, virtual hosts, permissions. The registrar orders and journals every change
 * (access_ops.c); each router and front has a replica of its own, made of the same changes in the same order,
 * and asks only that. Used by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "router/access_change.h"
#include "router/errors.h"
#include "router/limits.h"

/* Of a broker; each virtual host has exchanges at every router and front, and each replica has all of it. */
#define ACCESS_VHOSTS_MAX  1024u
#define ACCESS_USERS_MAX   16384u
#define ACCESS_GLOBALS_MAX 256u  /* global parameters */
#define ACCESS_TOPICS_MAX  1024u /* topic permissions of a user */

struct access;
struct access_user;
struct access_grant; /* what a user may do in a virtual host */

struct tally;
struct tallies;

/* tallies: of all replicas together; they outlive it. */
struct access *access_new(struct tallies *tallies);
void access_free(struct access *access);
/* Changes with every change: what was looked up before may be gone, or say something else. */
uint64_t access_generation(const struct access *access);

/* ---- changes --------------------------------------------------------------------------------------- */

/* Whether an operator may make the change. is_new: the user must not be there yet; else it must. If not, text
 * says why and the error is returned; else ERR_NONE. */
enum error access_check(const struct access *access, const struct access_change *change, bool is_new,
                        char *text, size_t text_size);
/* Makes it. One that is about what isn't there does nothing. Texts are copied. */
void access_apply(struct access *access, const struct access_change *change);
/* What there is, as changes that make it, virtual hosts first; the change is lent. */
void access_each(const struct access *access, void (*visit)(const struct access_change *change, void *owner),
                 void *owner);

/* ---- virtual hosts ----------------------------------------------------------------------------------- */

/* The id of a virtual host: a function of its name only, as it stands in journals; never 0. */
uint32_t access_vhost_id(struct span name);
/* The same, or 0 if there is none of that name. */
uint32_t access_vhost(const struct access *access, struct span name);
/* Its name, or "?" if there is none of that id. */
const char *access_vhost_name(const struct access *access, uint32_t id);
bool access_has_vhost(const struct access *access, uint32_t id);

/* The type of queues that are declared there without one; nothing: classic. */
struct span access_queue_type(const struct access *access, uint32_t vhost);

/* ---- users ------------------------------------------------------------------------------------------- */

size_t access_users(const struct access *access);
/* NULL: there is none of that name. */
const struct access_user *access_user(const struct access *access, struct span name);
struct span access_user_password(const struct access_user *user);
struct span access_user_tags(const struct access_user *user);

/* ---- permissions ------------------------------------------------------------------------------------- */

enum access_right { RIGHT_CONFIGURE, RIGHT_WRITE, RIGHT_READ, ACCESS_RIGHTS };

const char *access_right_name(enum access_right right);
/* NULL: the user may not use the virtual host, or either isn't there. */
struct access_grant *access_grant(const struct access *access, struct span user, uint32_t vhost);
/* name: of a queue or exchange. */
bool access_may(struct access *access, struct access_grant *grant, enum access_right right, struct span name);

/* ---- limits -------------------------------------------------------------------------------------------- */

/* Valid as long as the generation is the same. NULL: there is no such user, or virtual host. */
const struct limits *access_user_limits(const struct access *access, struct span user);
const struct limits *access_vhost_limits(const struct access *access, uint32_t vhost);
struct tally *access_user_tally(const struct access *access, struct span user);
struct tally *access_vhost_tally(const struct access *access, uint32_t vhost);
/* One more queue of this router. False: the virtual host has as many as it may have; anyway: it may have it
 * all the same. */
bool access_add_queue(struct access *access, uint32_t vhost, bool anyway);
/* It is gone. If the virtual host was gone before, so was the count. */
void access_end_queue(struct access *access, uint32_t vhost);

/* ---- topic permissions ------------------------------------------------------------------------------- */

struct access_topic; /* of a user, for an exchange */

/* Whether the user has any in the virtual host. */
bool access_has_topics(const struct access *access, struct span user, uint32_t vhost);
/* NULL: routing keys are free there. */
const struct access_topic *access_topic(const struct access *access, struct span user, uint32_t vhost,
                                        struct span exchange);

/* What stands for itself in a topic permission's pattern: {username}, {vhost}, {client_id}. The last has no
 * address where there is none: then it stays as it is. */
struct access_names {
    struct span user, vhost, client_id;
};

/* The pattern of RIGHT_WRITE or RIGHT_READ with these names in it, compiled; the names stand for themselves,
 * not for what they mean in a pattern. NULL: they make none. */
struct pattern *access_topic_pattern(const struct access_topic *topic, enum access_right right,
                                     const struct access_names *names);
