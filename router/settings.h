/*
 * The settings of a queue: what the arguments of its declaration and the policies that fit it say together.
 * The rows are in settings.def. Reading checks a declaration; merging policies can't fail, what they say was
 * checked when they were made.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* In `value`: not set. */
#define NO_LIMIT UINT64_MAX

enum setting {
#define X(name, argument, key, kind, least, most, types, merge) name,
#include "router/settings.def"
#undef X
    SETTINGS
};

enum queue_type { TYPE_CLASSIC, TYPE_QUORUM, TYPE_STREAM };
enum overflow { OVERFLOW_DROP_HEAD, OVERFLOW_REJECT, OVERFLOW_REJECT_DLX };
enum confirm_level { LEVEL_RAM, LEVEL_DISK };
enum dead_strategy { STRATEGY_AT_MOST_ONCE, STRATEGY_AT_LEAST_ONCE };

struct settings {
    uint64_t value[SETTINGS];   /* numbers; flags as 0 and 1; words by their place; NO_LIMIT: not set */
    struct span text[SETTINGS]; /* of TEXT rows that are set; points into what was read */
    bool any;                   /* something is set that makes the queue other than a plain one */
};

/* How the queue is declared, as far as arguments depend on it. */
struct declared {
    const char *what; /* "queue 'q' in vhost '/'" */
    bool durable, exclusive, auto_delete;
    bool unnamed; /* the broker has made up its name */
};

/* Reads a declaration's arguments (a checked table) into s. False, with RabbitMQ's words in text where it has
 * some, if one is wrong or can't be with the others. */
bool settings_read(struct settings *s, struct span arguments, const struct declared *declared, char *text,
                   size_t text_size);
/* Whether a second declaration's arguments say the same; arguments that are no settings don't count. text:
 * where they differ. */
bool settings_equivalent(struct span received, struct span current, const char *what, char *text,
                         size_t text_size);
/* One number that may stand in other arguments, too: *value stays as it is if it doesn't. False, with text,
 * if it is wrong. what: as in struct declared. */
bool settings_read_number(enum setting setting, struct span arguments, const char *what, uint64_t *value,
                          char *text, size_t text_size);
/* The same without a check: of what was checked before. */
void settings_load(struct settings *s, struct span arguments);
/* Whether a policy's definition (a checked table, by the keys of policies) can be made; text: why not. */
bool settings_check_policy(struct span definition, char *text, size_t text_size);
/* Whether it can be said of a queue of that type: as with RabbitMQ, a policy of which the type doesn't take
 * a part isn't for it, but for what has no meaning anyway. */
bool settings_policy_fits(const struct settings *s, struct span definition);
/* Adds what a policy says. */
void settings_merge(struct settings *s, struct span definition);

/* "7D": a number of years, months, days, hours (h), minutes (m) or seconds, in ms; a year has 365 days, a
 * month 30. More than AGE_MAX is AGE_MAX. */
#define AGE_MAX UINT64_C(12614400000000) /* 400 years: added to any time of a clock it still fits in ns */
bool settings_age(struct span text, uint64_t *ms);

/* The type of that name. False: there is none. */
bool settings_type_named(struct span name, enum queue_type *type);
const char *settings_type_name(enum queue_type type);
/* What implements the type, as RabbitMQ's texts name it. */
const char *settings_type_text(enum queue_type type);

static inline enum queue_type settings_type(const struct settings *s)
{
    uint64_t type = s->value[SETTING_TYPE];
    return type == NO_LIMIT ? TYPE_CLASSIC : (enum queue_type)type;
}

static inline bool settings_has(const struct settings *s, enum setting setting)
{
    return s->value[setting] != NO_LIMIT;
}
