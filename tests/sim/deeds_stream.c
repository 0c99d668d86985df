/* Streams: which queues are, and how one consumes from them. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "site.h"

static uint64_t below(struct client *client, uint64_t bound)
{
    return prng_below(client->all->prng, bound);
}

/* Small messages to few queues, many readers; the broker lives for a while, mostly. */
static void make_streaming(struct plan *plan, struct prng *prng)
{
    plan->queue_count = plan->queue_count < 3 ? plan->queue_count : 1 + (unsigned)prng_below(prng, 3);
    plan->deeds[DEED_CONSUME] += 60;
    plan->deeds[DEED_PUBLISH] += 80;
    plan->deeds[DEED_ACK] += 60;
    plan->deeds[DEED_QUEUE_DELETE] /= 2;
    plan->large_ppm /= 2;
    if (plan->deed_ppm > 60000 && prng_below(prng, 4))
        plan->deed_ppm = 60000;
    if (prng_below(prng, 3)) {
        plan->troubles[TROUBLE_KILL] /= 4;
        plan->troubles[TROUBLE_POWER_CUT] /= 4;
        plan->troubles[TROUBLE_WRITE_FAILS] /= 8;
    }
}

void streams_draw(struct plan *plan, struct prng *prng)
{
    if (prng_below(prng, 5))
        return;
    unsigned streams = 1 + (unsigned)prng_below(prng, 2);
    make_streaming(plan, prng);
    plan->filtered_ppm = prng_below(prng, 2) ? 0 : 300000 + (uint32_t)prng_below(prng, 700000);
    plan->dated = prng_below(prng, 3) == 0;
    plan->leap_ppm = plan->dated ? 400000 : 0;
    for (unsigned i = 0; i < streams; i++) {
        struct queue_plan *q = &plan->queues[i];
        q->shape = shape_none();
        q->shape.stream = true;
        q->durable = true;
        q->exclusive = q->auto_delete = false;
        q->shape.bytes = prng_below(prng, 3) ? SHAPE_UNSAID : (int32_t)prng_below(prng, 600);
        q->shape.age = prng_below(prng, 3) ? SHAPE_UNSAID : 1;
        if (q->shape.age != SHAPE_UNSAID)
            plan->leap_ppm = 400000;
        q->shape.segment = q->shape.bytes == SHAPE_UNSAID ? SHAPE_UNSAID : (int32_t)prng_below(prng, 300);
    }
}

/* Often one of a few keys, so that values are replaced while consumers are slow. */
void images_draw(struct plan *plan, struct prng *prng)
{
    static const char *const keys[] = {"h1", "h2", "routing-key"};
    if (prng_below(prng, 5))
        return;
    unsigned images = 1 + (unsigned)prng_below(prng, 2);
    make_streaming(plan, prng);
    for (unsigned i = 0; i < images; i++) {
        struct queue_plan *q = &plan->queues[i];
        if (q->shape.stream)
            continue;
        bool auto_delete = q->auto_delete && prng_below(prng, 4) == 0;
        q->auto_delete = auto_delete;
        q->shape = shape_none();
        q->shape.last_value = keys[prng_below(prng, 3)];
    }
}

void intervals_draw(struct plan *plan, struct prng *prng)
{
    static const int32_t intervals[] = {0, 2, 5, 20, 60, 150};
    if (prng_below(prng, 4) == 0)
        return;
    plan->paced = plan->policy_ppm && prng_below(prng, 4);
    bool told = !plan->paced || prng_below(prng, 3) == 0;
    for (unsigned i = 0; i < PLAN_QUEUES; i++) {
        struct shape_plan *s = &plan->queues[i].shape;
        if (!s->last_value)
            continue;
        s->sequence = prng_below(prng, 2);
        if (told && prng_below(prng, 3))
            s->conflation = intervals[prng_below(prng, sizeof intervals / sizeof *intervals)];
    }
}

/* ---- declaring, consuming ---------------------------------------------------------------------------------
 */

void streams_write(const struct shape_plan *s, struct buffer *arguments)
{
    char age[32];
    add_text_field(arguments, "x-queue-type", "stream");
    snprintf(age, sizeof age, "%ds", s->age);
    if (s->age != SHAPE_UNSAID)
        add_text_field(arguments, "x-max-age", age);
    if (s->bytes == SHAPE_UNSAID)
        return;
    add_int_field(arguments, "x-max-length-bytes", s->bytes);
    add_int_field(arguments, "x-stream-max-segment-size-bytes", s->segment);
}

bool plan_keeps(const struct plan *plan, const char *queue)
{
    for (unsigned i = 0; i < PLAN_QUEUES; i++)
        if (plan->queues[i].shape.last_value && strcmp(plan->queues[i].name, queue) == 0)
            return true;
    return plan_is_stream(plan, queue);
}

bool plan_is_stream(const struct plan *plan, const char *queue)
{
    for (unsigned i = 0; i < PLAN_QUEUES; i++)
        if (plan->queues[i].shape.stream && strcmp(plan->queues[i].name, queue) == 0)
            return true;
    return false;
}

/* ---- values, times ------------------------------------------------------------------------------------- */

static const char *some_value(struct client *client)
{
    static const char *const values[] = {"a", "a", "b", "c"};
    return values[below(client, 4)];
}

const char *stream_value(struct client *client)
{
    uint32_t ppm = client->all->plan->filtered_ppm;
    return ppm && prng_chance(client->all->prng, ppm) ? some_value(client) : NULL;
}

static void add_filter(struct client *client, struct buffer *arguments)
{
    const char *values[] = {some_value(client), some_value(client)};
    if (below(client, 2))
        add_text_field(arguments, "x-stream-filter", values[0]);
    else
        add_texts_field(arguments, "x-stream-filter", values, below(client, 3));
    if (below(client, 2))
        add_bool_field(arguments, "x-stream-match-unfiltered", below(client, 3) != 0);
}

/* All is over in a few seconds. */
static void add_time(struct client *client, struct buffer *arguments)
{
    static const char *const ago[] = {"1s", "2s", "3s"};
    if (below(client, 2))
        add_time_field(arguments, "x-stream-offset", SITE_EPOCH_S + below(client, 5));
    else
        add_text_field(arguments, "x-stream-offset", ago[below(client, 3)]);
}

bool stream_consume(struct client *client, uint16_t channel, const char *queue, struct buffer *arguments)
{
    const char *const wheres[] = {"first", "first", "last", "next"};
    if (!plan_is_stream(client->all->plan, queue))
        return false;
    uint64_t where = client->auto_ack ? 0 : below(client, 7);
    if (client->auto_ack || below(client, 16)) {
        size_t frame = method_open(&client->out, channel, BASIC_QOS);
        add_long(&client->out, 0);
        add_short(&client->out, client->auto_ack ? 100 : (uint16_t)(1 + below(client, 20)));
        add_octet(&client->out, 0);
        frame_close(&client->out, frame);
        client->chan[channel].awaited++;
    }
    bool own = !client->auto_ack;
    if (own && client->all->plan->filtered_ppm && below(client, 2))
        add_filter(client, arguments);
    if (own && client->all->plan->dated && below(client, 2))
        add_time(client, arguments);
    else if (where < 4)
        add_text_field(arguments, "x-stream-offset", wheres[where]);
    else if (where < 6)
        add_int_field(arguments, "x-stream-offset", (int32_t)below(client, 40));
    return client->auto_ack || below(client, 16) != 0;
}
