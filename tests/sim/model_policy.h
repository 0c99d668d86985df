/*
 * Policies: what an operator says of queues by their names, while they are there. What a queue is told is its
 * arguments and two of these together; while a change is under way the old and the new may hold, afterwards
 * only the new. Told by deeds_policy.c; asked by the files of the model.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct model;
struct known_queue;
struct known_entry;
struct known_settings;

enum { MODEL_POLICIES = 3 };

/* A policy, by its number; of each kind there are MODEL_POLICIES. Numbers: -1 if nothing is said. */
struct said_policy {
    unsigned number;
    bool is_operator, there; /* there: it is set, else cleared */
    const char *pattern;     /* a regular expression */
    const char *target;      /* what it is applied to */
    int32_t priority;
    int32_t ttl, expires, length, bytes, deliveries;
    const char *overflow;                               /* NULL: unsaid */
    int32_t age, segment;                               /* of streams: seconds, bytes */
    const char *level;                                  /* of confirms; NULL: unsaid */
    int32_t timeout, sequence;                          /* ms, of consumers; 0 or 1 */
    int32_t conflation;                                 /* ms */
    const char *dead_target, *dead_key, *dead_strategy; /* NULL: unsaid */
};

/* The policy's change is under way, until it is answered, in whatever life of the broker. */
void model_policy_asked(struct model *model, const struct said_policy *policy);
void model_policy_answered(struct model *model);

/* At an idle moment: what was answered holds everywhere. */
void model_policies_settled(struct model *model);
/* The queue has been told something by its arguments. */
void model_policy_declared(struct model *model, struct known_queue *queue);
/* The entry is new: what its queue may say of its time. And the broker is gone: a start may give the message
 * the time that the policy says which held last. */
void model_policy_times(struct known_entry *entry);
void model_policy_times_down(struct model *model, struct known_entry *entry);

/* Deliveries that come to nothing before a message may leave, and before it must; -1: never. */
int64_t model_limit_least(const struct known_queue *queue);
int64_t model_limit_most(const struct known_queue *queue);
/* Two settings say the same of dead letters. */
bool model_same_target(const struct known_settings *a, const struct known_settings *b);
/* Of two numbers of which -1 is none. */
int64_t model_lower(int64_t a, int64_t b);
int64_t model_higher(int64_t a, int64_t b);
