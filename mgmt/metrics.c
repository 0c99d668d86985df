/* The broker as a whole, for Prometheus: all its counters by their own names, and those that RabbitMQ has by
 * its. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "exposition.h"
#include "handlers.h"
#include "metrics.h"
#include "process.h"

static const struct metric {
    const char *name, *type, *counter, *help;
} metrics[] = {
#define METRIC(name, type, counter, help) {name, type, counter, help},
#define PROCESS(name, value, help)
#define HISTOGRAM(name, label, counter, first, last, scale, help)
#include "metrics.def"
#undef METRIC
#undef HISTOGRAM
};

static const struct distribution {
    const char *name, *label, *counter, *help;
    unsigned first, last;
    double scale;
} distributions[] = {
#define METRIC(name, type, counter, help)
#define HISTOGRAM(name, label, counter, first, last, scale, help)                                            \
    {name, label, counter, help, first, last, scale},
#include "metrics.def"
#undef METRIC
#undef PROCESS
#undef HISTOGRAM
};

/* Who watches sees restarts by it. */
static void put_start(const struct shm *shm, FILE *out)
{
    exposition_head(out, "gannet_start_time_seconds", "gauge", "When the broker started, since 1970");
    fprintf(out, "gannet_start_time_seconds %.3f\n", (double)shm->head->started_ms / 1000);
}

static void put_process(const struct call *call, const struct shm *shm, FILE *out)
{
    pid_t pid = (pid_t)shm->head->pid;
    const char *directory = call->mgmtd->data_dir;
#define METRIC(name, type, counter, help)
#define PROCESS(name, value, help) exposition_value(out, name, "gauge", help, value);
#define HISTOGRAM(name, label, counter, first, last, scale, help)
#include "metrics.def"
#undef METRIC
#undef PROCESS
#undef HISTOGRAM
}

/* rabbitmq_queue_messages, but not rabbitmq_queues */
static bool is_sum(const char *name)
{
    static const char queue[] = "rabbitmq_queue_";
    return strncmp(name, queue, sizeof queue - 1) == 0;
}

static void put_rabbitmq(const struct shm *shm, bool sums, FILE *out)
{
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const struct metric *m = &metrics[i];
        const struct shm_row *row = shm_find(shm, m->counter);
        if (row && (sums || !is_sum(m->name)))
            exposition_value(out, m->name, m->type, m->help, shm_read(shm, row));
    }
    if (sums)
        exposition_value(out, "rabbitmq_queue_messages_ready", "gauge",
                         "Messages ready to be delivered to consumers", counters_ready(shm));
}

static void put_distributions(const struct shm *shm, FILE *out)
{
    const char *before = "";
    for (size_t i = 0; i < sizeof distributions / sizeof *distributions; i++) {
        const struct distribution *d = &distributions[i];
        struct histogram h;
        counters_histogram(shm, d->counter, &h);
        if (strcmp(before, d->name) != 0)
            exposition_head(out, d->name, "histogram", d->help);
        exposition_histogram(out, d->name, d->label, &h, d->first, d->last, d->scale);
        before = d->name;
    }
}

/* One for each agent, so that a core that has more to do than the others is seen. */
static void put_own(const struct shm *shm, const struct shm_row *row, FILE *out)
{
    char name[96], help[200];
    bool grows = row->kind == SHM_TOTAL;
    int dot = (int)strcspn(row->name, ".");
    snprintf(name, sizeof name, "gannet_%.*s_%s%s", dot, row->name, row->name[dot] ? row->name + dot + 1 : "",
             grows ? "_total" : "");
    snprintf(help, sizeof help, "%s: %s", row->unit, row->help);
    exposition_head(out, name, grows ? "counter" : "gauge", help);
    for (uint32_t i = 0; i < row->count; i++)
        fprintf(out, "%s{%.*s=\"%u\"} %llu\n", name, dot, row->name, i,
                (unsigned long long)shm_one(shm, row, i));
}

void metrics_write(const struct call *call, const struct shm *shm, bool sums, FILE *out)
{
    exposition_identity(out, call->mgmtd->node, sums ? "aggregated" : "per-object");
    put_start(shm, out);
    put_process(call, shm, out);
    put_rabbitmq(shm, sums, out);
    put_distributions(shm, out);
    for (uint32_t i = 0; i < shm->head->rows; i++)
        if (shm->row[i].kind != SHM_HISTOGRAM && shm->row[i].count)
            put_own(shm, &shm->row[i], out);
}

void answer_metrics(const struct call *call, struct reply *reply)
{
    struct shm shm;
    char *text = NULL;
    size_t size = 0;
    if (!counters_open(call, reply, &shm))
        return;
    FILE *out = open_memstream(&text, &size);
    if (out)
        metrics_write(call, &shm, true, out);
    shm_close(&shm);
    if (out && fclose(out) == 0)
        *reply = (struct reply){.status = 200, .text = text, .type = EXPOSITION_TYPE};
    else
        reply_error(reply, 503, "no memory");
}
