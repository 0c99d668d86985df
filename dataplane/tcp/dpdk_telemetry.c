#include "tcp/dpdk_telemetry.h"

#include <assert.h>
#include <errno.h>
#include <rte_spinlock.h>
#include <rte_telemetry.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"

enum { COMMANDS_MAX = 8, COUNTERS_MAX = 128 };

static_assert(COUNTERS_MAX <= RTE_TEL_MAX_DICT_ENTRIES, "an answer is one dictionary");

struct telemetry_answer {
    unsigned count;
    struct {
        const char *name;
        uint64_t value;
    } row[COUNTERS_MAX];
};

static struct command {
    const char *name;
    unsigned count;
    telemetry_fill *fill;
    void *owner;
} commands[COMMANDS_MAX];

static unsigned command_count;
/* Held while a command is answered: short, and never by a thread that polls. */
static rte_spinlock_t lock = RTE_SPINLOCK_INITIALIZER;

void telemetry_put(struct telemetry_answer *answer, const char *name, uint64_t value)
{
    for (unsigned i = 0; i < answer->count; i++)
        if (strcmp(answer->row[i].name, name) == 0) {
            answer->row[i].value += value;
            return;
        }
    CHECK(answer->count < COUNTERS_MAX);
    answer->row[answer->count].name = name;
    answer->row[answer->count++].value = value;
}

/* "1" → that one; nothing → all. Returns false for what there isn't. */
static bool fill(const struct command *command, const char *which, struct telemetry_answer *answer)
{
    char *rest;
    if (!which || !*which) {
        for (unsigned i = 0; i < command->count; i++)
            command->fill(command->owner, i, answer);
        return true;
    }
    unsigned long index = strtoul(which, &rest, 10);
    if (*rest || index >= command->count)
        return false;
    command->fill(command->owner, (unsigned)index, answer);
    return true;
}

static int answer_command(const char *name, const char *which, struct rte_tel_data *data)
{
    struct telemetry_answer answer = {0};
    bool known = false;
    rte_spinlock_lock(&lock);
    for (unsigned i = 0; i < command_count && !known; i++)
        known = strcmp(commands[i].name, name) == 0 && fill(&commands[i], which, &answer);
    rte_spinlock_unlock(&lock);
    if (!known)
        return -EINVAL;
    rte_tel_data_start_dict(data);
    for (unsigned i = 0; i < answer.count; i++)
        rte_tel_data_add_dict_u64(data, answer.row[i].name, answer.row[i].value);
    return 0;
}

void telemetry_add(const char *command, const char *help, unsigned count, telemetry_fill *fill_it,
                   void *owner)
{
    CHECK(command_count < COMMANDS_MAX);
    rte_spinlock_lock(&lock);
    commands[command_count++] = (struct command){command, count, fill_it, owner};
    rte_spinlock_unlock(&lock);
    if (rte_telemetry_register_cmd(command, answer_command, help) != 0)
        log_line(LOG_WARNING, "dpdk", "telemetry has no %s: it is not registered", command);
}

void telemetry_stop(void)
{
    rte_spinlock_lock(&lock);
    command_count = 0;
    rte_spinlock_unlock(&lock);
}
