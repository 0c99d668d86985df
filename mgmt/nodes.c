/* The broker as a whole. RabbitMQ's is a cluster of nodes; this is one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "counters.h"
#include "handlers.h"
#include "listeners.h"
#include "nodes.h"
#include "process.h"

bool node_is_here(const struct call *call, struct reply *reply)
{
    if (strcmp(call->argument[0], call->mgmtd->node) == 0)
        return true;
    reply_error(reply, 404, "there is no node but %s", call->mgmtd->node);
    return false;
}

void answer_nothing(const struct call *call, struct reply *reply)
{
    (void)call;
    reply_json(reply, json_array());
}

/* ---- the node -------------------------------------------------------------------------------------------
 */

static json_t *node_of(const struct call *call, const struct shm *shm)
{
    const struct shm_head *head = shm->head;
    pid_t pid = (pid_t)head->pid;
    char text[32];
    snprintf(text, sizeof text, "%d", (int)pid);
    json_t *node = json_pack(
        "{ss,ss,sb,ss,sI,sI,ss,sI,sI,sI,sI,sI,sI,sI}", "name", call->mgmtd->node, "type", "disc", "running",
        1, "os_pid", text, "uptime", (json_int_t)(head->written_ms - head->started_ms), "processors",
        (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "rates_mode", "none", "mem_used",
        (json_int_t)process_memory(pid), "mem_limit", (json_int_t)counters_sum(shm, "router.memory_limit"),
        "fd_used", (json_int_t)process_descriptors(pid, counters_sum(shm, "front.connections")), "fd_total",
        (json_int_t)process_descriptors_most(pid), "sockets_used",
        (json_int_t)counters_sum(shm, "front.connections"), "disk_free",
        (json_int_t)disk_free_bytes(call->mgmtd->data_dir), "disk_free_limit",
        (json_int_t)counters_sum(shm, "journal.disk_free_limit"));
    /* Erlang's run queue and processes have no likeness here. */
    json_t *more = json_pack(
        "{sb,sb,sI,sI,sb,s[],s[],s[],s[],s[]}", "mem_alarm", counters_sum(shm, "router.alarm_memory") != 0,
        "disk_free_alarm", counters_sum(shm, "router.alarm_disk") != 0, "run_queue", (json_int_t)0,
        "proc_total", (json_int_t)0, "being_drained", counters_sum(shm, "front.drained") > 0,
        "enabled_plugins", "partitions", "exchange_types", "auth_mechanisms", "contexts");
    json_object_update_missing(node, more);
    json_decref(more);
    return node;
}

void list_of_nodes(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return;
    reply_json(reply, json_pack("[o]", node_of(call, &shm)));
    shm_close(&shm);
}

void get_node(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!node_is_here(call, reply) || !counters_open(call, reply, &shm))
        return;
    reply_json(reply, node_of(call, &shm));
    shm_close(&shm);
}

/* RabbitMQ says what of it is whose; here there is the process. */
void get_memory(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!node_is_here(call, reply) || !counters_open(call, reply, &shm))
        return;
    json_int_t bytes = (json_int_t)process_memory((pid_t)shm.head->pid);
    reply_json(reply, json_pack("{s{ss,s{sI,sI,sI}}}", "memory", "strategy", "rss", "total", "rss", bytes,
                                "allocated", bytes, "erlang", (json_int_t)0));
    shm_close(&shm);
}

void rebalance_queues(const struct call *call, struct reply *reply)
{
    (void)call;
    reply_done(reply, false);
}

/* ---- the overview ---------------------------------------------------------------------------------------
 */

struct total {
    const char *name, *counter;
};

/* {NAME: count of the counter, ...} */
static json_t *totals(const struct shm *shm, const struct total *total, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, total[i].name,
                            json_integer((json_int_t)counters_sum(shm, total[i].counter)));
    return object;
}

static const struct total objects[] = {{"connections", "front.connections"},
                                       {"channels", "front.channels"},
                                       {"queues", "router.queues"},
                                       {"exchanges", "router.exchanges"},
                                       {"consumers", "router.consumers"}};
static const struct total churn[] = {
    {"connection_created", "front.accepted"},     {"connection_closed", "front.closed"},
    {"channel_created", "front.channels_opened"}, {"channel_closed", "front.channels_closed"},
    {"queue_declared", "front.queues_declared"},  {"queue_created", "router.queues_created"},
    {"queue_deleted", "router.queues_deleted"}};
static const struct total messages[] = {{"publish", "front.received"},
                                        {"confirm", "front.confirmed"},
                                        {"return_unroutable", "router.returned"},
                                        {"drop_unroutable", "router.dropped"},
                                        {"deliver", "router.delivered_manual"},
                                        {"deliver_no_ack", "router.delivered_auto"},
                                        {"get", "router.got_manual"},
                                        {"get_no_ack", "router.got_auto"},
                                        {"get_empty", "router.got_empty"},
                                        {"deliver_get", "router.delivered"},
                                        {"redeliver", "router.redelivered"},
                                        {"ack", "router.acknowledged"}};
#define TOTALS(shm, table) totals(shm, table, sizeof(table) / sizeof *(table))

/* Takes listeners and name over. */
static json_t *overview(const struct call *call, const struct shm *shm, json_t *listeners, json_t *name)
{
    const char *node = call->mgmtd->node;
    json_t *answer = json_pack("{ss,ss,ss,ss,so,ss,ss,ss,ss,sI}", "management_version", RABBITMQ_VERSION,
                               "rabbitmq_version", RABBITMQ_VERSION, "product_name", "Gannet",
                               "product_version", GANNET_VERSION, "cluster_name", name, "node", node,
                               "rates_mode", "none", "erlang_version", "none", "erlang_full_version",
                               "none: it is written in C", "statistics_db_event_queue", (json_int_t)0);
    json_t *more = json_pack("{so,so,so,so,s{sI,sI,sI,s{sf}},s[],s[]}", "listeners", listeners,
                             "object_totals", TOTALS(shm, objects), "message_stats", TOTALS(shm, messages),
                             "churn_rates", TOTALS(shm, churn), "queue_totals", "messages",
                             (json_int_t)counters_sum(shm, "router.messages"), "messages_ready",
                             (json_int_t)counters_ready(shm), "messages_unacknowledged",
                             (json_int_t)counters_sum(shm, "router.unacked"), "messages_details", "rate", 0.0,
                             "exchange_types", "contexts");
    json_object_update_missing(answer, more);
    json_decref(more);
    return answer;
}

void answer_overview(const struct call *call, struct reply *reply)
{
    struct shm shm;
    json_t *listeners = listeners_json(call, reply), *name = listeners ? cluster_name(call, reply) : NULL;
    if (!name || !counters_open(call, reply, &shm)) {
        json_decref(listeners);
        json_decref(name);
        return;
    }
    reply_json(reply, overview(call, &shm, listeners, name));
    shm_close(&shm);
}
