#include "help.h"

#include <stdio.h>
#include <string.h>

#include "verb.h"

enum { VERB_WIDTH = 30, FLAG_WIDTH = 28, LINE_WIDTH = 100 };

static const char head[] = "gannetctl, for a running gannetd\n"
                           "\n"
                           "usage: gannetctl [FLAGS] VERB [WORDS]\n";
static const char tail[] =
    "\n"
    "gannetctl help VERB says which words and flags a verb has.\n"
    "\n"
    "A password that isn't given is read from the standard input. CONFIGURE, WRITE and READ are regular\n"
    "expressions; one that is empty fits nothing. LIMITS are a JSON object, such as {\"max-connections\": "
    "10}:\n"
    "max-connections, max-channels (of users), max-queues (of virtual hosts), max-publish-rate and\n"
    "max-publish-bytes-rate (a second); a negative one is no limit.\n"
    "A PATTERN is a regular expression, found anywhere in a name; a DEFINITION is a JSON object, such as\n"
    "{\"max-length\": 1000, \"overflow\": \"reject-publish\"}.\n"
    "Exit status: 0, 1 if it could not be done (one sentence says why), 2 without a verb.\n";

/* The text behind `at` columns, in lines that go on there. */
static void put_text(const char *text, size_t at)
{
    size_t column = at;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > at && column + 1 + word > LINE_WIDTH) {
            printf("\n%*s", (int)at, "");
            column = at;
        }
        column += (size_t)printf("%s%.*s", column > at ? " " : "", (int)word, text);
        text += word + strspn(text + word, " ");
    }
    putchar('\n');
}

/* The word in its column, or on a line of its own. */
static void put_row(const char *word, int width, const char *text)
{
    printf("  %-*s", width, word);
    if ((int)strlen(word) >= width)
        printf("\n  %*s", width, "");
    put_text(text, (size_t)width + 2);
}

static void put_flag(const struct flag *flag)
{
    char word[64], letter[8] = "   ";
    if (flag->letter)
        snprintf(letter, sizeof letter, "-%c,", flag->letter);
    snprintf(word, sizeof word, "%s --%s%s%s", letter, flag->name, *flag->argument ? " " : "",
             flag->argument);
    put_row(word, FLAG_WIDTH, flag->help);
}

static void put_all(void)
{
    fputs(head, stdout);
    for (size_t i = 0; i < verb_count; i++) {
        char word[64];
        const struct verb *verb = &verbs[i];
        if (verb->group) {
            printf("\n%s\n", verb->group);
        } else if (verb->run) {
            snprintf(word, sizeof word, "%s%s%s", verb->word, *verb->arguments ? " " : "", verb->arguments);
            put_row(word, VERB_WIDTH, verb->help);
        }
    }
    puts("\nFlags of every verb");
    for (unsigned i = 0; i < FLAGS; i++)
        if (flags[i].where == GENERAL)
            put_flag(&flags[i]);
    fputs(tail, stdout);
}

void help_print(const struct verb *verb)
{
    if (!verb) {
        put_all();
        return;
    }
    char usage[512];
    verb_usage(verb, usage, sizeof usage);
    printf("%s\n\n", usage);
    put_text(verb->help, 0);
    for (unsigned i = 0, n = 0; i < FLAGS; i++)
        if (verb_takes(verb, &flags[i])) {
            fputs(n++ ? "" : "\n", stdout);
            put_flag(&flags[i]);
        }
    puts("\nFlags of every verb are in gannetctl --help.");
}

/* Every row, for what is made of them: columns with tabs between. */
static void put_rows(void)
{
    for (size_t i = 0; i < verb_count; i++) {
        const struct verb *verb = &verbs[i];
        if (verb->group)
            printf("group\t%s\n", verb->group);
        else if (verb->run)
            printf("verb\t%s\t%s\t%s\t%s\n", verb->word, verb->arguments, verb->flags, verb->help);
        else
            printf("none\t%s\t%s\n", verb->word, verb->help);
    }
    for (unsigned i = 0; i < FLAGS; i++)
        printf("flag\t%s\t%c\t%s\t%s\t%s\t%s\n", flags[i].name, flags[i].letter ? flags[i].letter : '-',
               flags[i].argument, flags[i].where == GENERAL ? "general" : "particular", flags[i].completes,
               flags[i].help);
}

int help(const struct line *line)
{
    const struct verb *verb = line->argc ? verb_find(line->argv[0]) : NULL;
    if (line->argc && !verb)
        return complain("there is no verb '%s': gannetctl --help lists them", line->argv[0]);
    if (verb && !verb->run)
        return complain("there is no %s: %s", verb->word, verb->help);
    if (line->flag[FLAG_ROWS])
        put_rows();
    else
        help_print(verb);
    return 0;
}
