/*
 * The limits of a user or a virtual host, and the text that says them: a JSON object with numbers,
 * {"max-connections":10,"max-channels":-1}. A negative one is no limit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum limit {
    LIMIT_CONNECTIONS,
    LIMIT_CHANNELS,  /* of users */
    LIMIT_QUEUES,    /* of virtual hosts */
    LIMIT_PUBLISHES, /* a second */
    LIMIT_BYTES,     /* published, a second: of bodies */
    LIMITS
};

#define LIMIT_UNSAID      INT64_MIN /* nobody has said anything of it */
#define LIMITS_TEXT_BYTES 256u      /* of such a text, with its NUL */

struct limits {
    int64_t most[LIMITS];
};

void limits_init(struct limits *limits);
bool limits_said(const struct limits *limits);
/* What the text says goes into limits, the others stay as they are. False, with one sentence in why: it isn't
 * such a text, or has a limit that users (of_user) or virtual hosts don't have. */
bool limits_read(struct limits *limits, struct span text, bool of_user, char *why, size_t size);
/* By the name of one. LIMITS: there is none of that name. */
enum limit limit_named(struct span name);
void limits_write(const struct limits *limits, char text[LIMITS_TEXT_BYTES]);
