/* A call of the HTTP API: what was asked, and what is answered. On one of the HTTP server's threads. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum method { METHOD_GET, METHODS };

/* What all calls share; never changed while the server runs. */
struct mgmtd {
    const char *data_dir;
    char node[256]; /* the broker's name to RabbitMQ's tools */
};

struct call {
    const struct mgmtd *mgmtd;
    enum method method;
};

struct reply {
    unsigned status;  /* of HTTP */
    json_t *json;     /* NULL: text, or nothing */
    char *text;       /* malloc'd */
    const char *type; /* of the text */
};

/* Fills in a reply; takes json over. */
void reply_json(struct reply *reply, json_t *json);
/* {error, reason}, where error is the status in a word, as RabbitMQ has it. */
void reply_error(struct reply *reply, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
