/* gannetctl's lists (dataplane/lists.h, users.h and policies.h have the requests): list_queues and its like
 * with rabbitmqctl's columns and forms, and queues and its like for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verb.h"
#include "view.h"

/* ---- the lists ------------------------------------------------------------------------------------- */

/* rabbitmqctl's word for a column, and the broker's; or what is always in it. */
struct alias {
    const char *name, *from, *constant;
    enum view_kind kind;
};

static const struct list {
    const char *word, *request;
    const char *title; /* "Listing ...", with %s for whose; NULL: for people */
    enum { OF_ALL, OF_VHOST, OF_USER } of;
    const char *columns[10]; /* if none are asked for */
    struct alias aliases[8];
    bool headless; /* a table of it has no names of columns */
} lists[] = {
    {"list_queues", "queues", "Listing queues for vhost %s ...", OF_VHOST, {"name", "messages"}, {{0}}},
    {"list_exchanges", "exchanges", "Listing exchanges for vhost %s ...", OF_VHOST, {"name", "type"}, {{0}}},
    {"list_bindings",
     "bindings",
     "Listing bindings for vhost %s...",
     OF_VHOST,
     {"source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "arguments"},
     {{"source_name", "source"},
      {"source_kind", NULL, "exchange"},
      {"destination_name", "destination"},
      {"destination_kind", "destination_type"}}},
    {"list_connections",
     "connections",
     "Listing connections ...",
     OF_ALL,
     {"user", "peer_host", "peer_port", "state"},
     {{0}}},
    {"list_channels",
     "channels",
     "Listing channels ...",
     OF_ALL,
     {"pid", "user", "consumer_count", "messages_unacknowledged"},
     {{"pid", "name"}}},
    {"list_consumers",
     "consumers",
     "Listing consumers in vhost %s ...",
     OF_VHOST,
     {"queue_name", "channel_pid", "consumer_tag", "ack_required", "prefetch_count", "arguments"},
     {{"queue_name", "queue"}, {"channel_pid", "channel_name"}}},
    {"list_users",
     "list_users",
     "Listing users ...",
     OF_ALL,
     {"user", "tags"},
     {{"tags", "tags", NULL, VIEW_WORDS}}},
    {"list_vhosts",
     "list_vhosts",
     "Listing vhosts ...",
     OF_ALL,
     {"name"},
     {{"tags", "tags", NULL, VIEW_WORDS}, {"tracing", NULL, "false", VIEW_FLAG}}},
    {"list_permissions",
     "list_permissions",
     "Listing permissions for vhost \"%s\" ...",
     OF_VHOST,
     {"user", "configure", "write", "read"},
     {{0}}},
    {"list_user_permissions",
     "list_user_permissions",
     "Listing permissions for user \"%s\" ...",
     OF_USER,
     {"vhost", "configure", "write", "read"},
     {{0}}},
    {"list_topic_permissions",
     "list_topic_permissions",
     "Listing topic permissions for vhost \"%s\" ...",
     OF_VHOST,
     {"user", "exchange", "write", "read"},
     {{0}}},
    {"list_user_topic_permissions",
     "list_user_topic_permissions",
     "Listing topic permissions for user \"%s\" ...",
     OF_USER,
     {"vhost", "exchange", "write", "read"},
     {{0}},
     true},
    {"list_policies",
     "list_policies",
     "Listing policies for vhost \"%s\" ...",
     OF_VHOST,
     {"vhost", "name", "pattern", "apply-to", "definition", "priority"},
     {{"vhost", NULL, "%s"}}},
    {"list_operator_policies",
     "list_operator_policies",
     "Listing operator policy overrides for vhost \"%s\" ...",
     OF_VHOST,
     {"vhost", "name", "pattern", "apply-to", "definition", "priority"},
     {{"vhost", NULL, "%s"}}},
    {"list_parameters",
     "list_parameters",
     "Listing runtime parameters for vhost \"%s\" ...",
     OF_VHOST,
     {"component", "name", "value"},
     {{0}}},
    {"list_global_parameters",
     "list_global_parameters",
     "Listing global runtime parameters ...",
     OF_ALL,
     {"name", "value"},
     {{0}}},
    {"queues",
     "queues",
     NULL,
     OF_VHOST,
     {"vhost", "name", "type", "messages_ready", "messages_unacknowledged", "consumers", "message_bytes",
      "policy", "operator_policy"},
     {{0}}},
    {"exchanges",
     "exchanges",
     NULL,
     OF_VHOST,
     {"vhost", "name", "type", "durable", "internal", "arguments"},
     {{0}}},
    {"bindings",
     "bindings",
     NULL,
     OF_VHOST,
     {"vhost", "source", "destination", "routing_key", "arguments"},
     {{0}}},
    {"connections",
     "connections",
     NULL,
     OF_ALL,
     {"name", "protocol", "user", "vhost", "client", "state", "channels"},
     {{0}}},
    {"channels",
     "channels",
     NULL,
     OF_ALL,
     {"name", "user", "vhost", "consumer_count", "prefetch_count", "messages_unacknowledged",
      "messages_unconfirmed"},
     {{0}}},
    {"consumers",
     "consumers",
     NULL,
     OF_VHOST,
     {"vhost", "queue", "channel_name", "consumer_tag", "ack_required", "prefetch_count"},
     {{0}}},
};

static const struct list *list_of(const char *word)
{
    const struct list *list = lists;
    while (strcmp(word, list->word) != 0)
        list++;
    return list;
}

/* rabbitmqctl lists one virtual host; for people it is all, unless they name one. NULL: of all. */
static const char *whose(const struct list *list, const struct line *line)
{
    return list->of == OF_USER                   ? line->argv[0]
           : list->of == OF_VHOST && list->title ? line_vhost(line)
           : list->of == OF_VHOST                ? line->flag[FLAG_VHOST]
                                                 : NULL;
}

/* Malloc'd; NULL: it makes none, and that has been said. */
static char *request_for(const char *request, const char *of)
{
    char *text = NULL;
    if (of && strpbrk(of, "\t\n"))
        complain("the name of a virtual host or user has no tab and no new line");
    else if (asprintf(&text, "%s%s%s", request, of ? "\t" : "", of ? of : "") < 0)
        text = NULL;
    return text;
}

/* ---- columns --------------------------------------------------------------------------------------- */

static bool add_column(struct view *view, const struct list *list, const char *of, const char *name)
{
    const struct alias *alias = list->aliases;
    while (alias->name && strcmp(alias->name, name) != 0)
        alias++;
    const char *constant = alias->constant && strcmp(alias->constant, "%s") == 0 ? of : alias->constant;
    return view_add(view, name, alias->name && alias->from ? alias->from : name, constant, alias->kind);
}

static int add_columns(struct view *view, const struct list *list, const struct line *line, const char *of)
{
    int asked = list->of == OF_USER ? 0 : line->argc;
    bool json = line->flag[FLAG_JSON] || view->form == VIEW_JSON;
    if (json && !list->title && !asked)
        for (unsigned i = 0; i < view->table->columns; i++)
            add_column(view, list, of, view->table->cell[0][i]);
    else if (!asked)
        for (unsigned i = 0; i < sizeof list->columns / sizeof *list->columns && list->columns[i]; i++)
            add_column(view, list, of, list->columns[i]);
    for (int i = 0; i < asked; i++)
        if (!add_column(view, list, of, line->argv[i]))
            return complain("Info key(s) %s are not supported", line->argv[i]);
    return 0;
}

static void put_title(const struct list *list, const struct line *line, const struct view *view,
                      const char *of)
{
    bool tells = view->form == VIEW_TABLE || view->form == VIEW_PRETTY;
    const char *title = list->title, *gap = title ? strstr(title, "%s") : NULL;
    if (!title || !tells || line->flag[FLAG_QUIET] || line->flag[FLAG_SILENT])
        return;
    if (gap)
        printf("%.*s%s%s\n", (int)(gap - title), title, of, gap + 2);
    else
        puts(title);
}

static enum view_form form_of(const struct line *line)
{
    const char *form = line->flag[FLAG_FORMATTER];
    return line->flag[FLAG_JSON]       ? VIEW_JSON
           : !form                     ? VIEW_TABLE
           : strcmp(form, "csv") == 0  ? VIEW_CSV
           : strcmp(form, "json") == 0 ? VIEW_JSON
           : *form == 'p'              ? VIEW_PRETTY
                                       : VIEW_TABLE;
}

static int show_list(const struct list *list, const struct line *line, struct table *table, const char *of)
{
    struct view view = {.table = table, .form = form_of(line)};
    view.headers = !line->flag[FLAG_SILENT] && !line->flag[FLAG_NO_HEADERS] && !list->headless;
    if (add_columns(&view, list, line, of) != 0)
        return 1;
    bool people = !list->title && view.form == VIEW_TABLE;
    if (!people)
        table_unescape(table);
    put_title(list, line, &view, of);
    (people ? view_print_for_people : view_print)(&view);
    return 0;
}

/* What the broker answers slice by slice has a marked end (dataplane/lists.h). */
static bool is_whole(const struct list *list, const struct table *table)
{
    return table->complete || strncmp(list->request, "list_", 5) == 0;
}

int list_things(const struct line *line)
{
    const struct list *list = list_of(line->verb->word);
    const char *of = whose(list, line);
    char *request = request_for(list->request, of);
    struct table table;
    bool own = line->flag[FLAG_JSON] && strncmp(list->request, "list_", 5) == 0;
    if (!request || own)
        return request ? show_answer(line, request) : 1;
    bool ok = ask_broker(line, request, &table);
    free(request);
    if (!ok)
        return 1;
    int status = is_whole(list, &table)
                     ? show_list(list, line, &table, of)
                     : complain("the broker's answer broke off: it took too long, or the broker has ended");
    table_free(&table);
    return status;
}

int list_table(const struct line *line, const char *title, struct table *table)
{
    struct list list = {.title = title};
    for (unsigned i = 0; i < table->columns; i++)
        list.columns[i] = table->cell[0][i];
    return show_list(&list, line, table, NULL);
}

/* ---- limits ---------------------------------------------------------------------------------------- */

/* Of one it is the JSON object alone, as rabbitmqctl has it; if there are none, what it says then. */
static int show_limits(const struct line *line, const char *who, const char *of, const char *none)
{
    struct table table;
    struct view view = {.table = &table, .form = form_of(line)};
    char *request = request_for(line->verb->word, of);
    if (!request || line->flag[FLAG_JSON])
        return request ? show_answer(line, request) : 1;
    bool ok = ask_broker(line, request, &table), quiet = line->flag[FLAG_QUIET] || line->flag[FLAG_SILENT];
    free(request);
    if (!ok)
        return 1;
    view.headers = !line->flag[FLAG_SILENT] && !line->flag[FLAG_NO_HEADERS];
    if (view.form == VIEW_TABLE && !quiet && of)
        printf("Listing limits for %s \"%s\" ...\n", who, of);
    else if (view.form == VIEW_TABLE && !quiet)
        printf("Listing limits for all %ss ...\n", who);
    if (of && view.form != VIEW_CSV) {
        puts(table.rows > 1 ? table_cell(&table, 1, "limits") : view.form == VIEW_JSON ? "{}" : none);
    } else {
        view_add(&view, who, who, NULL, VIEW_AS_IS);
        view_add(&view, "limits", "limits", NULL, VIEW_AS_IS);
        view_print(&view);
    }
    table_free(&table);
    return 0;
}

int list_user_limits(const struct line *line)
{
    return show_limits(line, "user", line->flag[FLAG_GLOBAL] ? NULL : line->flag[FLAG_USER], "{}");
}

int list_vhost_limits(const struct line *line)
{
    return show_limits(line, "vhost", line->flag[FLAG_GLOBAL] ? NULL : line_vhost(line), "");
}
