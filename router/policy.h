/*
 * Policies: what an operator says of every queue or exchange of a virtual host whose name a pattern fits. Of
 * those that fit, the one with the highest priority holds (of equals, the first by name), and beside it one
 * operator policy. Every router has them all and finds the same: the patterns' cost is bounded by counting,
 * not by time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/command.h"
#include "router/pattern.h"
#include "router/settings.h"

#define POLICIES_MAX              1024u                /* of a broker, operator policies among them */
#define POLICY_DEFINITION_BYTES   (4u * 1024u)         /* as a table */
#define POLICY_ALTERNATE_EXCHANGE "alternate-exchange" /* the one key that is of exchanges, */
#define POLICY_CONFIRM            "confirm"            /* and one that is of them too */

/* What it is said of. In records: numbers never change their meaning. */
enum policy_target {
    POLICY_ALL,
    POLICY_QUEUES,
    POLICY_CLASSIC_QUEUES,
    POLICY_QUORUM_QUEUES,
    POLICY_STREAMS,
    POLICY_EXCHANGES,
    POLICY_TARGETS
};

struct policy {
    struct policy *next; /* the next one to be tried */
    uint32_t vhost;
    bool is_operator; /* it only lowers what others say */
    uint8_t target;   /* enum policy_target */
    bool warned;      /* it has been logged that its pattern costs too much */
    int32_t priority;
    struct name name, pattern;
    struct span definition; /* a checked table, by the keys of policies; malloc'd */
    struct pattern *code;   /* NULL: it fits nothing */
};

/* Zeroed: none. */
struct policies {
    struct policy *first; /* by virtual host, kind, priority, name */
    unsigned count;
    struct pattern_scratch scratch;
};

void policies_free(struct policies *policies);

/* "queues" and so on; POLICY_TARGETS when there is no such word. */
enum policy_target policy_target_of(struct span word);
const char *policy_target_name(uint8_t target);

/* Whether a policy may say that (a checked table); text: why not, in one sentence. */
bool policy_check(struct span definition, bool is_operator, char *text, size_t text_size);
/* A copy of the policy and of what it owns; next, code and warned are not looked at: the pattern is compiled
 * anew. If it can't be, text says why and the copy fits nothing. */
struct policy *policy_copy(const struct policy *policy, char *text, size_t text_size);
void policy_free(struct policy *policy);

struct policy *policies_find(const struct policies *policies, uint32_t vhost, bool is_operator,
                             struct span name);
/* Takes the policy over, in place of the one of its name: that one is returned, or NULL. */
struct policy *policies_put(struct policies *policies, struct policy *policy);
/* The policy is the caller's again. */
void policies_remove(struct policies *policies, struct policy *policy);

/* The one that holds for a queue whose arguments say `declared`, or for an exchange; NULL: none. */
struct policy *policy_of_queue(struct policies *policies, bool is_operator, uint32_t vhost, struct span name,
                               const struct settings *declared);
struct policy *policy_of_exchange(struct policies *policies, uint32_t vhost, struct span name);
