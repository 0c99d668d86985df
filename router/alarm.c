#include "router/alarm.h"

#include "router/agent.h"

void alarm_set(struct router *router, struct alarm *alarm, uint64_t at_ns)
{
    if (alarm->timer.place && alarm->timer.at == at_ns)
        return;
    timer_set(&router->timers, &alarm->timer, at_ns);
}

void alarm_cancel(struct router *router, struct alarm *alarm)
{
    timer_cancel(&router->timers, &alarm->timer);
}

unsigned alarm_poll(struct router *router)
{
    unsigned rung = 0;
    for (struct timer *timer; (timer = timer_due(&router->timers, router->now_ns)); rung++) {
        struct alarm *alarm = container_of(timer, struct alarm, timer);
        alarm->ring(router, alarm);
    }
    return rung;
}
