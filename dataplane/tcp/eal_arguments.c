#include "tcp/eal_arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Copies a word without its quotes to `to`; returns what is behind it, or NULL if a quote isn't closed. */
static const char *next_word(const char *from, char *to)
{
    char quote = 0;
    for (; *from && (quote || !blank(*from)); from++) {
        if (quote ? *from == quote : (*from == '\'' || *from == '"'))
            quote = quote ? 0 : *from;
        else if (*from == '\\' && quote != '\'' && from[1])
            *to++ = *++from;
        else
            *to++ = *from;
    }
    *to = '\0';
    return quote ? NULL : from;
}

bool eal_arguments_add(struct eal_arguments *arguments, const char *word)
{
    if (arguments->count == EAL_ARGUMENTS_MAX)
        return false;
    char *copy = strdup(word);
    CHECK(copy);
    arguments->word[arguments->count++] = copy;
    arguments->word[arguments->count] = NULL;
    return true;
}

static bool parse(struct eal_arguments *arguments, const char *text, char *word, char *error,
                  size_t error_size)
{
    for (const char *at = text; *(at += strspn(at, " \t\n"));) {
        at = next_word(at, word);
        if (!at) {
            snprintf(error, error_size, "a quote is not closed in \"%s\"", text);
            return false;
        }
        if (!eal_arguments_add(arguments, word)) {
            snprintf(error, error_size, "more than %d words", EAL_ARGUMENTS_MAX - 1);
            return false;
        }
    }
    return true;
}

bool eal_arguments_parse(struct eal_arguments *arguments, const char *program, const char *text, char *error,
                         size_t error_size)
{
    char *word = malloc(strlen(text) + 1);
    CHECK(word);
    *arguments = (struct eal_arguments){0};
    CHECK(eal_arguments_add(arguments, program));
    bool good = parse(arguments, text, word, error, error_size);
    free(word);
    if (!good)
        eal_arguments_free(arguments);
    return good;
}

/* Whether word i is the option; *value: its value, "" if it has none. */
static bool is_option(const struct eal_arguments *arguments, int i, const char *option, const char **value)
{
    const char *word = arguments->word[i];
    size_t len = strlen(option);
    bool is_long = option[0] == '-' && option[1] == '-';
    if (strncmp(word, option, len) != 0)
        return false;
    *value = word + len;
    if (word[len] == '\0')
        *value = i + 1 < arguments->count ? arguments->word[i + 1] : "";
    else if (is_long && word[len] != '=')
        return false;
    else if (is_long)
        *value = word + len + 1;
    return true;
}

const char *eal_arguments_value(const struct eal_arguments *arguments, const char *option, unsigned n)
{
    const char *value;
    for (int i = 1; i < arguments->count; i++)
        if (is_option(arguments, i, option, &value) && n-- == 0)
            return value;
    return NULL;
}

bool eal_arguments_have(const struct eal_arguments *arguments, const char *option)
{
    return eal_arguments_value(arguments, option, 0);
}

void eal_arguments_free(struct eal_arguments *arguments)
{
    for (int i = 0; i < arguments->count; i++)
        free(arguments->word[i]);
    *arguments = (struct eal_arguments){0};
}
