/* gannetctl's verbs that show a whole broker: status and report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol.h"
#include "verb.h"

/* What the broker has answered. */
struct state {
    struct table version, counters, listeners, vhosts;
};

static void state_free(struct state *state)
{
    table_free(&state->version);
    table_free(&state->counters);
    table_free(&state->listeners);
    table_free(&state->vhosts);
}

static bool state_read(struct state *state, const struct line *line)
{
    *state = (struct state){0};
    if (ask_broker(line, "version", &state->version) && ask_broker(line, "status", &state->counters) &&
        ask_broker(line, "listeners", &state->listeners) && ask_broker(line, "list_vhosts", &state->vhosts))
        return true;
    state_free(state);
    return false;
}

static long long counter(const struct state *state, const char *name)
{
    for (size_t row = 1; row < state->counters.rows; row++)
        if (strcmp(table_cell(&state->counters, row, "name"), name) == 0)
            return strtoll(table_cell(&state->counters, row, "value"), NULL, 10);
    return 0;
}

static long long number(const struct state *state, const char *name)
{
    return strtoll(table_cell(&state->version, 1, name), NULL, 10);
}

static const char *where(const struct line *line)
{
    return line->flag[FLAG_SOCKET] ? line->flag[FLAG_SOCKET] : line->flag[FLAG_DATA];
}

/* ---- rabbitmqctl's forms ------------------------------------------------------------------------------ */

/* "127.0.0.1", or "[::1]" */
static const char *in_brackets(const char *address, char text[128])
{
    snprintf(text, 128, strchr(address, ':') ? "[%s]" : "%s", address);
    return text;
}

static json_t *listeners_of(const struct state *state)
{
    json_t *list = json_array();
    for (size_t row = 1; row < state->listeners.rows; row++) {
        char text[128];
        json_array_append_new(
            list, json_pack("{ss,sI,ss}", "interface",
                            in_brackets(table_cell(&state->listeners, row, "address"), text), "port",
                            (json_int_t)strtoll(table_cell(&state->listeners, row, "port"), NULL, 10),
                            "protocol", protocol_name(table_cell(&state->listeners, row, "protocol"))));
    }
    return list;
}

static void print_json(const struct state *state, const struct line *line)
{
    json_t *counters = json_object(), *all;
    for (size_t row = 1; row < state->counters.rows; row++)
        json_object_set_new(counters, table_cell(&state->counters, row, "name"),
                            json_integer(strtoll(table_cell(&state->counters, row, "value"), NULL, 10)));
    all = json_pack("{ss,ss,ss,sI,sI,sb,ss,so,s{sI,sI,sI},so}", "product_name", "Gannet", "product_version",
                    table_cell(&state->version, 1, "version"), "rabbitmq_version", RABBITMQ_VERSION, "pid",
                    (json_int_t)number(state, "pid"), "uptime", (json_int_t)number(state, "uptime_s"),
                    "is_under_maintenance", counter(state, "front.drained") > 0, "data_directory",
                    where(line), "listeners", listeners_of(state), "totals", "connection_count",
                    (json_int_t)counter(state, "front.connections"), "queue_count",
                    (json_int_t)counter(state, "router.queues"), "virtual_host_count",
                    (json_int_t)state->vhosts.rows - 1, "counters", counters);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

static void print_text(const struct state *state, const struct line *line)
{
    if (!line->flag[FLAG_QUIET] && !line->flag[FLAG_SILENT])
        printf("Status of the broker at %s ...\n", where(line));
    printf("Runtime\n\nOS PID: %lld\nOS: Linux\nUptime (seconds): %lld\nIs under maintenance?: %s\n"
           "Gannet version: %s\nRabbitMQ version: %s\n\n",
           number(state, "pid"), number(state, "uptime_s"),
           counter(state, "front.drained") ? "true" : "false", table_cell(&state->version, 1, "version"),
           RABBITMQ_VERSION);
    printf("Totals\n\nConnection count: %lld\nQueue count: %lld\nVirtual host count: %zu\n\nListeners\n\n",
           counter(state, "front.connections"), counter(state, "router.queues"), state->vhosts.rows - 1);
    for (size_t row = 1; row < state->listeners.rows; row++) {
        char text[128];
        printf("Interface: %s, port: %s, protocol: %s\n",
               in_brackets(table_cell(&state->listeners, row, "address"), text),
               table_cell(&state->listeners, row, "port"),
               protocol_name(table_cell(&state->listeners, row, "protocol")));
    }
    puts("\nCounters\n");
    table_print(&state->counters);
}

int status(const struct line *line)
{
    const char *form = line->flag[FLAG_FORMATTER];
    struct state state;
    if (line->flag[FLAG_JSON])
        return ask_plainly(line);
    if (!state_read(&state, line))
        return 1;
    if (form && strcmp(form, "json") == 0)
        print_json(&state, line);
    else
        print_text(&state, line);
    state_free(&state);
    return 0;
}

int server_version(const struct line *line)
{
    (void)line;
    puts(RABBITMQ_VERSION);
    return 0;
}

/* ---- everything -------------------------------------------------------------------------------------- */

static int run(const struct line *line, const char *word)
{
    struct line other = *line;
    other.verb = verb_find(word);
    other.argc = 0;
    return other.verb->run(&other);
}

int report(const struct line *line)
{
    static const char *const parts[] = {"status",          "limits",      "certificates",     "list_vhosts",
                                        "list_users",      "connections", "channels",         "queues",
                                        "exchanges",       "bindings",    "list_permissions", "list_policies",
                                        "list_user_limits"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        printf("%s== %s\n\n", i ? "\n" : "", parts[i]);
        if (run(line, parts[i]) != 0)
            return 1;
    }
    return 0;
}

/* ---- feature flags ----------------------------------------------------------------------------------- */

/* RabbitMQ's names for what Gannet can do, which there is never off. */
static const char *const features[] = {
    "implicit_default_bindings", "maintenance_mode_status", "quorum_queue", "stream_queue", "user_limits",
    "virtual_host_metadata"};
enum { FEATURES = sizeof features / sizeof *features };

int list_feature_flags(const struct line *line)
{
    struct table table = {.columns = 2, .rows = FEATURES + 1};
    char name[] = "name", state[] = "state", enabled[] = "enabled", *names[FEATURES];
    table.cell = calloc(table.rows, sizeof *table.cell);
    if (!table.cell)
        return complain("no memory");
    table.cell[0][0] = name;
    table.cell[0][1] = state;
    for (size_t i = 0; i < FEATURES; i++) {
        table.cell[i + 1][0] = names[i] = strdup(features[i]);
        table.cell[i + 1][1] = enabled;
    }
    int status = list_table(line, "Listing feature flags ...", &table);
    for (size_t i = 0; i < FEATURES; i++)
        free(names[i]);
    free(table.cell);
    return status;
}

int enable_feature_flag(const struct line *line)
{
    bool known = strcmp(line->argv[0], "all") == 0;
    for (size_t i = 0; i < FEATURES; i++)
        known |= strcmp(line->argv[0], features[i]) == 0;
    return known ? 0 : complain("there is no feature flag '%s': list_feature_flags has them", line->argv[0]);
}
