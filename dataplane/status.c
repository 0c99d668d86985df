#include "status.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/stats.h"
#include "broker.h"

enum stat_agent { STAT_front, STAT_router };
enum stat_kind { TOTAL, NOW, WORST };

static const struct stat_row {
    enum stat_agent agent;
    enum stat_kind kind;
    size_t offset;
    const char *name, *unit, *help;
} rows[] = {
#define STAT(agent, field, unit, kind, help)                                                                 \
    {STAT_##agent, kind, offsetof(struct agent##_stats, field), #agent "." #field, unit, help},
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

static uint64_t over_all(const struct stat_row *row, const struct broker *broker)
{
    uint64_t value = 0;
    unsigned n = row->agent == STAT_front ? broker->fronts : broker->routers;
    for (unsigned i = 0; i < n; i++) {
        uint64_t one = read_stat(row, broker, i);
        if (row->kind != WORST)
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

void status_write(const struct broker *broker, FILE *out)
{
    fputs("ok\nname\tvalue#\tunit\tmeaning\n", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(out, "%s\t%llu\t%s\t%s\n", rows[i].name, (unsigned long long)over_all(&rows[i], broker),
                rows[i].unit, rows[i].help);
}
