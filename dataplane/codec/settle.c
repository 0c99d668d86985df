#include "codec/settle.h"

void settle_flush(struct settle_run *run, struct host *host)
{
    if (!run->count)
        return;
    host_settle(host, run->router, run->queue, run->seq, run->count, run->how, run->consumer);
    run->count = 0;
}

static bool continues(const struct settle_run *run, unsigned router, uint64_t queue, uint64_t seq,
                      enum settle how, uint64_t consumer)
{
    return run->count && seq == run->seq + run->count && queue == run->queue && consumer == run->consumer &&
           how == run->how && router == run->router && run->count < UINT32_MAX;
}

void settle_add(struct settle_run *run, struct host *host, unsigned router, uint64_t queue, uint64_t seq,
                enum settle how, uint64_t consumer)
{
    if (continues(run, router, queue, seq, how, consumer)) {
        run->count++;
        return;
    }
    settle_flush(run, host);
    *run = (struct settle_run){1, router, how, queue, seq, consumer};
}
