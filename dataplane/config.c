#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "value.h"

enum when { AT_START, AT_RELOAD };

/* A row of options.def. */
struct option {
    const char *key;
    enum value_type type;
    const char *preset;
    uint64_t least, most;
    enum when when;
    size_t offset; /* of its field */
    const char *help;
};

static const struct option options[OPTIONS] = {
#define OPTION(field, key_, type_, preset_, least_, most_, when_, help_)                                     \
    {.key = key_,                                                                                            \
     .type = VALUE_##type_,                                                                                  \
     .preset = preset_,                                                                                      \
     .least = least_,                                                                                        \
     .most = most_,                                                                                          \
     .when = when_,                                                                                          \
     .offset = offsetof(struct config, field),                                                               \
     .help = help_},
#define ABSENT(key, what)
#include "options.def"
#undef OPTION
#undef ABSENT
};

static const struct absent {
    const char *key, *what;
} absents[] = {
#define OPTION(field, key, type, preset, least, most, when, help)
#define ABSENT(key_, what_) {.key = key_, .what = what_},
#include "options.def"
#undef OPTION
#undef ABSENT
};

enum { ABSENTS = sizeof absents / sizeof *absents, KEY_BYTES = 64 };

static void *field(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

void config_init(struct config *config, uint64_t memory)
{
    char error[256];
    *config = (struct config){.memory = memory};
    for (unsigned i = 0; i < OPTIONS; i++)
        CHECK(config_set(config, options[i].key, options[i].preset, error, sizeof error));
}

void config_free(struct config *config)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        value_free(options[i].type, field(config, &options[i]));
        free(config->text[i]);
    }
}

/* ---- unknown keys --------------------------------------------------------------------------------- */

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance of keys shorter than KEY_BYTES. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[KEY_BYTES + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned next = least_of(row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[b_len];
}

static void unknown_key(const char *key, char *error, size_t error_size)
{
    const char *nearest = options[0].key;
    for (unsigned i = 0; i < ABSENTS; i++)
        if (strcmp(absents[i].key, key) == 0) {
            snprintf(error, error_size, "%s: this version of Gannet has no %s; remove the line", key,
                     absents[i].what);
            return;
        }
    if (strlen(key) >= KEY_BYTES) {
        snprintf(error, error_size, "unknown key '%.60s...'", key);
        return;
    }
    for (unsigned i = 1; i < OPTIONS; i++)
        if (distance(key, options[i].key) < distance(key, nearest))
            nearest = options[i].key;
    snprintf(error, error_size, "unknown key '%s'; did you mean '%s'?", key, nearest);
}

static int find(const char *key)
{
    for (int i = 0; i < OPTIONS; i++)
        if (strcmp(options[i].key, key) == 0)
            return i;
    return -1;
}

/* ---- setting -------------------------------------------------------------------------------------- */

static bool set(struct config *config, unsigned i, const char *value, char *error, size_t error_size)
{
    const struct option *option = &options[i];
    const struct value_bounds bounds = {option->least, option->most, config->memory};
    char why[256];
    if (!value_parse(option->type, value, &bounds, field(config, option), why, sizeof why)) {
        snprintf(error, error_size, "%s: %s", option->key, why);
        return false;
    }
    free(config->text[i]);
    config->text[i] = strdup(value);
    CHECK(config->text[i]);
    return true;
}

bool config_set(struct config *config, const char *key, const char *value, char *error, size_t error_size)
{
    int i = find(key);
    if (i < 0) {
        unknown_key(key, error, error_size);
        return false;
    }
    return set(config, (unsigned)i, value, error, error_size);
}

/* Cuts the blanks off both ends, in place. */
static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    for (size_t n = strlen(text); n && strchr(" \t\r\n", text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

/* Splits "key = value" in place. */
static bool split(char *line, char **key, char **value)
{
    char *equals = strchr(line, '=');
    if (!equals)
        return false;
    *equals = '\0';
    *key = trim(line);
    *value = trim(equals + 1);
    return **key != '\0';
}

bool config_set_pair(struct config *config, const char *pair, char *error, size_t error_size)
{
    char *copy = strdup(pair), *key, *value;
    CHECK(copy);
    bool ok = split(copy, &key, &value);
    if (!ok)
        snprintf(error, error_size, "'%s' is not KEY=VALUE", pair);
    else
        ok = config_set(config, key, value, error, error_size);
    free(copy);
    return ok;
}

/* ---- the file ------------------------------------------------------------------------------------- */

static void cut_comment(char *line)
{
    for (char *at = line; *at; at++)
        if (*at == '#' && (at == line || at[-1] == ' ' || at[-1] == '\t')) {
            *at = '\0';
            return;
        }
}

/* Returns false with what is wrong. */
static bool read_line(struct config *config, char *line, unsigned number, char *error, size_t error_size)
{
    char *key, *value;
    cut_comment(line);
    line = trim(line);
    if (!*line)
        return true;
    if (!split(line, &key, &value)) {
        snprintf(error, error_size, "'%.60s' is not 'key = value'", line);
        return false;
    }
    int i = find(key);
    if (i >= 0 && config->line[i]) {
        snprintf(error, error_size, "%s is set in line %u already", key, config->line[i]);
        return false;
    }
    if (!config_set(config, key, value, error, error_size))
        return false;
    config->line[i] = number;
    return true;
}

unsigned config_read(struct config *config, const char *path, FILE *errors)
{
    char *line = NULL, error[512];
    size_t room = 0;
    unsigned number = 0, wrong = 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        fprintf(errors, "%s: %s\n", path, strerror(errno));
        return 1;
    }
    while (getline(&line, &room, file) >= 0) {
        number++;
        if (read_line(config, line, number, error, sizeof error))
            continue;
        fprintf(errors, "%s:%u: %s\n", path, number, error);
        wrong++;
    }
    if (ferror(file)) {
        fprintf(errors, "%s: %s\n", path, strerror(errno));
        wrong++;
    }
    free(line);
    fclose(file);
    return wrong;
}

const char *config_changed(const struct config *old, const struct config *new, unsigned from, unsigned *next)
{
    for (unsigned i = from; i < OPTIONS; i++) {
        if (options[i].when == AT_RELOAD || strcmp(old->text[i], new->text[i]) == 0)
            continue;
        *next = i + 1;
        return options[i].key;
    }
    return NULL;
}

/* ---- for people ----------------------------------------------------------------------------------- */

/* "4 KiB to 128 KiB", or nothing for types without bounds. */
static void bounds_text(const struct option *option, char *out, size_t size)
{
    char least[64], most[64];
    *out = '\0';
    if (!value_has_bounds(option->type))
        return;
    value_text(option->type, option->least, least, sizeof least);
    value_text(option->type, option->most, most, sizeof most);
    snprintf(out, size, "%s to %s", least, most);
}

/* Words, in lines of at most 100 columns, each behind `margin`. */
static void put_wrapped(FILE *out, const char *margin, const char *text)
{
    size_t column = 100;
    for (const char *word = text; *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        bool fits = column + 1 + len <= 100;
        if (fits)
            fprintf(out, " %.*s", (int)len, word);
        else
            fprintf(out, "%s%s%.*s", word == text ? "" : "\n", margin, (int)len, word);
        column = (fits ? column + 1 : strlen(margin)) + len;
        word += len;
    }
    fputc('\n', out);
}

void config_help(FILE *out)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        char bounds[160];
        bounds_text(option, bounds, sizeof bounds);
        fprintf(out, "  %s = %s\n      %s", option->key, option->preset, value_type_name(option->type));
        fprintf(out, "%s%s%s\n", *bounds ? ", " : "", bounds,
                option->when == AT_RELOAD ? "; read again at SIGHUP" : "");
        put_wrapped(out, "      ", option->help);
    }
}

void config_reference(FILE *out)
{
    fputs("# Options\n\nMade by `gannetd --help-options` from `dataplane/options.def`; do not edit. Sizes "
          "are written with B, KiB, "
          "MiB or GiB,\ndurations with ms, s, min or h.\n\n"
          "| key | default | type | bounds | SIGHUP | meaning |\n|---|---|---|---|---|---|\n",
          out);
    for (unsigned i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        char bounds[160];
        bounds_text(option, bounds, sizeof bounds);
        fprintf(out, "| `%s` | `%s` | %s | %s | %s | %s |\n", option->key, option->preset,
                value_type_name(option->type), bounds, option->when == AT_RELOAD ? "yes" : "", option->help);
    }
}

void config_sample(FILE *out)
{
    fputs("# Configuration of gannetd: every key with its default. Made by gannetd --help-config.\n"
          "#\n"
          "# Take the # of a line away to set its key. Sizes are written with B, KiB, MiB or GiB, durations "
          "with ms, s,\n"
          "# min or h. gannetd --check-config -c FILE says whether a file is good; SIGHUP (systemctl reload "
          "gannetd) reads it\n"
          "# again, for the keys that say so.\n",
          out);
    for (unsigned i = 0; i < OPTIONS; i++) {
        const struct option *option = &options[i];
        char bounds[160];
        bounds_text(option, bounds, sizeof bounds);
        fputc('\n', out);
        put_wrapped(out, "# ", option->help);
        fprintf(out, "# (%s%s%s%s)\n#%s =%s%s\n", value_type_name(option->type), *bounds ? ", " : "", bounds,
                option->when == AT_RELOAD ? "; read again at SIGHUP" : "", option->key,
                *option->preset ? " " : "", option->preset);
    }
}
