#include "names.h"

const char *names_exchange(const struct clients *all)
{
    static const char *const predeclared[] = {"amq.direct", "amq.fanout", "amq.topic", "amq.headers"};
    if (prng_below(all->prng, 4) == 0)
        return predeclared[prng_below(all->prng, 4)];
    return all->plan->exchanges[prng_below(all->prng, all->plan->exchange_count)].name;
}

const char *names_queue(const struct client *client)
{
    const struct plan *plan = client->all->plan;
    if (client->last_queue[0] && prng_below(client->all->prng, 8) == 0)
        return client->last_queue;
    return plan->queues[prng_below(client->all->prng, plan->queue_count)].name;
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
