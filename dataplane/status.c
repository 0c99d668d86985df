#include "status.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/ring.h"
#include "base/shm.h"
#include "base/stats.h"
#include "broker.h"
#include "tcp/tcp.h"

/* Our own TCP is no agent, but counts: one for each front. */
enum {
    AGENT_front = AGENT_FRONT,
    AGENT_router = AGENT_ROUTER,
    AGENT_journal = AGENT_JOURNAL,
    AGENT_tcp = AGENT_LOGIN + 1
};

static const struct stat_row {
    unsigned agent; /* enum agent_kind, AGENT_tcp */
    enum shm_kind kind;
    bool ring;          /* what waits in one */
    enum agent_kind to; /* of a ring */
    size_t offset;
    const char *name, *unit, *help;
} rows[] = {
#define STAT(agent, field, unit, kind, help)                                                                 \
    {AGENT_##agent,     SHM_##kind, false, AGENT_FRONT, offsetof(struct agent##_stats, field),               \
     #agent "." #field, unit,       help},
#define RING(agent, name, to, help)                                                                          \
    {AGENT_##agent, SHM_WORST, true, AGENT_##to, 0, #agent ".ring_" #name, "entries", help},
#include "stats.def"
#undef STAT
#undef RING
};

static const void *stats_of(const struct stat_row *row, const struct broker *broker, unsigned i)
{
    const void *stats = row->agent == AGENT_FRONT    ? (const void *)front_stats(broker->front[i])
                        : row->agent == AGENT_ROUTER ? (const void *)router_stats(broker->router[i])
                        : row->agent == AGENT_tcp    ? (const void *)broker->tcp[i]
                                                     : (const void *)journal_stats(broker->journal[i]);
    return (const char *)stats + row->offset;
}

static uint64_t fullest(const struct stat_row *row, const struct broker *broker, unsigned i)
{
    uint64_t most = 0;
    for (unsigned n = 0; n < broker->ring_count; n++) {
        const struct broker_ring *ring = &broker->rings[n];
        if (ring->from.kind != row->agent || ring->from.index != i || ring->to.kind != row->to)
            continue;
        uint64_t waiting = ring_waiting(ring->ring);
        most = waiting > most ? waiting : most;
    }
    return most;
}

/* Written by the agent's thread, read here. A histogram's is how many values it has. */
static uint64_t read_stat(const struct stat_row *row, const struct broker *broker, unsigned i)
{
    if (row->ring)
        return fullest(row, broker, i);
    if (row->kind == SHM_HISTOGRAM)
        return histogram_count(stats_of(row, broker, i));
    return stat_read(stats_of(row, broker, i));
}

static unsigned agents(const struct stat_row *row, const struct broker *broker)
{
    if (row->agent == AGENT_tcp)
        return broker->tcp[0] ? broker->fronts : 0;
    return row->agent == AGENT_FRONT ? broker->fronts : broker->routers;
}

static uint64_t over_all(const struct stat_row *row, const struct broker *broker)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < agents(row, broker); i++) {
        uint64_t one = read_stat(row, broker, i);
        if (row->kind != SHM_WORST)
            value += one;
        else if (one > value)
            value = one;
    }
    return value;
}

uint64_t status_value(const struct broker *broker, const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return over_all(&rows[i], broker);
    UNREACHABLE();
}

/* ---- for other processes --------------------------------------------------------------------------- */

bool status_share(struct shm *shm, const struct broker *broker, const char *directory, uint64_t now_ms,
                  char *error, size_t error_size)
{
    struct shm_row shared[sizeof rows / sizeof *rows] = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct shm_row *row = &shared[i];
        row->kind = rows[i].kind;
        row->count = agents(&rows[i], broker);
        snprintf(row->name, sizeof row->name, "%s", rows[i].name);
        snprintf(row->unit, sizeof row->unit, "%s", rows[i].unit);
        snprintf(row->help, sizeof row->help, "%s", rows[i].help);
    }
    return shm_make(shm, directory, shared, sizeof rows / sizeof *rows, now_ms, error, error_size);
}

static void tell(struct shm *shm, const struct broker *broker, uint32_t row, unsigned agent)
{
    if (rows[row].kind == SHM_HISTOGRAM)
        shm_set_histogram(shm, row, agent, stats_of(&rows[row], broker, agent));
    else
        shm_set(shm, row, agent, read_stat(&rows[row], broker, agent));
}

void status_tell(struct shm *shm, const struct broker *broker, uint64_t now_ms)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned a = 0; a < agents(&rows[i], broker); a++)
            tell(shm, broker, i, a);
    shm_written(shm, now_ms);
}

/* ---- for the control socket ------------------------------------------------------------------------ */

void status_write(const struct broker *broker, FILE *out)
{
    fputs("ok\nname\tvalue#\tunit\tmeaning\n", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(out, "%s\t%llu\t%s\t%s\n", rows[i].name, (unsigned long long)over_all(&rows[i], broker),
                rows[i].kind == SHM_HISTOGRAM ? "values" : rows[i].unit, rows[i].help);
}

void status_write_alarms(const struct broker *broker, FILE *out)
{
    fputs("ok\nrouter#\tresource\n", out);
    for (unsigned i = 0; i < broker->routers; i++) {
        const struct router_stats *stats = router_stats(broker->router[i]);
        if (stat_read(&stats->failed))
            fprintf(out, "%u\tjournal\n", i);
        if (stat_read(&stats->alarm_memory))
            fprintf(out, "%u\tmemory\n", i);
        if (stat_read(&stats->alarm_disk))
            fprintf(out, "%u\tdisk\n", i);
    }
}
