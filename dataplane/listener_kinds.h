/* What is spoken on the listeners of each key of the configuration, and over what. */
#pragma once

#include <stddef.h>

#include "config.h"

/* What a connection's bytes go through above TCP, outermost last. */
enum layers { LAYER_TLS = 1, LAYER_WEB = 2, LAYERS = 4 };

struct listener_kind {
    const char *key;  /* listeners.amqps */
    const char *name; /* amqps, for the log */
    int codec;        /* CODEC_* */
    unsigned layers;  /* LAYER_* */
    size_t list;      /* in struct config */
};

enum { LISTENER_KINDS = 10 };
extern const struct listener_kind listener_kinds[LISTENER_KINDS];

static inline const struct text_list *listener_addresses(const struct config *config,
                                                         const struct listener_kind *kind)
{
    return (const struct text_list *)(const void *)((const char *)config + kind->list);
}

/* Whether each item of mqtt.ports is a port and a virtual host. Else one sentence in error. */
bool listener_ports_check(const struct config *config, char *error, size_t error_size);
/* Whether there is a listener with these layers at least. */
bool listener_wants(const struct config *config, unsigned layers);
