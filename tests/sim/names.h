/* What clients call things: from pools so small that they often mean the same. */
#pragma once

#include "client.h"

/* An exchange to publish to or to bind to: of the plan or a predeclared one, and usually one that exists. */
const char *names_exchange(const struct clients *all);
/* A queue that the client may name, and that usually exists. */
const char *names_queue(const struct client *client);
/* One of the plan's, that usually exists; SIZE_MAX: none does. */
size_t names_known_exchange(const struct clients *all);
size_t names_known_queue(const struct clients *all);
/* Arguments of a binding to a headers exchange. */
void names_match_arguments(struct prng *prng, struct buffer *arguments);
/* The headers of a message. */
void names_headers(struct prng *prng, struct buffer *headers);
