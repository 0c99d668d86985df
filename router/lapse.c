#include "router/lapse.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/consumer.h"
#include "router/shape.h"

/* Of a time; so few that those alive, and those overdue, are fewer than LAPSE_PERIODS. */
enum { PERIODS_OF_A_TIME = 12 };

/* Period 0 is the oldest; then those behind the current one. NULL: nothing is out. */
static const struct lapse_period *oldest(const struct lapse *lapse)
{
    if (lapse->period[0].out)
        return &lapse->period[0];
    for (unsigned i = 0; i < LAPSE_PERIODS - 1; i++) {
        const struct lapse_period *p = &lapse->period[1 + (lapse->current + i) % (LAPSE_PERIODS - 1)];
        if (p->out)
            return p;
    }
    return NULL;
}

static void watch(struct router *router, struct lapse *lapse)
{
    const struct lapse_period *p = oldest(lapse);
    if (p && lapse->time_ns)
        alarm_set(router, &lapse->alarm, p->last_ns + lapse->time_ns);
    else
        alarm_cancel(router, &lapse->alarm);
}

static void on_alarm(struct router *router, struct alarm *alarm)
{
    struct lapse *lapse = container_of(alarm, struct lapse, alarm);
    const struct lapse_period *p = oldest(lapse);
    if (p && lapse->time_ns && p->last_ns + lapse->time_ns <= router->now_ns)
        consumer_lapse(router, lapse->consumer);
    else
        watch(router, lapse);
}

static struct lapse *make(struct router *router, struct consumer *consumer)
{
    struct lapse *lapse = calloc(1, sizeof *lapse);
    CHECK(lapse);
    lapse->consumer = consumer;
    lapse->alarm.ring = on_alarm;
    lapse->current = 1;
    lapse->period[0].last_ns = router->now_ns;
    lapse->period[0].out = (uint32_t)(consumer->most - consumer->credit);
    return consumer->lapse = lapse;
}

void lapse_apply(struct router *router, struct consumer *consumer)
{
    const struct shape *shape = consumer->queue->shape;
    uint64_t ms = consumer->timeout_ms;
    if (ms == NO_LIMIT && shape)
        ms = shape->settings.value[SETTING_CONSUMER_TIMEOUT];
    if (ms == NO_LIMIT)
        ms = 0;
    if (consumer->no_ack || (!ms && !consumer->lapse))
        return;
    struct lapse *lapse = consumer->lapse ? consumer->lapse : make(router, consumer);
    lapse->time_ns = ms * 1000000;
    watch(router, lapse);
}

void lapses_apply(struct router *router, struct queue *queue)
{
    for (struct consumer *consumer = queue->all; consumer; consumer = consumer->all_next)
        lapse_apply(router, consumer);
}

void lapse_free(struct router *router, struct consumer *consumer)
{
    if (!consumer->lapse)
        return;
    alarm_cancel(router, &consumer->lapse->alarm);
    free(consumer->lapse);
    consumer->lapse = NULL;
}

/* When the time was much shorter a while ago the next period may still be in use: the current one goes on. */
static struct lapse_period *period_of_now(struct router *router, struct lapse *lapse)
{
    struct lapse_period *p = &lapse->period[lapse->current];
    unsigned next = 1 + lapse->current % (LAPSE_PERIODS - 1);
    if (p->out && router->now_ns - p->first_ns < lapse->time_ns / PERIODS_OF_A_TIME)
        return p;
    if (p->out && lapse->period[next].out)
        return p;
    if (p->out)
        lapse->current = (uint8_t)next;
    p = &lapse->period[lapse->current];
    p->first_ns = router->now_ns;
    return p;
}

void lapse_begin(struct router *router, struct consumer *consumer, struct entry *entry)
{
    struct lapse *lapse = consumer->lapse;
    struct lapse_period *p = period_of_now(router, lapse);
    p->last_ns = router->now_ns;
    p->out++;
    entry->period = lapse->current;
    if (!lapse->alarm.timer.place)
        watch(router, lapse);
}

void lapse_end(struct consumer *consumer, struct queue *queue, uint64_t seq, uint32_t count)
{
    struct lapse *lapse = consumer->lapse;
    for (uint64_t end = seq + count; seq < end; seq++) {
        const struct entry *entry = index_at(&queue->index, seq);
        if (entry && entry->state == ENTRY_OUT && lapse->period[entry->period].out)
            lapse->period[entry->period].out--;
    }
}
