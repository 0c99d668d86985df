/*
 * Topics and routing keys. The topic a/b/c is the routing key a.b.c, and the other way round: characters that
 * mean something on one side change places with those that mean it on the other, so that a topic comes out as
 * it went in.
 *
 *   topic   / . + *        + stands for one level in a filter, * means nothing
 *   key     . / * +        * stands for one word in a binding, + means nothing;  # is the same in both
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* A routing key has no room for more. */
#define TOPIC_BYTES_MAX 255u

/* MQTT 5.0, 4.7: at least one character, in a name no wildcard, in a filter those at their places only. */
bool topic_name_valid(struct span topic);
bool topic_filter_valid(struct span filter);
/* Whether it is ASCII without a NUL, '+' or '#': then it is UTF-8 and, unless empty, a name, as most are. */
bool topic_is_plain(struct span topic);

/* Writes text.len bytes. */
void topic_to_key(uint8_t *to, struct span topic);
/* False: the key has a '#' in it and is no topic. */
bool key_to_topic(uint8_t *to, struct span key);

/* A filter "$share/group/filter" taken apart. group: empty if it isn't a shared one. False: it is malformed.
 */
bool filter_split(struct span text, struct span *group, struct span *filter);

/* Whether the filter begins with a wildcard, and so is for no topic that begins with '$'; both as keys. */
static inline bool filter_spares(struct span filter, struct span key)
{
    return key.len && key.at[0] == '$' && filter.len && (filter.at[0] == '*' || filter.at[0] == '#');
}
