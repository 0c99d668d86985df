/*
 * The opening handshake of WebSocket (RFC 6455, section 4), the server's side: what a request is answered
 * with. Bytes in, bytes out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* What is spoken on a listener. */
struct ws_speech {
    const char *const *protocols; /* Sec-WebSocket-Protocol, the best first; NULL behind the last */
    bool required;                /* a client that asks for none of them is refused */
    bool binary;                  /* messages are binary, both ways; else as the client's own are */
};

/* Whose pages may connect, as in web.origins: none named: those of the same host; "*": all. */
struct ws_origins {
    const char *const *item;
    unsigned count;
};

enum { WS_HEAD_MAX = 8192, WS_ANSWER_MAX = 512 };

struct ws_answer {
    unsigned status; /* 101: welcome */
    const char *why; /* if not: a sentence */
    size_t len;
    uint8_t bytes[WS_ANSWER_MAX];
};

/* Looks at the beginning of a request. Returns how many bytes of it are used up, and the answer; 0: more must
 * come. *seen: 0 at first, then its own. */
size_t ws_handshake(struct span bytes, size_t *seen, const struct ws_speech *speech,
                    const struct ws_origins *origins, struct ws_answer *answer);
/* The answer that refuses with this status (400, 403, 404, 405, 426, 431, 503 or 505). */
void ws_refuse(struct ws_answer *answer, unsigned status, const char *why);
