#include "counters.h"

#include <time.h>

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool counters_open(const struct call *call, struct reply *reply, struct shm *shm)
{
    char error[4600];
    if (!shm_open_in(shm, call->mgmtd->data_dir, error, sizeof error)) {
        reply_error(reply, 503, "no broker runs here: %s", error);
        return false;
    }
    uint64_t now = now_ms(), written = __atomic_load_n(&shm->head->written_ms, __ATOMIC_ACQUIRE);
    if (now < written + COUNTERS_STALE_MS)
        return true;
    unsigned long long pid = shm->head->pid, silent_s = (now - written) / 1000;
    if (!written)
        reply_error(reply, 503, "the broker (process %llu) has ended", pid);
    else
        reply_error(reply, 503,
                    "the broker (process %llu) has not counted for %llu s: it was killed, or hangs", pid,
                    silent_s);
    shm_close(shm);
    return false;
}

uint64_t counters_sum(const struct shm *shm, const char *name)
{
    const struct shm_row *row = shm_find(shm, name);
    return row ? shm_read(shm, row) : 0;
}

void counters_histogram(const struct shm *shm, const char *name, struct histogram *sum)
{
    const struct shm_row *row = shm_find(shm, name);
    *sum = (struct histogram){0};
    if (row && row->kind == SHM_HISTOGRAM)
        shm_read_histogram(shm, row, sum);
}

uint64_t counters_ready(const struct shm *shm)
{
    uint64_t all = counters_sum(shm, "router.messages"), out = counters_sum(shm, "router.unacked");
    return all > out ? all - out : 0;
}
