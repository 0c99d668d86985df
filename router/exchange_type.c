#include "router/exchange_type.h"

#include "base/check.h"

static const char *const names[EXCHANGE_TYPES] = {
    [EXCHANGE_DIRECT] = "direct",
    [EXCHANGE_FANOUT] = "fanout",
    [EXCHANGE_TOPIC] = "topic",
    [EXCHANGE_HEADERS] = "headers",
    [EXCHANGE_CONSISTENT_HASH] = "x-consistent-hash",
    [EXCHANGE_MODULUS_HASH] = "x-modulus-hash",
    [EXCHANGE_RANDOM] = "x-random",
    [EXCHANGE_LOCAL_RANDOM] = "x-local-random",
    [EXCHANGE_RECENT_HISTORY] = "x-recent-history",
};

enum exchange_type exchange_type_of(struct span name)
{
    enum exchange_type type = 0;
    while (type < EXCHANGE_TYPES && !span_is(name, names[type]))
        type++;
    return type;
}

const char *exchange_type_name(enum exchange_type type)
{
    CHECK(type < EXCHANGE_TYPES);
    return names[type];
}
