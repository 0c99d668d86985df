#include "status.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/shm.h"
#include "base/stats.h"
#include "broker.h"

enum stat_agent { STAT_front, STAT_router };

static const struct stat_row {
    enum stat_agent agent;
    enum shm_kind kind;
    size_t offset;
    const char *name, *unit, *help;
} rows[] = {
#define STAT(agent, field, unit, kind, help)                                                                 \
    {STAT_##agent, SHM_##kind, offsetof(struct agent##_stats, field), #agent "." #field, unit, help},
#include "stats.def"
#undef STAT
};

/* Written by the agent's thread, read here. */
static uint64_t read_stat(const struct stat_row *row, const struct broker *broker, unsigned i)
{
    const void *stats = row->agent == STAT_front ? (const void *)front_stats(broker->front[i])
                                                 : (const void *)router_stats(broker->router[i]);
    return stat_read((const uint64_t *)(const void *)((const char *)stats + row->offset));
}

static unsigned agents(const struct stat_row *row, const struct broker *broker)
{
    return row->agent == STAT_front ? broker->fronts : broker->routers;
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

void status_tell(struct shm *shm, const struct broker *broker, uint64_t now_ms)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned a = 0; a < agents(&rows[i], broker); a++)
            shm_set(shm, i, a, read_stat(&rows[i], broker, a));
    shm_written(shm, now_ms);
}

/* ---- for the control socket ------------------------------------------------------------------------ */

void status_write(const struct broker *broker, FILE *out)
{
    fputs("ok\nname\tvalue#\tunit\tmeaning\n", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(out, "%s\t%llu\t%s\t%s\n", rows[i].name, (unsigned long long)over_all(&rows[i], broker),
                rows[i].unit, rows[i].help);
}
