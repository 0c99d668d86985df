#include <string.h>
#include <time.h>

#include "dataplane/base/shm.h"
#include "top.h"

enum { STALE_MS = 5000 }; /* a broker counts each second */

static const struct top_count known[] = {
    {"published", "router.published", TOP_TOTAL},
    {"delivered", "router.delivered", TOP_TOTAL},
    {"acknowledged", "router.acknowledged", TOP_TOTAL},
    {"returned", "router.returned", TOP_TOTAL},
    {"waited", "front.parked", TOP_TOTAL},
    {"in", "front.bytes_in", TOP_TOTAL_BYTES},
    {"out", "front.bytes_out", TOP_TOTAL_BYTES},
    {"accepted", "front.accepted", TOP_TOTAL},
    {"logins", "front.logins", TOP_TOTAL},
    {"refused", "front.refused", TOP_TOTAL},
    {"connections", "front.connections", TOP_NOW},
    {"queues", "router.queues", TOP_NOW},
    {"consumers", "router.consumers", TOP_NOW},
    {"messages", "router.messages", TOP_NOW},
    {"in memory", "router.page_bytes", TOP_NOW_BYTES},
    {"on disk", "router.log_bytes", TOP_NOW_BYTES},
    {"drained", "front.drained", TOP_STATE},
    {"failed", "router.failed", TOP_STATE},
    {"short of memory", "router.alarm_memory", TOP_STATE},
    {"short of disk", "router.alarm_disk", TOP_STATE},
};
static_assert(sizeof known / sizeof *known <= TOP_COUNTS, "room for them");

void top_counts_init(struct top_counts *counts)
{
    *counts = (struct top_counts){.counts = sizeof known / sizeof *known};
    memcpy(counts->count, known, sizeof known);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Since when they were read last; a broker that has been started again begins anew. */
static void take(struct top_counts *counts, const struct shm *shm, uint64_t written_ms)
{
    bool same = counts->started_ms == shm->head->started_ms && counts->written_ms;
    double seconds = same ? (double)(written_ms - counts->written_ms) / 1000 : 0;
    if (same && written_ms == counts->written_ms)
        return;
    for (unsigned i = 0; i < counts->counts; i++) {
        struct top_count *count = &counts->count[i];
        const struct shm_row *row = shm_find(shm, count->name);
        uint64_t value = row ? shm_read(shm, row) : 0;
        count->rate = seconds > 0 && value >= count->value ? (double)(value - count->value) / seconds : 0;
        count->value = value;
    }
    counts->known = seconds > 0;
    counts->started_ms = shm->head->started_ms;
    counts->written_ms = written_ms;
}

void top_counts_read(struct top_counts *counts, const char *data_dir)
{
    struct shm shm;
    char error[4600];
    counts->trouble[0] = '\0';
    if (!shm_open_in(&shm, data_dir, error, sizeof error)) {
        snprintf(counts->trouble, sizeof counts->trouble, "no broker runs here: %.200s", error);
        return;
    }
    uint64_t written = __atomic_load_n(&shm.head->written_ms, __ATOMIC_ACQUIRE);
    if (!written)
        snprintf(counts->trouble, sizeof counts->trouble, "the broker has ended");
    else if (now_ms() > written + STALE_MS)
        snprintf(counts->trouble, sizeof counts->trouble,
                 "the broker has not counted for %llu s: it was killed, or hangs",
                 (unsigned long long)((now_ms() - written) / 1000));
    else
        take(counts, &shm, written);
    shm_close(&shm);
}
