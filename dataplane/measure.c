/*
 * What a front's turn has done, told to those who read counters: message by message there is a plain
 * addition, and the clock is read once in a turn that has something to measure.
 *
 *   receive   begin of the turn that has read the message's last bytes (or of its waiting, if it was parked)
 *             → commands are about to be seen by the router
 *   route     from there → end of the router's turn that took it (router_turned)
 *   deliver   begin of the router's turn that gave it → transports have been given this front's output
 *
 * Receive counts every message. A stamp (base/ring.h) stands for what its turn has sent one way; while one is
 * under way none is made, so the other two count what was stamped.
 */
#include "front_inside.h"

void measure_run_end(struct front *front)
{
    struct front_turn *turn = &front->turn;
    if (turn->run)
        histogram_add(&front->stats.message_bytes, turn->len, turn->run);
    turn->published += turn->run;
    turn->run = 0;
}

void measure_waited(struct host *host)
{
    struct front *front = host->front;
    histogram_add(&front->stats.receive, elapsed_ns(host->parked_ns, front->now_ns), 1);
    front->turn.waited++;
    host->parked_ns = 0;
}

static uint64_t now(const struct front *front)
{
    return front->options.clock_ns ? front->options.clock_ns() : front->now_ns;
}

static void tell_published(struct front *front, uint64_t now_ns)
{
    struct front_turn *turn = &front->turn;
    uint64_t at_once = turn->published > turn->waited ? turn->published - turn->waited : 0;
    if (at_once)
        histogram_add(&front->stats.receive, elapsed_ns(front->now_ns, now_ns), at_once);
    stat_add(&front->stats.received, (int64_t)turn->published);
    stat_add(&front->stats.received_confirm, (int64_t)turn->confirms);
    for (unsigned r = 0; r < front->options.routers; r++) {
        if (turn->to[r])
            link_stamp(&front->router[r], now_ns, turn->to[r]);
        turn->to[r] = 0;
    }
    turn->published = turn->confirms = 0;
}

void measure_turn(struct front *front)
{
    struct ring_stamp stamp;
    uint64_t now_ns = 0;
    measure_run_end(front);
    if (front->turn.published)
        tell_published(front, now_ns = now(front));
    front->turn.waited = 0;
    if (!front->turn.events)
        return;
    front->turn.events = false;
    for (unsigned r = 0; r < front->options.routers; r++)
        if (ring_stamped(front->options.from_router[r], &stamp)) {
            now_ns = now_ns ? now_ns : now(front);
            histogram_add(&front->stats.deliver, elapsed_ns(stamp.ns, now_ns), stamp.count);
        }
}

const struct front_stats *front_stats(const struct front *front)
{
    return &front->stats;
}

struct front_tls_counters front_tls_counters(struct front *front)
{
    return (struct front_tls_counters){&front->stats.tls_handshakes, &front->stats.tls_resumed,
                                       &front->stats.tls_failed};
}
