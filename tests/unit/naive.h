/*
 * The oracle of the routing tests: what should match, worked out with arrays, strcmp and recursion. Shares no
 * line with router/.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prng.h"
#include "base/span.h"

/* Takes time exponential in the number of '#'. */
bool naive_topic(const char *pattern, const char *key);

/* A field of a table. type: S x (text), t I l B d T (number), V (neither). */
struct naive_field {
    const char *name;
    char type;
    const char *text;
    double number;
};

#define NAIVE_FIELDS_MAX 6

struct naive_table {
    unsigned count;
    struct naive_field fields[NAIVE_FIELDS_MAX];
};

bool naive_headers(const struct naive_table *arguments, const struct naive_table *headers);
/* Whether they hold the same fields in the same order. */
bool naive_same(const struct naive_table *a, const struct naive_table *b);

#define NAIVE_BYTES_MAX 512

/* Writes the table as on the wire, without its length, to out (NAIVE_BYTES_MAX); returns the bytes. */
struct span naive_encode(const struct naive_table *table, uint8_t *out);

/* Up to `most` fields with distinct names, out of few names and values so that tables often agree. */
void naive_random_table(struct naive_table *table, struct prng *prng, unsigned most);
/* Words out of an alphabet of three, some of them empty; wild: with '*' and '#'. out has room for words * 2
 * bytes. */
void naive_random_key(char *out, struct prng *prng, unsigned words_max, bool wild);
