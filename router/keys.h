/* Bindings by their whole key: a direct exchange, and the topic bindings without wildcards. */
#pragma once

#include "router/spot.h"

struct keys {
    struct map map;
};

/* The binding's own key and member are used. */
void keys_add(struct keys *keys, struct binding *binding);
void keys_remove(struct keys *keys, struct binding *binding);
void keys_match(const struct keys *keys, struct span key, struct match *match);
/* There are no bindings left. */
void keys_free(struct keys *keys);
