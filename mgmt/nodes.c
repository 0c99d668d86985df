/* The broker as a whole. RabbitMQ's is a cluster of nodes; this is one. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "counters.h"
#include "handlers.h"
#include "listeners.h"

bool node_is_here(const struct call *call, struct reply *reply)
{
    if (strcmp(call->argument[0], call->mgmtd->node) == 0)
        return true;
    reply_error(reply, 404, "there is no node but %s", call->mgmtd->node);
    return false;
}

void answer_cluster_name(const struct call *call, struct reply *reply)
{
    reply_json(reply, json_pack("{ss}", "name", call->mgmtd->node));
}

void answer_nothing(const struct call *call, struct reply *reply)
{
    (void)call;
    reply_json(reply, json_array());
}

/* ---- /proc ----------------------------------------------------------------------------------------------
 */

/* The first number behind a word in a file of the broker's; 0: it can't be read, or isn't there. */
static json_int_t number_behind(pid_t pid, const char *file, const char *word)
{
    char path[64], line[256];
    long long number = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in))
        if (strncmp(line, word, strlen(word)) == 0) {
            sscanf(line + strlen(word), " %lld", &number);
            break;
        }
    if (in)
        fclose(in);
    return number;
}

static json_int_t disk_free(const char *directory)
{
    struct statvfs disk;
    return statvfs(directory, &disk) == 0 ? (json_int_t)(disk.f_bavail * disk.f_frsize) : 0;
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
        "{ss,ss,sb,ss,sI,sI,ss,sI,sI,sI,sI,sI}", "name", call->mgmtd->node, "type", "disc", "running", 1,
        "os_pid", text, "uptime", (json_int_t)(head->written_ms - head->started_ms), "processors",
        (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "rates_mode", "none", "mem_used",
        number_behind(pid, "status", "VmRSS:") * 1024, "mem_limit",
        (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "fd_total",
        number_behind(pid, "limits", "Max open files"), "sockets_used",
        (json_int_t)counters_sum(shm, "front.connections"), "disk_free", disk_free(call->mgmtd->data_dir));
    /* Erlang's run queue and processes have no likeness here. */
    json_t *more =
        json_pack("{sb,sb,sI,sI,sI,sb,s[],s[],s[],s[],s[]}", "mem_alarm", 0, "disk_free_alarm", 0,
                  "disk_free_limit", (json_int_t)0, "run_queue", (json_int_t)0, "proc_total", (json_int_t)0,
                  "being_drained", counters_sum(shm, "front.drained") > 0, "enabled_plugins", "partitions",
                  "exchange_types", "auth_mechanisms", "contexts");
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
        json_object_set_new(
            object, total[i].name,
            json_integer(total[i].counter ? (json_int_t)counters_sum(shm, total[i].counter) : 0));
    return object;
}

/* NULL: what the broker doesn't count, and tools can't read an overview without. */
static const struct total objects[] = {{"connections", "front.connections"},
                                       {"channels", NULL},
                                       {"queues", "router.queues"},
                                       {"exchanges", NULL},
                                       {"consumers", "router.consumers"}};
static const struct total churn[] = {{"connection_created", "front.accepted"},
                                     {"channel_created", NULL},
                                     {"channel_closed", NULL},
                                     {"queue_declared", NULL},
                                     {"queue_created", NULL},
                                     {"queue_deleted", NULL}};
static const struct total messages[] = {{"publish", "router.published"},
                                        {"deliver_get", "router.delivered"},
                                        {"ack", "router.acknowledged"},
                                        {"return_unroutable", "router.returned"}};
#define TOTALS(shm, table) totals(shm, table, sizeof(table) / sizeof *(table))

static json_t *churn_of(const struct shm *shm)
{
    json_t *object = TOTALS(shm, churn);
    uint64_t made = counters_sum(shm, "front.accepted"), open = counters_sum(shm, "front.connections");
    json_object_set_new(object, "connection_closed",
                        json_integer((json_int_t)(made > open ? made - open : 0)));
    return object;
}

/* Takes the listeners over. */
static json_t *overview(const struct call *call, const struct shm *shm, json_t *listeners)
{
    const char *node = call->mgmtd->node;
    json_t *answer = json_pack("{ss,ss,ss,ss,ss,ss,ss,ss,ss,sI}", "management_version", RABBITMQ_VERSION,
                               "rabbitmq_version", RABBITMQ_VERSION, "product_name", "Gannet",
                               "product_version", GANNET_VERSION, "cluster_name", node, "node", node,
                               "rates_mode", "none", "erlang_version", "none", "erlang_full_version",
                               "none: it is written in C", "statistics_db_event_queue", (json_int_t)0);
    json_t *more =
        json_pack("{so,so,so,so,s{sI,s{sf}},s[],s[]}", "listeners", listeners, "object_totals",
                  TOTALS(shm, objects), "message_stats", TOTALS(shm, messages), "churn_rates", churn_of(shm),
                  "queue_totals", "messages", (json_int_t)counters_sum(shm, "router.messages"),
                  "messages_details", "rate", 0.0, "exchange_types", "contexts");
    json_object_update_missing(answer, more);
    json_decref(more);
    return answer;
}

void answer_overview(const struct call *call, struct reply *reply)
{
    struct shm shm;
    json_t *listeners = listeners_json(call, reply);
    if (!listeners)
        return;
    if (!counters_open(call, reply, &shm)) {
        json_decref(listeners);
        return;
    }
    reply_json(reply, overview(call, &shm, listeners));
    shm_close(&shm);
}
