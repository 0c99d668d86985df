/*
 * The bindings of a headers exchange. x-match is all (also if absent), any, all-with-x or any-with-x; without
 * "-with-x" fields whose name begins with "x-" are left out, and x-match itself always is; a field without a
 * value asks only that there is a header of that name; values are compared as field_matches does (all as in
 * RabbitMQ 4).
 *
 * A binding for any stands at each of its fields, one for all at the one of its fields where the fewest
 * stand; a match looks up the message's headers and tries what stands there.
 */
#pragma once

#include "router/spot.h"

struct headers {
    struct map fields;  /* of bindings, by hash */
    struct spot always; /* bindings for all of no fields */
    size_t presences;   /* how many stand at a name without a value */
};

/* Whether the arguments' x-match, if there is one, is one of the four: where not, a client's bind is to be
 * refused with this text. */
bool headers_arguments_valid(struct span arguments, char *text, size_t size);

/* The binding's own arguments, member and rule are used. An unknown x-match is taken for all. */
void headers_add(struct headers *headers, struct binding *binding);
void headers_remove(struct headers *headers, struct binding *binding);
/* table: the message's headers, checked. */
void headers_match(const struct headers *headers, struct span table, struct match *match);
/* There are no bindings left. */
void headers_free(struct headers *headers);

void header_view_free(struct header_view *view);
