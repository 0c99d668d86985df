#include "names.h"

#include <string.h>

/* One of those that are known, or (seldom) any. */
static size_t some_known(struct prng *prng, const bool *known, unsigned count)
{
    size_t some[PLAN_EXCHANGES + PLAN_QUEUES], n = 0;
    if (prng_below(prng, 50) == 0)
        return prng_below(prng, count);
    for (size_t i = 0; i < count; i++)
        if (known[i])
            some[n++] = i;
    return n ? some[prng_below(prng, n)] : SIZE_MAX;
}

size_t names_known_exchange(const struct clients *all)
{
    return some_known(all->prng, all->exchanges, all->plan->exchange_count);
}

size_t names_known_queue(const struct clients *all)
{
    return some_known(all->prng, all->queues, all->plan->queue_count);
}

/* What clients of MQTT say is no business of those of AMQP. */
static const char *not_mqtt(const struct clients *all, const char *name)
{
    return all->plan->mqtt.clients && strcmp(name, "amq.topic") == 0 ? "amq.fanout" : name;
}

const char *names_exchange(const struct clients *all)
{
    static const char *const predeclared[] = {"amq.direct", "amq.fanout", "amq.topic", "amq.headers"};
    size_t known = names_known_exchange(all);
    if (prng_below(all->prng, 4) == 0 || known == SIZE_MAX)
        return not_mqtt(all, predeclared[prng_below(all->prng, 4)]);
    return all->plan->exchanges[known].name;
}

const char *names_queue(const struct client *client)
{
    const struct plan *plan = client->all->plan;
    if (client->last_queue[0] && prng_below(client->all->prng, 8) == 0)
        return client->last_queue;
    size_t known = names_known_queue(client->all);
    return plan->queues[known == SIZE_MAX ? 0 : known].name;
}

static void add_some(struct prng *prng, struct buffer *table)
{
    if (prng_below(prng, 2))
        add_text_field(table, "h1", prng_below(prng, 2) ? "x" : "y");
    if (prng_below(prng, 2))
        add_int_field(table, "h2", (int32_t)prng_below(prng, 2));
    if (prng_below(prng, 3) == 0)
        add_bool_field(table, "h3", prng_below(prng, 2));
}

void names_match_arguments(struct prng *prng, struct buffer *arguments)
{
    uint64_t match = prng_below(prng, 3);
    if (match)
        add_text_field(arguments, "x-match", match == 1 ? "all" : "any");
    add_some(prng, arguments);
}

void names_headers(struct prng *prng, struct buffer *headers)
{
    add_some(prng, headers);
}
