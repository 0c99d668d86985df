/* DPDK's own command line, from one line of text (dpdk.eal): words as a shell makes them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { EAL_ARGUMENTS_MAX = 64 };

struct eal_arguments {
    char *word[EAL_ARGUMENTS_MAX + 1]; /* NULL behind the last */
    int count;
};

/* Words are parted by blanks; '...' and "..." keep blanks, a backslash keeps the next character (not within
 * '...'). program becomes word 0. Returns false with one sentence in error; nothing is to be freed then. */
bool eal_arguments_parse(struct eal_arguments *arguments, const char *program, const char *text, char *error,
                         size_t error_size);
/* Puts a word behind the others. Returns false if there are too many. */
bool eal_arguments_add(struct eal_arguments *arguments, const char *word);
/* Whether the option is there: "--file-prefix" as "--file-prefix x" or "--file-prefix=x"; "-l" as "-l 1" or
 * "-l1". */
bool eal_arguments_have(const struct eal_arguments *arguments, const char *option);
/* The value of the n-th (from 0) such option; NULL: there are not so many. */
const char *eal_arguments_value(const struct eal_arguments *arguments, const char *option, unsigned n);
void eal_arguments_free(struct eal_arguments *arguments);
