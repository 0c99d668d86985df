#include "lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the commands ---------------------------------------------------------------------------------- */

/* rabbitmqctl's word for a column, and the broker's; or what is always in it. */
struct alias {
    const char *name, *from, *constant;
};

static const struct command {
    const char *word, *request;
    const char *title;       /* "Listing ...", with %s for the virtual host; NULL: for people */
    const char *columns[10]; /* if none are asked for */
    struct alias aliases[8];
} commands[] = {
    {"list_queues", "queues", "Listing queues for vhost %s ...", {"name", "messages"}, {{0}}},
    {"list_exchanges", "exchanges", "Listing exchanges for vhost %s ...", {"name", "type"}, {{0}}},
    {"list_bindings",
     "bindings",
     "Listing bindings for vhost %s...",
     {"source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "arguments"},
     {{"source_name", "source", NULL},
      {"source_kind", NULL, "exchange"},
      {"destination_name", "destination", NULL},
      {"destination_kind", "destination_type", NULL}}},
    {"list_connections",
     "connections",
     "Listing connections ...",
     {"user", "peer_host", "peer_port", "state"},
     {{0}}},
    {"list_channels",
     "channels",
     "Listing channels ...",
     {"pid", "user", "consumer_count", "messages_unacknowledged"},
     {{"pid", "name", NULL}}},
    {"list_consumers",
     "consumers",
     "Listing consumers in vhost %s ...",
     {"queue_name", "channel_pid", "consumer_tag", "ack_required", "prefetch_count", "arguments"},
     {{"queue_name", "queue", NULL}, {"channel_pid", "channel_name", NULL}}},
    {"queues",
     "queues",
     NULL,
     {"vhost", "name", "type", "messages_ready", "messages_unacknowledged", "consumers", "message_bytes",
      "policy", "operator_policy"},
     {{0}}},
    {"exchanges", "exchanges", NULL, {"vhost", "name", "type", "durable", "internal", "arguments"}, {{0}}},
    {"bindings", "bindings", NULL, {"vhost", "source", "destination", "routing_key", "arguments"}, {{0}}},
    {"connections",
     "connections",
     NULL,
     {"name", "protocol", "user", "vhost", "client", "state", "channels"},
     {{0}}},
    {"channels",
     "channels",
     NULL,
     {"name", "user", "vhost", "consumer_count", "prefetch_count", "messages_unacknowledged",
      "messages_unconfirmed"},
     {{0}}},
    {"consumers",
     "consumers",
     NULL,
     {"vhost", "queue", "channel_name", "consumer_tag", "ack_required", "prefetch_count"},
     {{0}}},
};

static const struct command *command_of(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i].word) == 0)
            return &commands[i];
    return NULL;
}

bool lists_command(const char *word)
{
    return command_of(word);
}

static bool has_vhost(const struct command *command)
{
    return strcmp(command->request, "connections") != 0 && strcmp(command->request, "channels") != 0;
}

/* rabbitmqctl lists one virtual host; for people it is all, unless they name one. */
static const char *vhost_of(const struct command *command, const struct list_options *options)
{
    return options->vhost ? options->vhost : command->title ? "/" : NULL;
}

char *lists_request(int argc, char **argv, const struct list_options *options, char *error, size_t error_size)
{
    const struct command *command = command_of(argv[0]);
    const char *vhost = vhost_of(command, options), *f = options->formatter;
    char *request = NULL;
    if (!command->title && argc > 1) {
        snprintf(error, error_size, "%s takes no columns: list_%s does", argv[0], argv[0]);
        return NULL;
    }
    if (strcmp(f, "table") != 0 && strcmp(f, "json") != 0 && strcmp(f, "csv") != 0) {
        snprintf(error, error_size, "there is no formatter %s: table, json and csv are", f);
        return NULL;
    }
    if (vhost && strpbrk(vhost, "\t\n")) {
        snprintf(error, error_size, "a virtual host's name has no tab and no new line");
        return NULL;
    }
    if (asprintf(&request, "%s%s%s", command->request, vhost && has_vhost(command) ? "\t" : "",
                 vhost && has_vhost(command) ? vhost : "") < 0)
        request = NULL;
    if (!request)
        snprintf(error, error_size, "no memory");
    return request;
}

/* ---- columns --------------------------------------------------------------------------------------- */

struct column {
    const char *name, *constant;
    unsigned from; /* of the answer's columns */
};

struct view {
    const struct table *table;
    struct column column[TABLE_COLUMNS_MAX];
    unsigned columns;
};

static bool add_column(struct view *view, const struct command *command, const char *name)
{
    struct column *column = &view->column[view->columns];
    *column = (struct column){.name = name};
    const struct alias *alias = command->aliases;
    while (alias->name && strcmp(alias->name, name) != 0)
        alias++;
    column->constant = alias->constant;
    column->from = table_column(view->table, alias->name && alias->from ? alias->from : name);
    if (view->columns + 1 >= TABLE_COLUMNS_MAX || (!column->constant && column->from >= view->table->columns))
        return false;
    view->columns++;
    return true;
}

static const char *cell_of(const struct view *view, size_t row, const struct column *column)
{
    return column->constant ? column->constant : view->table->cell[row][column->from];
}

/* ---- what stands in a cell, as rabbitmqctl writes it ------------------------------------------------- */

static void put_term(FILE *out, json_t *value);

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_terms(FILE *out, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;
    bool first = true;
    fputc('[', out);
    json_array_foreach(value, i, item)
    {
        fputs(first ? "" : ",", out);
        first = false;
        put_term(out, item);
    }
    json_object_foreach(value, key, item)
    {
        fputs(first ? "{" : ",{", out);
        first = false;
        put_string(out, key);
        fputc(',', out);
        put_term(out, item);
        fputc('}', out);
    }
    fputc(']', out);
}

/* Erlang's form of it: a table is [{"key",value}]. */
static void put_term(FILE *out, json_t *value)
{
    if (json_is_string(value))
        put_string(out, json_string_value(value));
    else if (json_is_array(value) || json_is_object(value))
        put_terms(out, value);
    else
        json_dumpf(value, out, JSON_ENCODE_ANY);
}

/* The text of a cell; *made: to be freed. */
static const char *text_of(const struct view *view, size_t row, const struct column *column, char **made)
{
    const char *cell = cell_of(view, row, column);
    size_t size;
    *made = NULL;
    if (column->constant || view->table->kind[column->from] != TABLE_JSON || strcmp(cell, "{}") == 0)
        return !column->constant && view->table->kind[column->from] == TABLE_JSON ? "[]" : cell;
    json_t *value = json_loads(cell, 0, NULL);
    FILE *out = value ? open_memstream(made, &size) : NULL;
    if (out) {
        put_terms(out, value);
        fclose(out);
    }
    json_decref(value);
    return *made ? *made : cell;
}

/* ---- formats --------------------------------------------------------------------------------------- */

/* A line stays a line, a column a column, and a terminal what it is. */
static void put_plain(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < ' ' || *text == 127 ? '?' : *text);
}

static void put_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_lines(const struct view *view, bool csv, bool headers)
{
    for (unsigned i = 0; headers && i < view->columns; i++) {
        fputs(i == 0 ? "" : csv ? "," : "\t", stdout);
        (csv ? put_quoted : put_plain)(view->column[i].name);
    }
    if (headers)
        putchar('\n');
    for (size_t row = 1; row < view->table->rows; row++)
        for (unsigned i = 0; i < view->columns; i++) {
            char *made;
            const char *text = text_of(view, row, &view->column[i], &made);
            fputs(i == 0 ? "" : csv ? "," : "\t", stdout);
            (csv ? put_quoted : put_plain)(text);
            free(made);
            if (i + 1 == view->columns)
                putchar('\n');
        }
}

static void print_json(const struct view *view)
{
    puts("[");
    for (size_t row = 1; row < view->table->rows; row++) {
        json_t *object = json_object();
        for (unsigned i = 0; i < view->columns; i++) {
            const struct column *column = &view->column[i];
            json_object_set_new(object, column->name,
                                column->constant ? json_string(column->constant)
                                                 : table_value(view->table, row, column->from));
        }
        fputs(row > 1 ? "," : "", stdout);
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    }
    puts("]");
}

/* Columns under each other. */
static void print_for_people(const struct view *view)
{
    struct table shown = {.columns = view->columns, .rows = view->table->rows};
    shown.cell = calloc(shown.rows, sizeof *shown.cell);
    if (!shown.cell)
        return;
    for (unsigned i = 0; i < view->columns; i++) {
        shown.kind[i] = view->table->kind[view->column[i].from];
        for (size_t row = 0; row < shown.rows; row++)
            shown.cell[row][i] = view->table->cell[row][view->column[i].from];
    }
    table_print(&shown);
    table_free(&shown);
}

bool lists_print(int argc, char **argv, const struct list_options *options, struct table *table, char *error,
                 size_t error_size)
{
    const struct command *command = command_of(argv[0]);
    struct view view = {.table = table};
    bool json = strcmp(options->formatter, "json") == 0, csv = strcmp(options->formatter, "csv") == 0;
    bool all = json && !command->title;
    if (!table->complete) {
        snprintf(error, error_size,
                 "the broker's answer broke off: it took too long, or the broker has ended");
        return false;
    }
    for (unsigned i = 0; argc == 1 && !all && i < sizeof command->columns / sizeof *command->columns; i++)
        if (command->columns[i])
            add_column(&view, command, command->columns[i]);
    for (unsigned i = 0; all && i < table->columns; i++)
        add_column(&view, command, table->cell[0][i]);
    for (int i = 1; i < argc; i++)
        if (!add_column(&view, command, argv[i])) {
            snprintf(error, error_size, "Info key(s) %s are not supported", argv[i]);
            return false;
        }
    if (command->title || json)
        table_unescape(table);
    if (command->title && !json && !csv && !options->quiet) {
        const char *vhost = vhost_of(command, options);
        printf(command->title, vhost);
        putchar('\n');
    }
    if (json)
        print_json(&view);
    else if (csv || command->title)
        print_lines(&view, csv, !options->no_headers);
    else
        print_for_people(&view);
    return true;
}
