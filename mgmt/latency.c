/* How long messages take at each stage, over all agents, as histograms whose buckets count up. */
#include <stdio.h>

#include "counters.h"
#include "handlers.h"

/* Bounds below and above are of no use to anybody: 256 ns to 17 s. */
enum { FIRST_BOUND = 8, LAST_BOUND = 34 };

static const struct stage {
    const char *name, *counter;
} stages[] = {{"receive", "front.receive"},
              {"route", "router.route"},
              {"journal", "journal.safe"},
              {"deliver", "front.deliver"}};

static json_t *buckets_of(const struct histogram *h)
{
    json_t *buckets = json_array();
    uint64_t count = 0;
    for (unsigned i = 0; i <= LAST_BOUND; i++) {
        count += h->bucket[i];
        if (i >= FIRST_BOUND)
            json_array_append_new(buckets, json_pack("{sI,sI}", "le", (json_int_t)histogram_bound(i), "count",
                                                     (json_int_t)count));
    }
    json_array_append_new(buckets, json_pack("{sn,sI}", "le", "count", (json_int_t)histogram_count(h)));
    return buckets;
}

static json_t *stage_of(const struct shm *shm, const struct stage *stage)
{
    struct histogram h;
    counters_histogram(shm, stage->counter, &h);
    return json_pack("{ss,ss,sI,sI,so}", "stage", stage->name, "unit", "ns", "count",
                     (json_int_t)histogram_count(&h), "sum", (json_int_t)h.sum, "buckets", buckets_of(&h));
}

void answer_latency(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return;
    json_t *all = json_array();
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        json_array_append_new(all, stage_of(&shm, &stages[i]));
    shm_close(&shm);
    reply_json(reply, json_pack("{so}", "stages", all));
}
