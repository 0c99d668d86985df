/* The exposition format of Prometheus, version 0.0.4. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "handlers.h"

static const struct metric {
    const char *name, *type, *counter, *help;
} metrics[] = {
#define METRIC(name, type, counter, help) {name, type, counter, help},
#include "metrics.def"
#undef METRIC
};

/* RabbitMQ's dashboards join every panel on these two. */
static void put_identity(const struct call *call, FILE *out)
{
    const char *node = call->mgmtd->node;
    fprintf(
        out,
        "# HELP rabbitmq_identity_info Node & cluster identity info\n# TYPE rabbitmq_identity_info untyped\n"
        "rabbitmq_identity_info{rabbitmq_node=\"%s\",rabbitmq_cluster=\"%s\",rabbitmq_endpoint="
        "\"aggregated\"} 1\n",
        node, node);
    fprintf(out, "# HELP rabbitmq_build_info Version of the broker\n# TYPE rabbitmq_build_info untyped\n"
                 "rabbitmq_build_info{rabbitmq_version=\"" GANNET_VERSION "\",product_name=\"Gannet\","
                 "product_version=\"" GANNET_VERSION "\"} 1\n");
}

/* Who watches sees restarts by it. */
static void put_start(const struct shm *shm, FILE *out)
{
    fprintf(out,
            "# HELP gannet_start_time_seconds When the broker started, since 1970\n"
            "# TYPE gannet_start_time_seconds gauge\ngannet_start_time_seconds %.3f\n",
            (double)shm->head->started_ms / 1000);
}

static void put_rabbitmq(const struct shm *shm, FILE *out)
{
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const struct metric *m = &metrics[i];
        const struct shm_row *row = shm_find(shm, m->counter);
        if (row)
            fprintf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", m->name, m->help, m->name, m->type, m->name,
                    (unsigned long long)shm_read(shm, row));
    }
}

/* One for each agent, so that a core that has more to do than the others is seen. */
static void put_own(const struct shm *shm, const struct shm_row *row, FILE *out)
{
    char name[96];
    bool grows = row->kind == SHM_TOTAL;
    int dot = (int)strcspn(row->name, ".");
    snprintf(name, sizeof name, "gannet_%.*s_%s%s", dot, row->name, row->name[dot] ? row->name + dot + 1 : "",
             grows ? "_total" : "");
    fprintf(out, "# HELP %s %s: %s\n# TYPE %s %s\n", name, row->unit, row->help, name,
            grows ? "counter" : "gauge");
    for (uint32_t i = 0; i < row->count; i++)
        fprintf(out, "%s{%.*s=\"%u\"} %llu\n", name, dot, row->name, i,
                (unsigned long long)shm_one(shm, row, i));
}

void answer_metrics(const struct call *call, struct reply *reply)
{
    struct shm shm;
    char *text = NULL;
    size_t size = 0;
    if (!counters_open(call, reply, &shm))
        return;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        put_identity(call, out);
        put_start(&shm, out);
        put_rabbitmq(&shm, out);
        for (uint32_t i = 0; i < shm.head->rows; i++)
            put_own(&shm, &shm.row[i], out);
    }
    shm_close(&shm);
    if (out && fclose(out) == 0)
        *reply =
            (struct reply){.status = 200, .text = text, .type = "text/plain; version=0.0.4; charset=utf-8"};
    else
        reply_error(reply, 503, "no memory");
}
