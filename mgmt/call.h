/* A call of the HTTP API: what was asked, by whom, and what is answered. On one of the HTTP server's threads.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "path.h"
#include "query.h"

enum method { METHOD_GET, METHOD_PUT, METHOD_POST, METHOD_DELETE, METHODS };

enum { ARGUMENTS_MAX = 6, CALLER_PASSWORD_BYTES = 4096 };

/* What a user's tags let him do here. */
enum right {
    MAY_USE = 1, /* see what is in the virtual hosts that he may use */
    MAY_SET_POLICIES = 2,
    MAY_MONITOR = 4, /* see all of the broker */
    MAY_ADMINISTER = 8,
};

struct logins;
struct site;

/* What all calls share; never changed while the server runs. */
struct mgmtd {
    const char *data_dir;
    char control[4400]; /* the path of the broker's control socket */
    char node[256];     /* the broker's name to RabbitMQ's tools */
    struct logins *logins;
    const struct site *site; /* NULL: no page is served */
    struct served {
        char address[64]; /* "": nowhere */
        uint16_t port;
        bool tls;
    } api, metrics;                       /* on TCP */
    const char *certificate;              /* the file of the certificate of those over TLS; NULL: none is */
    int64_t (*certificate_expires)(void); /* in seconds since 1970 */
};

struct caller {
    char name[PATH_NAME_BYTES + 1], tags[PATH_NAME_BYTES + 1]; /* with commas between */
    unsigned rights;                                           /* enum right */
    bool own; /* he has come by the administrator's socket, and is no user of the broker's */
};

struct call {
    const struct mgmtd *mgmtd;
    enum method method;
    struct caller caller;
    struct path path;
    const char *argument[ARGUMENTS_MAX]; /* what stands in the path for {this} and {that} */
    struct query query;
    const json_t *body; /* an object */
    const char *reason; /* the header X-Reason; NULL: there is none */
};

enum { STREAM_END = -1, STREAM_BROKEN = -2 };

struct reply {
    unsigned status;  /* of HTTP */
    json_t *json;     /* NULL: text, or nothing */
    char *text;       /* malloc'd */
    const char *type; /* of the text */
    struct stream { /* instead of text, what is read piece by piece while it goes out; state NULL: nothing */
        void *state;
        /* Up to room bytes into `to`: how many, or one of below. May block. */
        ssize_t (*read)(void *state, char *to, size_t room);
        void (*free)(void *state);
    } stream;
    char *location;   /* malloc'd: where what is new is; NULL: nowhere */
    unsigned retry_s; /* not 0: when a 429 may be asked again */
};

/* Fills in a reply; takes json over. */
void reply_json(struct reply *reply, json_t *json);
/* It is done: 201 for what is new, else 204. */
void reply_done(struct reply *reply, bool is_new);
/* {error, reason}, where error is the status in a word, as RabbitMQ has it. */
void reply_error(struct reply *reply, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* 401 as RabbitMQ has it for who has logged in. */
void reply_forbidden(struct reply *reply, const char *reason);
/* Another status, with its word, of what reply_error has said. */
void reply_status(struct reply *reply, unsigned status);
/* Another word than the status has. */
void reply_word(struct reply *reply, unsigned status, const char *word, const char *reason);
