#include "live.h"
#include "clock.h"

static void print_latency(struct live *l, const char *what, struct histogram *now, struct histogram *before)
{
    static const double percents[] = {50, 75, 95, 99};
    histogram_difference(&l->second, now, before);
    *before = *now;
    if (!histogram_count(&l->second))
        return;
    fprintf(l->to, ", min/median/75th/95th/99th %s latency: %llu", what,
            (unsigned long long)(histogram_min(&l->second) / NS_PER_US));
    for (int i = 0; i < 4; i++)
        fprintf(l->to, "/%llu",
                (unsigned long long)(histogram_percentile(&l->second, percents[i]) / NS_PER_US));
    fprintf(l->to, " µs");
}

void live_line(struct live *l, uint64_t now_ns, const struct tally *now)
{
    double seconds = (double)(now_ns - l->printed_ns) / 1e9;
    struct tally t = *now;
    tally_subtract(&t, &l->before);
    fprintf(l->to, "id: %s, time %.3f s", l->o->id, (double)(now_ns - l->started_ns) / 1e9);
    if (l->o->producers)
        fprintf(l->to, ", sent: %.0f msg/s", (double)(t.sent + t.resent) / seconds);
    if (l->o->mandatory)
        fprintf(l->to, ", returned: %.0f msg/s", (double)t.returned / seconds);
    if (l->o->confirms)
        fprintf(l->to, ", confirmed: %.0f msg/s, nacked: %.0f msg/s", (double)t.confirmed / seconds,
                (double)t.nacked / seconds);
    if (l->o->consumers) {
        fprintf(l->to, ", received: %.0f msg/s", (double)t.received / seconds);
        print_latency(l, "consumer", &l->latency, &l->latency_before);
    }
    if (l->o->confirms)
        print_latency(l, "confirm", &l->confirm, &l->confirm_before);
    fprintf(l->to, "\n");
    fflush(l->to);
    l->before = *now;
    l->printed_ns = now_ns;
}
