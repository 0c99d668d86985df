#include "verb.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct flag flags[FLAGS] = {
#define FLAG(id, name, letter, argument, where, completes, help)                                             \
    {name, letter, argument, where, completes, help},
#include "flags.def"
#undef FLAG
};

const struct verb verbs[] = {
#define GROUP(title)    {.group = (title)},
#define NONE(word, why) {NULL, word, 0, 0, "", "", NULL, why},
#define VERB(word, least, most, arguments, flags, run, help)                                                 \
    {NULL, word, least, most, arguments, flags, run, help},
#include "verbs.def"
#undef VERB
#undef NONE
#undef GROUP
};
const size_t verb_count = sizeof verbs / sizeof *verbs;

enum { FIRST_LONG = 256 }; /* getopt's number of the first flag, behind all letters */

const struct verb *verb_find(const char *word)
{
    for (size_t i = 0; i < verb_count; i++)
        if (verbs[i].word && strcmp(word, verbs[i].word) == 0)
            return &verbs[i];
    return NULL;
}

bool verb_takes(const struct verb *verb, const struct flag *flag)
{
    size_t len = strlen(flag->name);
    for (const char *at = verb->flags; (at = strstr(at, flag->name)); at += len)
        if ((at == verb->flags || at[-1] == ' ') && (!at[len] || at[len] == ' '))
            return true;
    return false;
}

/* Adds to a text of len bytes, as far as there is room. */
__attribute__((format(printf, 4, 5))) static void add(char *text, size_t size, size_t *len,
                                                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = *len < size ? vsnprintf(text + *len, size - *len, format, args) : 0;
    *len += n > 0 ? (size_t)n : 0;
    va_end(args);
}

void verb_usage(const struct verb *verb, char *text, size_t size)
{
    size_t len = 0;
    add(text, size, &len, "usage: gannetctl %s", verb->word);
    for (int i = 0; i < FLAGS; i++) {
        const struct flag *flag = &flags[i];
        const char letter[] = {'-', (char)flag->letter, '\0'};
        if (verb_takes(verb, flag))
            add(text, size, &len, " [%s%s%s%s]", flag->letter ? letter : "--", flag->letter ? "" : flag->name,
                *flag->argument ? " " : "", flag->argument);
    }
    add(text, size, &len, "%s%s", *verb->arguments ? " " : "", verb->arguments);
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int number_of(int option)
{
    for (int i = 0; i < FLAGS; i++)
        if (option == FIRST_LONG + i || (flags[i].letter && option == flags[i].letter))
            return i;
    return -1;
}

/* What getopt has found, if it is no flag of ours. */
static void say_wrong(int option, const char *word, char *error, size_t error_size)
{
    int i = number_of(optopt);
    if (i < 0 && optopt)
        snprintf(error, error_size, "there is no flag -%c", optopt);
    else if (i < 0)
        snprintf(error, error_size, "there is no flag %s, or there are several", word);
    else
        snprintf(error, error_size, "--%s %s behind it", flags[i].name,
                 option == ':' ? "needs a word" : "has no word");
}

static bool take_flags(struct line *line, int argc, char **argv, char *error, size_t error_size)
{
    struct option options[FLAGS + 1] = {0};
    char letters[2 + 2 * FLAGS] = ":", *letter = letters + 1;
    for (int i = 0; i < FLAGS; i++) {
        bool more = *flags[i].argument;
        options[i] = (struct option){flags[i].name, more, NULL, FIRST_LONG + i};
        if (flags[i].letter)
            *letter++ = (char)flags[i].letter;
        if (flags[i].letter && more)
            *letter++ = ':';
    }
    for (int option; (option = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        int i = number_of(option);
        if (i < 0) {
            say_wrong(option, argv[optind - 1], error, error_size);
            return false;
        }
        line->flag[i] = optarg ? optarg : "";
    }
    return true;
}

static bool check(const struct line *line, char *error, size_t error_size)
{
    const struct verb *verb = line->verb;
    for (int i = 0; i < FLAGS; i++)
        if (line->flag[i] && flags[i].where == PARTICULAR && !verb_takes(verb, &flags[i])) {
            snprintf(error, error_size, "%s has no --%s: see gannetctl help %s", verb->word, flags[i].name,
                     verb->word);
            return false;
        }
    const char *form = line->flag[FLAG_FORMATTER];
    if (form && strcmp(form, "table") != 0 && strcmp(form, "csv") != 0 && strcmp(form, "json") != 0 &&
        strcmp(form, "pretty_table") != 0) {
        snprintf(error, error_size, "there is no formatter %s: table, csv, json and pretty_table are", form);
        return false;
    }
    if (line->argc >= verb->least && line->argc <= verb->most)
        return true;
    verb_usage(verb, error, error_size);
    return false;
}

bool line_read(struct line *line, int argc, char **argv, char *error, size_t error_size)
{
    *line = (struct line){0};
    if (!take_flags(line, argc, argv, error, error_size))
        return false;
    const char *data = line->flag[FLAG_DATA], *path = line->flag[FLAG_SOCKET];
    data = line->flag[FLAG_DATA] = data ? data : "/var/lib/gannet";
    if (path)
        snprintf(line->socket, sizeof line->socket, "%s", path);
    else
        snprintf(line->socket, sizeof line->socket, "%s/control.sock", data);
    if (optind == argc)
        return true;
    line->verb = verb_find(argv[optind]);
    line->argc = argc - optind - 1;
    line->argv = argv + optind + 1;
    if (!line->verb)
        snprintf(error, error_size, "there is no verb '%s': gannetctl --help lists them", argv[optind]);
    else if (!line->verb->run)
        snprintf(error, error_size, "there is no %s: %s", line->verb->word, line->verb->help);
    else
        return line->flag[FLAG_HELP] || check(line, error, error_size);
    return false;
}

const char *line_vhost(const struct line *line)
{
    return line->flag[FLAG_VHOST] ? line->flag[FLAG_VHOST] : "/";
}
