/* What a call asks of the broker. */
#pragma once

#include <stdio.h>

#include "call.h"
#include "table.h"

/* Sends a request of these words, the last of which is followed by NULL; a word that is NULL ends them early
 * too. True: *table has the answer, to be freed with table_free; NULL: nobody wants it. False: the reply says
 * why: 400, 404 or 503. May block for seconds. */
bool ask(const struct call *call, struct reply *reply, struct table *table, const char *word, ...)
    __attribute__((sentinel));
/* The same, of an array. */
bool ask_words(const struct call *call, struct reply *reply, struct table *table, const char *const *words,
               size_t count);
/* The same, of a line that is put together already, without its end. */
bool ask_line(const struct call *call, struct reply *reply, struct table *table, const char *line);
/* The same, of a request for a long list (dataplane/lists.h), of one virtual host if that isn't NULL: the
 * answer goes into a file, all of it. */
bool ask_into(const struct call *call, struct reply *reply, FILE *to, const char *request, const char *vhost);
