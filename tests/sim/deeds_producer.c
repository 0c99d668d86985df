/* Publishers that number their messages, and send those again of which they don't know enough: after a
 * connection has ended the latest ones in their order, and now and then any of the latest. */
#include <stdio.h>
#include <string.h>

#include "client.h"

enum { AGAIN_AFTER_BREAK = 8, LATEST = 16, JUST_NOW = 2, JUMP = 100 };

static uint64_t below(struct client *client, uint64_t bound)
{
    return prng_below(client->all->prng, bound);
}

/* Much goes to few queues, which are there for a while, and come back. */
static void make_numbering(struct plan *plan, struct prng *prng)
{
    plan->deeds[DEED_PUBLISH] += 300;
    plan->deeds[DEED_PUBLISH_BURST] += 60;
    plan->deeds[DEED_QUEUE_DECLARE] += 160;
    plan->deeds[DEED_QUEUE_BIND] += 60;
    plan->deeds[DEED_CHANNEL_OPEN] += 100;
    plan->deeds[DEED_CONSUME] += 20;
    plan->deeds[DEED_SELECT] += 40;
    plan->deeds[DEED_QUEUE_DELETE] /= 2;
    plan->deeds[DEED_CHANNEL_CLOSE] /= 2;
    if (prng_below(prng, 3))
        plan->troubles[TROUBLE_WRITE_FAILS] = 0;
    if (prng_below(prng, 2))
        plan->disk_steps |= 15;
    plan->wide_ppm = plan->wide_ppm < 600000 ? 600000 : plan->wide_ppm;
    if (plan->deed_ppm > 60000 && prng_below(prng, 4))
        plan->deed_ppm = 60000;
    plan->queue_count = plan->queue_count < 4 ? plan->queue_count : 1 + (unsigned)prng_below(prng, 4);
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        plan->queues[i].auto_delete &= prng_below(prng, 4) == 0;
        plan->queues[i].exclusive &= prng_below(prng, 4) == 0;
    }
}

void producers_draw(struct plan *plan, struct prng *prng)
{
    bool some = prng_below(prng, 5) == 0;
    plan->producers = 1 + (unsigned)prng_below(prng, CLIENTS_PRODUCERS);
    plan->numbered_ppm = !some ? 0 : prng_below(prng, 2) ? 900000 : 400000;
    bool lasting = prng_below(prng, 2);
    if (!some)
        return;
    if (lasting && plan->persistent_ppm < 500000)
        plan->persistent_ppm = 900000;
    make_numbering(plan, prng);
}

void producer_reconnects(struct client *client)
{
    client->again = client->all->plan->numbered_ppm ? AGAIN_AFTER_BREAK : 0;
}

static struct numbered *new_number(struct client *client, struct producer_deeds *p, const char *exchange,
                                   const char *key)
{
    struct numbered *n = &p->sent[p->count++ % CLIENTS_NUMBERED];
    p->seq += 1 + (below(client, 8) ? 0 : (int32_t)below(client, 5)) + (below(client, 200) ? 0 : JUMP);
    n->seq = p->seq;
    snprintf(n->producer, sizeof n->producer, "p%u", (unsigned)(p - client->all->producers));
    snprintf(n->exchange, sizeof n->exchange, "%s", exchange);
    snprintf(n->key, sizeof n->key, "%s", key);
    n->persistent = prng_chance(client->all->prng, client->all->plan->persistent_ppm);
    return n;
}

/* Numbers are not to be spent on queues that nobody has declared. */
static bool is_known(const struct client *client, const char *queue)
{
    const struct clients *all = client->all;
    for (unsigned i = 0; i < all->plan->queue_count; i++)
        if (all->queues[i] && strcmp(all->plan->queues[i].name, queue) == 0)
            return true;
    return false;
}

/* back: how many numbers ago it was, from 1 on. */
static struct numbered *old_number(struct producer_deeds *p, unsigned back)
{
    return &p->sent[(p->count - back) % CLIENTS_NUMBERED];
}

static unsigned kept(const struct producer_deeds *p, unsigned most)
{
    return p->count < most ? p->count : most;
}

struct numbered *producer_next(struct client *client, const char *exchange, const char *key)
{
    const struct plan *plan = client->all->plan;
    if (!plan->numbered_ppm || !prng_chance(client->all->prng, plan->numbered_ppm))
        return NULL;
    unsigned which = below(client, 8) ? client->number : (unsigned)below(client, CLIENTS_PRODUCERS);
    struct producer_deeds *p = &client->all->producers[which % plan->producers];
    if (client->again && p->count) {
        unsigned back = client->again--;
        if (back <= kept(p, CLIENTS_NUMBERED))
            return old_number(p, back);
    }
    if (p->count && below(client, 3) == 0) {
        unsigned most = below(client, 2) ? JUST_NOW : below(client, 8) ? LATEST : CLIENTS_NUMBERED;
        return old_number(p, 1 + (unsigned)below(client, kept(p, most)));
    }
    return exchange[0] || is_known(client, key) ? new_number(client, p, exchange, key) : NULL;
}

void producer_write(const struct numbered *n, struct buffer *headers)
{
    add_text_field(headers, "x-producer-id", n->producer);
    add_int_field(headers, "x-producer-seq", n->seq);
}
