/* The path of a call, in pieces. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
    PATH_SEGMENTS_MAX = 10,
    PATH_NAME_BYTES = 255, /* AMQP's short strings: no name that the broker knows is longer */
};

struct path {
    unsigned count;
    char segment[PATH_SEGMENTS_MAX][PATH_NAME_BYTES + 1];
};

/* Takes a path as it came, without its query, apart at the slashes; then each piece is decoded, once, so that
 * %2F stands for a slash in a name. One slash at the end is left out. Returns NULL, or one sentence that says
 * what is wrong with it. */
const char *path_split(struct path *path, const char *raw);

/* Writes a slash and the name, encoded. */
void path_put(FILE *out, const char *name);

/* Decodes %XX from len bytes of text into at most size - 1 bytes and a NUL. NULL, or one sentence. What comes
 * out is UTF-8 without NULs. */
const char *path_decode(char *to, size_t size, const char *text, size_t len);
