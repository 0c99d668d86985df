#include "http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route.h"

enum {
    THREADS = 4, /* a call may wait for the broker for seconds */
    CONNECTIONS_MAX = 256,
    IDLE_S = 30,
};

struct http {
    const struct mgmtd *mgmtd;
    enum http_door door;
    struct MHD_Daemon *daemon;
};

static const char *const methods[METHODS] = {"GET"};

/* ---- replies ------------------------------------------------------------------------------------------- */

/* known: a bit for each method. */
static void add_allow(struct MHD_Response *response, unsigned known)
{
    char allow[64];
    int len = 0;
    for (unsigned i = 0; i < METHODS; i++)
        if (known & 1u << i)
            len += snprintf(allow + len, sizeof allow - (size_t)len, "%s%s", len ? ", " : "", methods[i]);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
}

static enum MHD_Result respond(struct MHD_Connection *connection, struct reply *reply, unsigned known)
{
    char *text = reply->json ? json_dumps(reply->json, JSON_COMPACT) : reply->text;
    size_t len = text ? strlen(text) : 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    const char *type = reply->json ? "application/json" : reply->type;
    json_decref(reply->json);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    if (type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    if (reply->status == 405)
        add_allow(response, known);
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static void answer(const struct http *http, struct call *call, const char *path, struct reply *reply,
                   unsigned *known)
{
    const struct route *route = route_find(call->method, path, known);
    bool open = http->door == HTTP_API || strcmp(path, "/metrics") == 0;
    if (!open || (!route && !*known))
        reply_error(reply, 404, "there is no %s", open ? "such path" : "path here but /metrics");
    else if (!route)
        reply_error(reply, 405, "the path has other methods: see Allow");
    else
        route->handler(call, reply);
}

static enum method method_of(const char *name)
{
    unsigned i = 0;
    while (i < METHODS && strcmp(name, methods[i]) != 0)
        i++;
    /* A HEAD is a GET without what is said; libmicrohttpd leaves that out. */
    return strcmp(name, "HEAD") == 0 ? METHOD_GET : (enum method)i;
}

static enum MHD_Result handle(void *owner, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *len,
                              void **state)
{
    const struct http *http = owner;
    (void)version, (void)data;
    if (!*state) { /* the first line and the headers */
        *state = connection;
        return MHD_YES;
    }
    if (*len) { /* no call has a body */
        *len = 0;
        return MHD_YES;
    }
    struct call call = {.mgmtd = http->mgmtd, .method = method_of(method)};
    struct reply reply = {0};
    unsigned known = 0;
    answer(http, &call, url, &reply, &known);
    return respond(connection, &reply, known);
}

/* Paths are compared as they come: decoded, one with a NUL would end early. */
static size_t leave_encoded(void *owner, struct MHD_Connection *connection, char *text)
{
    (void)owner, (void)connection;
    return strlen(text);
}

/* ---- the server ------------------------------------------------------------------------------------------
 */

struct http *http_new(const struct mgmtd *mgmtd, enum http_door door, int listener, char *error,
                      size_t error_size)
{
    struct http *http = calloc(1, sizeof *http);
    if (http) {
        http->mgmtd = mgmtd;
        http->door = door;
        http->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, http,
            MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
            (unsigned)IDLE_S, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, NULL, MHD_OPTION_END);
    }
    if (http && http->daemon)
        return http;
    snprintf(error, error_size, "the HTTP server cannot start");
    free(http);
    return NULL;
}

void http_free(struct http *http)
{
    MHD_stop_daemon(http->daemon);
    free(http);
}
