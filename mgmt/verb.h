/* The verbs and flags of gannetctl (verbs.def, flags.def), and a command line of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "table.h"

struct line;

enum flag_id {
#define FLAG(id, name, letter, argument, where, completes, help) FLAG_##id,
#include "flags.def"
#undef FLAG
    FLAGS
};

struct flag {
    const char *name;
    int letter;           /* or 0 */
    const char *argument; /* what stands behind it; "": nothing */
    enum { GENERAL, PARTICULAR, TOLERATED } where;
    const char *completes, *help;
};

struct verb {
    const char *group; /* not NULL: no verb, but the title of those that follow */
    const char *word;
    int least, most; /* words behind it */
    const char *arguments, *flags;
    int (*run)(const struct line *line); /* returns the exit status; NULL: there is no such verb, */
    const char *help;                    /* and this is why */
};

/* What was said. */
struct line {
    const struct verb *verb;
    int argc; /* the words behind the verb */
    char **argv;
    const char *flag[FLAGS]; /* what stands behind each, or ""; NULL: it wasn't given */
    char socket[4400];       /* of the broker */
};

extern const struct flag flags[FLAGS];
extern const struct verb verbs[];
extern const size_t verb_count;

/* NULL: there is no row of it. */
const struct verb *verb_find(const char *word);
/* Whether the verb's row names the flag. */
bool verb_takes(const struct verb *verb, const struct flag *flag);
/* How the verb is to be said, as one line. */
void verb_usage(const struct verb *verb, char *text, size_t size);
/* Reads it. False, with one sentence in error: it makes none. Without a verb, line->verb is NULL. */
bool line_read(struct line *line, int argc, char **argv, char *error, size_t error_size);
/* Whether JSON is wanted, by either flag. */
bool wants_json(const struct line *line);
/* The virtual host that is meant. */
const char *line_vhost(const struct line *line);

/* Prints what has gone wrong, as one sentence; returns the exit status for it. */
__attribute__((format(printf, 1, 2))) int complain(const char *format, ...);
/* Asks the broker. False: it refuses, or isn't there, and that has been said. */
bool ask_broker(const struct line *line, const char *request, struct table *answer);
/* The same, and shows the answer for people or as JSON; frees the request, which may be NULL (then it has
 * been said why). Returns the exit status. */
int show_answer(const struct line *line, char *request);
/* A request for the verb: its word, then the given words, tabs between, then those of the line; the last of
 * the given is NULL. Malloc'd; NULL: they make none, and that has been said. */
char *request_of(const struct line *line, const char *const *given);

/* Shows a table with rabbitmqctl's forms: all its columns, or those of the line. Returns the exit status. */
int list_table(const struct line *line, const char *title, struct table *table);

/* What the rows of verbs.def name. */
#define GROUP(title)
#define NONE(word, why)
#define VERB(word, least, most, arguments, flags, run, help) int run(const struct line *line);
#include "verbs.def"
#undef VERB
#undef NONE
#undef GROUP
