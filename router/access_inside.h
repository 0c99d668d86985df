/* What a table of access is made of, for the files that are parts of it. */
#pragma once

#include "base/map.h"
#include "base/tally.h"
#include "router/access.h"
#include "router/limits.h"
#include "router/pattern.h"

enum reach { REACH_NONE, REACH_ALL, REACH_PATTERN };

/* Texts are owned, and end with a NUL that isn't counted. */
struct access_rule {
    struct span source;
    struct pattern *pattern; /* of REACH_PATTERN */
    uint8_t reach;
    bool warned; /* it has been logged that it costs too much */
};

struct access_grant {
    struct access_grant *next;
    uint32_t vhost;
    struct access_rule rule[ACCESS_RIGHTS];
};

struct access_topic {
    struct access_topic *next;
    uint32_t vhost;
    struct span exchange, write, read;
};

struct access_user {
    struct map_node node;
    struct span name, password, tags;
    struct access_grant *grants;
    struct access_topic *topics;
    struct limits limits;
    struct tally *tally;
};

struct access_vhost {
    struct map_node node;
    uint32_t id;
    struct span name, description, tags, queue_type;
    struct limits limits;
    struct tally *tally;
    int64_t queues; /* of this router, of those in the tally */
};

/* A global parameter: few, so that a list will do. */
struct access_global {
    struct access_global *next;
    struct span name, value;
};

struct access {
    struct map users, vhosts;
    struct access_global *globals;
    unsigned global_count;
    struct tallies *tallies;
    uint64_t generation;
    struct pattern_scratch scratch;
};

struct access_user *access_user_of(const struct access *access, struct span name);
struct access_vhost *access_vhost_of(const struct access *access, uint32_t id);
struct access_grant *access_grant_of(const struct access_user *user, uint32_t vhost);
struct span access_copy(struct span s);
void access_drop(struct span s);

/* ---- access_limits.c -------------------------------------------------------------------------------- */

/* Of a change of that kind. */
void access_limits_apply(struct access *access, const struct access_change *change);

/* ---- access_global.c ------------------------------------------------------------------------------- */

/* NULL: there is none of that name. */
const struct access_global *access_global_of(const struct access *access, struct span name);
/* Of a change of that kind. */
void access_global_apply(struct access *access, const struct access_change *change);
void access_globals_free(struct access *access);

/* ---- access_topic.c -------------------------------------------------------------------------------- */

struct access_topic *access_topic_of(const struct access_user *user, uint32_t vhost, struct span exchange);
void access_topic_put(struct access_user *user, uint32_t vhost, const struct access_change *change);
/* exchange: NULL for all of the virtual host. */
void access_topic_remove(struct access_user *user, uint32_t vhost, const struct span *exchange);
