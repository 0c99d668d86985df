/*
 * The head of an HTTP/1.1 request (RFC 9112), read strictly: every line ends with CR LF, a field's name is a
 * token and stands at the beginning of its line. Spans point into what was parsed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { HTTP_FIELDS_MAX = 64 };

struct http_field {
    struct span name, value; /* without blanks around */
};

struct http_head {
    struct span method, target, version;
    struct http_field field[HTTP_FIELDS_MAX];
    unsigned fields;
};

/* How long the head at the beginning of the bytes is, with its blank line; 0: that has not come. seen: how
 * many of the bytes it was not in when asked before. */
size_t http_head_length(struct span bytes, size_t seen);
/* The first line only, without its CR LF. Returns whether it is one. */
bool http_head_request(struct http_head *head, struct span line);
/* bytes: as long as http_head_length said. Returns NULL, or a sentence that says what is wrong. */
const char *http_head_parse(struct http_head *head, struct span bytes);

/* The first field of this name (in any case) behind another; NULL: behind none. Returns NULL if there is
 * none. */
const struct http_field *http_head_field(const struct http_head *head, const char *name,
                                         const struct http_field *behind);
/* Equal but for upper and lower case of ASCII. */
bool http_same(struct span a, struct span b);
/* Takes the next element of a list with commas off its beginning; false: there is none. */
bool http_list_next(struct span *list, struct span *element);
/* Whether an element is in one of the fields of this name, in any case. */
bool http_head_lists(const struct http_head *head, const char *name, const char *element);
