/* gannetctl: asks a running broker through its control socket (dataplane/control.h has the protocol) and
 * shows the answer. What there is to be said to it is in verbs.def and flags.def. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_client.h"
#include "help.h"
#include "patience.h"
#include "verb.h"

enum { WRONG_USE = 2 };

int complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("gannetctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

bool ask_broker(const struct line *line, const char *request, struct table *answer)
{
    char error[1024], *text = control_client_ask(line->socket, request, NULL, error, sizeof error);
    if (text)
        *answer = table_parse(text);
    else
        complain("%s", error);
    return text;
}

static void print_json(const struct table *table)
{
    json_t *rows = table_json(table);
    json_dumpf(rows, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(rows);
}

bool wants_json(const struct line *line)
{
    const char *form = line->flag[FLAG_FORMATTER];
    return line->flag[FLAG_JSON] || (form && strcmp(form, "json") == 0);
}

int show_answer(const struct line *line, char *request)
{
    struct table table;
    bool ok = request && ask_broker(line, request, &table);
    free(request);
    if (!ok)
        return 1;
    if (wants_json(line))
        print_json(&table);
    else
        table_print(&table);
    table_free(&table);
    return 0;
}

/* Tabs and ends of lines are the protocol's. */
static bool put_word(FILE *out, const char *word)
{
    for (const char *c = word; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return fprintf(out, "\t%s", word) > 0;
}

char *request_of(const struct line *line, const char *const *given)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool ok = out && fputs(line->verb->word, out) >= 0;
    for (; ok && *given; given++)
        ok = put_word(out, *given);
    for (int i = 0; ok && i < line->argc; i++)
        ok = put_word(out, line->argv[i]);
    if (out && fclose(out) == 0 && ok)
        return text;
    complain("names, patterns and passwords may not hold control characters");
    free(text);
    return NULL;
}

/* ---- the command line ------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    struct line line;
    char error[512];
    if (!line_read(&line, argc, argv, error, sizeof error))
        return complain("%s", error);
    if (line.flag[FLAG_VERSION]) {
        puts("gannetctl " GANNET_VERSION);
    } else if (line.flag[FLAG_HELP]) {
        help_print(line.verb);
    } else if (!line.verb) {
        fputs("gannetctl: what is to be done? gannetctl --help lists what can be\n", stderr);
        return WRONG_USE;
    } else {
        if (!patience_begin(line.flag[FLAG_TIMEOUT]))
            return complain("--timeout is in whole seconds, and 0 for ever: not '%s'",
                            line.flag[FLAG_TIMEOUT]);
        int status = line.verb->run(&line);
        return fflush(stdout) == 0 ? status : 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
