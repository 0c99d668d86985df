#include "http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "certificate.h"
#include "handlers.h"
#include "login.h"
#include "right.h"
#include "route.h"
#include "site.h"

enum {
    THREADS = 4, /* a call may wait for the broker for seconds */
    CONNECTIONS_MAX = 256,
    IDLE_S = 30,
    FORM_BYTES = 16 * 1024, /* of a form in memory, beside its parts */
    BODY_BYTES = 64 * 1024,
    STREAM_BYTES = 32 * 1024,           /* read at once of what goes out piece by piece */
    LONG_BODY_BYTES = 24 * 1024 * 1024, /* a message of 16 MiB as base 64 and more, or definitions */
};

struct http {
    const struct mgmtd *mgmtd;
    enum http_door door;
    struct MHD_Daemon *daemon;
};

/* A call that is coming in: who calls and what is known when its headers are there, the body afterwards. */
struct incoming {
    struct call call;
    const struct route *route;    /* NULL: the reply has been made, or is a file */
    const struct site_file *file; /* NULL: none is asked for */
    struct reply reply;
    unsigned known;                 /* methods of the path, a bit each */
    struct MHD_PostProcessor *form; /* NULL: the body is what is sent; else it is its part "file" */
    char *body;                     /* NULL: nothing has come */
    size_t kept, len;               /* len: with what was thrown away */
};

static const char *const methods[METHODS] = {"GET", "PUT", "POST", "DELETE"};

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

static void add_headers(struct MHD_Response *response, const struct reply *reply, unsigned known)
{
    const char *type = reply->json ? "application/json" : reply->type;
    char seconds[16];
    if (type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (reply->location)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, reply->location);
    if (reply->status == 405)
        add_allow(response, known);
    if (reply->status == 401)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                                "Basic realm=\"Gannet Management\"");
    snprintf(seconds, sizeof seconds, "%u", reply->retry_s);
    if (reply->retry_s)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
}

static ssize_t read_stream(void *owner, uint64_t position, char *to, size_t room)
{
    const struct stream *stream = owner;
    (void)position;
    ssize_t n = stream->read(stream->state, to, room);
    return n >= 0            ? n
           : n == STREAM_END ? MHD_CONTENT_READER_END_OF_STREAM
                             : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_stream(void *owner)
{
    struct stream *stream = owner;
    stream->free(stream->state);
    free(stream);
}

/* The stream becomes the response's. */
static struct MHD_Response *streamed(struct reply *reply)
{
    struct stream *stream = malloc(sizeof *stream);
    if (!stream)
        return NULL;
    *stream = reply->stream;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BYTES, read_stream, stream, free_stream);
    if (response)
        reply->stream.state = NULL;
    else
        free(stream);
    return response;
}

static struct MHD_Response *whole(struct reply *reply)
{
    char *text = reply->json ? json_dumps(reply->json, JSON_COMPACT) : reply->text;
    size_t len = text ? strlen(text) : 0;
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    reply->text = reply->json ? reply->text : NULL; /* it is the response's */
    if (!response)
        free(text);
    return response;
}

static enum MHD_Result respond(struct MHD_Connection *connection, struct reply *reply, unsigned known)
{
    struct MHD_Response *response = reply->stream.state ? streamed(reply) : whole(reply);
    if (!response)
        return MHD_NO;
    add_headers(response, reply, known);
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the page ------------------------------------------------------------------------------------------ */

/* What the page may do: talk to whom it is from, and be in nobody's frame. It asks how one logs in, too. */
static void add_page_headers(struct MHD_Response *response, const struct site_file *file, enum http_door door)
{
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, file->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, file->etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, "Content-Security-Policy",
                            "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
                            "frame-ancestors 'none'");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(response, "X-Gannet-Login", door == HTTP_OWN ? "none" : "basic");
}

static enum MHD_Result respond_file(struct MHD_Connection *connection, const struct site_file *file,
                                    enum http_door door)
{
    const char *has = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    bool same = has && strstr(has, file->etag) && file->status == 200;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(same ? 0 : file->len, file->bytes, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_page_headers(response, file, door);
    enum MHD_Result result = MHD_queue_response(connection, same ? 304 : file->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- what a call says ---------------------------------------------------------------------------------- */

static enum method method_of(const char *name)
{
    unsigned i = 0;
    while (i < METHODS && strcmp(name, methods[i]) != 0)
        i++;
    /* A HEAD is a GET without what is said; libmicrohttpd leaves that out. */
    return strcmp(name, "HEAD") == 0 ? METHOD_GET : (enum method)i;
}

struct reading {
    struct query *query;
    const char *wrong;
};

static enum MHD_Result add_to_query(void *owner, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct reading *reading = owner;
    (void)kind;
    reading->wrong = query_add(reading->query, name, value);
    return reading->wrong ? MHD_NO : MHD_YES;
}

static bool read_query(struct MHD_Connection *connection, struct call *call, struct reply *reply)
{
    struct reading reading = {.query = &call->query};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_to_query, &reading);
    if (reading.wrong)
        reply_error(reply, 400, "%s", reading.wrong);
    return !reading.wrong;
}

static bool takes_definitions(const struct route *route)
{
    return route && (route->handler == post_definitions || route->handler == post_definitions_of_vhost);
}

static size_t body_most(const struct incoming *incoming)
{
    return !incoming->route ? 0
           : incoming->route->handler == publish_message || takes_definitions(incoming->route)
               ? LONG_BODY_BYTES
               : BODY_BYTES;
}

static bool read_body(const struct incoming *incoming, struct call *call, struct reply *reply)
{
    json_error_t error;
    if (incoming->form && !incoming->len) {
        reply_error(reply, 400, "the form has no part 'file' with something in it");
        return false;
    }
    if (incoming->len > body_most(incoming)) {
        reply_error(reply, 413, "the body is longer than %zu bytes", body_most(incoming));
        return false;
    }
    json_t *body = incoming->len ? json_loadb(incoming->body, incoming->len,
                                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error)
                                 : json_object();
    call->body = body;
    if (json_is_object(body))
        return true;
    reply_error(reply, 400, body ? "the body is not a JSON object" : "the body is not JSON: %s, in line %d",
                body ? "" : error.text, body ? 0 : error.line);
    return false;
}

/* ---- who may ------------------------------------------------------------------------------------------- */

static bool log_in(const struct http *http, struct MHD_Connection *connection, struct call *call,
                   struct reply *reply)
{
    const char *header =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (http->door == HTTP_OWN)
        login_administrator(&call->caller);
    if (http->door != HTTP_API)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return login_caller(call, header, info->client_addr, reply);
}

static bool is_of_metrics(const char *path)
{
    return strcmp(path, "/metrics") == 0 || strcmp(path, "/metrics/per-object") == 0 ||
           strcmp(path, "/metrics/detailed") == 0;
}

static bool find(const struct http *http, struct call *call, const char *path, const struct route **route,
                 unsigned *known, struct reply *reply)
{
    const char *wrong = path_split(&call->path, path);
    bool open = http->door != HTTP_METRICS || is_of_metrics(path);
    if (open && !wrong)
        *route = route_find(call->method, &call->path, call->argument, known);
    if (open && wrong)
        reply_error(reply, 400, "%s", wrong);
    else if (!open || (!*route && !*known))
        reply_error(reply, 404, "there is no %s",
                    open ? "such path" : "path here but /metrics, /metrics/per-object and /metrics/detailed");
    else if (!*route)
        reply_error(reply, 405, "the path has other methods: see Allow");
    return *route;
}

/* A browser sends what it knows of its user along with what a page of anybody's asks for; and on the socket,
 * to which a tunnel may lead, nothing need be known. */
static bool is_of_other_site(struct MHD_Connection *connection)
{
    const char *from = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
    return from && strcmp(from, "same-origin") != 0 && strcmp(from, "none") != 0;
}

static enum MHD_Result take_more(struct incoming *incoming, const char *data, size_t len);

static enum MHD_Result take_part(void *owner, enum MHD_ValueKind kind, const char *name, const char *filename,
                                 const char *type, const char *coding, const char *data, uint64_t offset,
                                 size_t len)
{
    (void)kind, (void)filename, (void)type, (void)coding, (void)offset;
    return strcmp(name, "file") == 0 ? take_more(owner, data, len) : MHD_YES;
}

/* A file of definitions may come as browsers send one. */
static void begin_form(struct MHD_Connection *connection, struct incoming *incoming)
{
    static const char form[] = "multipart/form-data";
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    if (!takes_definitions(incoming->route) || !type || strncasecmp(type, form, sizeof form - 1) != 0)
        return;
    incoming->form = MHD_create_post_processor(connection, FORM_BYTES, take_part, incoming);
    if (incoming->form)
        return;
    incoming->route = NULL;
    reply_error(&incoming->reply, 400, "the form can't be read: its Content-Type has no boundary");
}

/* Before any body is kept: who may not call fills no memory. */
static void begin(const struct http *http, struct MHD_Connection *connection, struct incoming *incoming,
                  const char *path, const char *method)
{
    const struct route *route = NULL;
    struct call *call = &incoming->call;
    call->mgmtd = http->mgmtd;
    call->method = method_of(method);
    call->reason = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-Reason");
    incoming->file = http->door == HTTP_METRICS ? NULL : site_find(http->mgmtd->site, path);
    if (incoming->file) { /* anybody's: there is nothing of the broker in it */
        incoming->known = 1u << METHOD_GET;
        if (call->method != METHOD_GET)
            reply_error(&incoming->reply, 405, "the path has other methods: see Allow");
    } else if (is_of_other_site(connection)) {
        reply_word(&incoming->reply, 403, "forbidden", "a page of another site may not call this");
    } else if (log_in(http, connection, call, &incoming->reply) &&
               find(http, call, path, &route, &incoming->known, &incoming->reply) &&
               (http->door == HTTP_METRICS || right_check(route, call, &incoming->reply)) &&
               read_query(connection, call, &incoming->reply))
        incoming->route = route;
    begin_form(connection, incoming);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static enum MHD_Result take_more(struct incoming *incoming, const char *data, size_t len)
{
    size_t all = incoming->len + len;
    if (all < len)
        return MHD_NO;
    if (all <= body_most(incoming)) {
        char *body = realloc(incoming->body, all);
        if (!body)
            return MHD_NO;
        memcpy(body + incoming->len, data, len);
        incoming->body = body;
        incoming->kept = all;
    }
    incoming->len = all;
    return MHD_YES;
}

static enum MHD_Result handle(void *owner, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *len,
                              void **state)
{
    const struct http *http = owner;
    struct incoming *incoming = *state;
    (void)version;
    if (!incoming) { /* the first line and the headers */
        *state = incoming = calloc(1, sizeof *incoming);
        if (incoming)
            begin(http, connection, incoming, url, method);
        return incoming ? MHD_YES : MHD_NO;
    }
    if (*len) {
        /* What a form says wrong is that there is no file in it. */
        enum MHD_Result result = incoming->form ? (MHD_post_process(incoming->form, data, *len), MHD_YES)
                                                : take_more(incoming, data, *len);
        *len = 0;
        return result;
    }
    if (incoming->file && incoming->call.method == METHOD_GET)
        return respond_file(connection, incoming->file, http->door);
    if (incoming->route && read_body(incoming, &incoming->call, &incoming->reply))
        incoming->route->handler(&incoming->call, &incoming->reply);
    return respond(connection, &incoming->reply, incoming->known);
}

/* Passwords come in bodies, and in headers. */
static void forget(void *owner, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode code)
{
    struct incoming *incoming = *state;
    (void)owner, (void)connection, (void)code;
    if (!incoming)
        return;
    if (incoming->form)
        MHD_destroy_post_processor(incoming->form);
    if (incoming->body)
        explicit_bzero(incoming->body, incoming->kept);
    free(incoming->body);
    query_clear(&incoming->call.query);
    json_decref((json_t *)incoming->call.body);
    json_decref(incoming->reply.json);
    free(incoming->reply.text);
    if (incoming->reply.stream.state)
        incoming->reply.stream.free(incoming->reply.stream.state);
    free(incoming->reply.location);
    explicit_bzero(&incoming->call, sizeof incoming->call);
    free(incoming);
    *state = NULL;
}

/* They are decoded behind the slashes and the & (path.h), and by us: decoded here, one with a NUL would end
 * early. */
static size_t leave_encoded(void *owner, struct MHD_Connection *connection, char *text)
{
    (void)owner, (void)connection;
    return strlen(text);
}

/* ---- the server ---------------------------------------------------------------------------------------- */

struct http *http_new(const struct mgmtd *mgmtd, enum http_door door, int listener, bool tls, char *error,
                      size_t error_size)
{
    const struct MHD_OptionItem secured[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(uintptr_t)certificate_show},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL}};
    struct http *http = calloc(1, sizeof *http);
    if (http) {
        http->mgmtd = mgmtd;
        http->door = door;
        http->daemon = MHD_start_daemon(
            MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0), 0,
            NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_THREAD_POOL_SIZE,
            (unsigned)THREADS, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded,
            NULL, MHD_OPTION_NOTIFY_COMPLETED, forget, NULL, MHD_OPTION_ARRAY, tls ? secured : secured + 2,
            MHD_OPTION_END);
    }
    if (http && http->daemon)
        return http;
    snprintf(error, error_size, "the HTTP server cannot start");
    free(http);
    return NULL;
}

void http_free(struct http *http)
{
    if (http)
        MHD_stop_daemon(http->daemon);
    free(http);
}
