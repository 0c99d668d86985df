/* The types of exchanges, by number and by name. */
#pragma once

#include "base/span.h"

/* The numbers are on disk (persist.h): new ones go to the end. */
enum exchange_type {
    EXCHANGE_DIRECT,
    EXCHANGE_FANOUT,
    EXCHANGE_TOPIC,
    EXCHANGE_HEADERS,
    EXCHANGE_CONSISTENT_HASH,
    EXCHANGE_MODULUS_HASH,
    EXCHANGE_RANDOM,
    EXCHANGE_LOCAL_RANDOM, /* all of one broker is local */
    EXCHANGE_RECENT_HISTORY,
    EXCHANGE_TYPES
};

/* EXCHANGE_TYPES when there is no such type. */
enum exchange_type exchange_type_of(struct span name);
const char *exchange_type_name(enum exchange_type type);
