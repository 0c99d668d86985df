#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access.h"
#include "router/command.h"
#include "trace_format.h"
#include "trace_mask.h"

enum { TAP_BYTES = 4 * TRACE_RECORD_BYTES, OUT_BYTES = TRACE_RECORD_BYTES + 4096, MOVES_AT_ONCE = 4096 };

struct trace {
    struct gannetd *gannetd;
    int fd;
    struct tap *tap;
    bool of_queue;
    unsigned agent; /* number of the front or router */
    char codec[16];
    uint8_t *out; /* on its way to the client */
    size_t out_len, out_sent;
    uint64_t lost; /* as the client has been told */
};

bool trace_is_wanted(const char *request)
{
    return strncmp(request, "trace_connection", 16) == 0 || strncmp(request, "trace_queue", 11) == 0;
}

/* ---- beginning and end -------------------------------------------------------------------------------- */

static struct op *op_new(const struct trace *trace, struct tap *tap)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = OP_LIST;
    op->flags = OP_TRACES;
    op->tap = tap;
    op->place.of = trace->of_queue ? LIST_QUEUES : LIST_CONNECTIONS;
    op->router = trace->of_queue ? trace->agent : 0;
    return op;
}

/* The connection's front has been found, or there is none. False: one doesn't answer, and may yet use the
 * tap. */
static bool find_connection(struct trace *trace, const char *name, struct op **found)
{
    *found = NULL;
    for (trace->agent = 0; trace->agent < trace->gannetd->placement.fronts; trace->agent++)
        for (struct list_place place = {.of = LIST_CONNECTIONS}; !place.end;) {
            struct op *op = op_new(trace, trace->tap);
            op->place = place;
            op->arguments = span_str(strdup(name));
            op = control_ask_front(trace->gannetd, trace->agent, op);
            if (!op)
                return false;
            if (op->messages) {
                *found = op;
                return true;
            }
            place = op->place;
            front_free_answer(op);
        }
    return true;
}

static bool find_queue(struct trace *trace, const struct name *vhost, const struct name *name,
                       struct op **found)
{
    uint32_t id = access_vhost_id(name_span(vhost));
    trace->agent = router_of_queue(id, name_span(name), trace->gannetd->placement.routers);
    struct op *op = op_new(trace, trace->tap);
    op->vhost = id;
    op->name = *name;
    op->other = *vhost;
    *found = control_ask(trace->gannetd, op);
    return *found;
}

static void forget(struct trace *trace, bool tap_is_free)
{
    if (tap_is_free)
        tap_free(trace->tap);
    free(trace->out);
    free(trace);
}

/* Says why there is none, if there is none. */
static bool tell(struct trace *trace, const struct op *found, const char *name, FILE *out)
{
    static const char columns[] = TRACE_CONNECTION_COLUMNS;
    if (found && found->error == ERR_NONE) {
        fprintf(out, "ok\n%s\n%s\n", trace->of_queue ? TRACE_QUEUE_COLUMNS : columns,
                found->list ? found->list : "");
        const char *codec = found->list ? strchr(found->list, '\t') : NULL;
        if (codec)
            snprintf(trace->codec, sizeof trace->codec, "%.*s", (int)strcspn(codec + 1, "\t\n"), codec + 1);
        return true;
    }
    if (found)
        request_refused(out, found);
    else
        request_missing(out, "there is no connection ", name);
    return false;
}

/* request: the words behind the first. */
static bool find(struct trace *trace, char *request, FILE *out, bool *answered)
{
    struct op *found = NULL;
    struct name vhost, name;
    const char *connection = request;
    if (trace->of_queue && (!request_name(&request, "the virtual host", &vhost, out) ||
                            !request_name(&request, "the queue", &name, out)))
        return false;
    if (!trace->of_queue && (!connection || !*connection)) {
        request_error(out, "the connection's name is missing", "");
        return false;
    }
    *answered = trace->of_queue ? find_queue(trace, &vhost, &name, &found)
                                : find_connection(trace, connection, &found);
    if (!*answered) {
        request_too_late(out);
        return false;
    }
    bool good = tell(trace, found, connection, out);
    front_free_answer(found);
    return good;
}

struct trace *trace_begin(struct gannetd *gannetd, char *request, int fd)
{
    struct trace *trace = calloc(1, sizeof *trace);
    CHECK(trace);
    *trace = (struct trace){.gannetd = gannetd, .fd = fd, .tap = tap_new(TAP_BYTES)};
    trace->out = malloc(OUT_BYTES);
    CHECK(trace->out);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    const char *word = strsep(&request, "\t");
    bool answered = true, good = false;
    trace->of_queue = strcmp(word, "trace_queue") == 0;
    if (trace->of_queue || strcmp(word, "trace_connection") == 0)
        good = find(trace, request, out, &answered);
    else
        request_error(out, "there is no trace called ", word);
    fclose(out);
    if (good && size <= OUT_BYTES) {
        memcpy(trace->out, text, size);
        trace->out_len = size;
    } else {
        (void)!send(fd, text, size, MSG_NOSIGNAL);
    }
    free(text);
    if (good)
        return trace;
    forget(trace, answered);
    return NULL;
}

/* An agent that doesn't answer may still put something into the tap, which then stays. */
void trace_end(struct trace *trace)
{
    struct op *op = op_new(trace, NULL);
    op = trace->of_queue ? control_ask(trace->gannetd, op)
                         : control_ask_front(trace->gannetd, trace->agent, op);
    bool answered = op;
    front_free_answer(op);
    close(trace->fd);
    forget(trace, answered);
}

/* ---- moving ------------------------------------------------------------------------------------------- */

/* False: the client has gone. What it can't take now stays. */
static bool send_out(struct trace *trace)
{
    while (trace->out_sent < trace->out_len) {
        ssize_t n = send(trace->fd, trace->out + trace->out_sent, trace->out_len - trace->out_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        trace->out_sent += (size_t)n;
    }
    trace->out_len = trace->out_sent = 0;
    return true;
}

static void put(struct trace *trace, const struct tap_record *record)
{
    memcpy(trace->out + trace->out_len, record, sizeof *record);
    trace->out_len += sizeof *record + record->bytes;
}

/* Whether there is something to be sent. */
static bool take(struct trace *trace)
{
    struct tap_record record;
    uint64_t lost = tap_lost(trace->tap);
    if (lost != trace->lost) {
        trace->lost = lost;
        put(trace, &(struct tap_record){.kind = TRACE_LOST, .offset = lost, .ns = trace->gannetd->wall_ns()});
    }
    uint8_t *bytes = trace->out + trace->out_len + sizeof record;
    if (!tap_take(trace->tap, &record, bytes))
        return trace->out_len;
    if (record.kind == TRACE_IN)
        trace_mask(trace->codec, bytes, record.bytes, record.flags & TRACE_LOGGED_IN);
    put(trace, &record);
    return true;
}

static bool has_gone(const struct trace *trace)
{
    char byte;
    ssize_t n = recv(trace->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

bool trace_move(struct trace *trace)
{
    for (unsigned moves = 0; moves < MOVES_AT_ONCE; moves++) {
        if (!send_out(trace))
            return false;
        if (trace->out_len || !take(trace))
            break;
    }
    return !has_gone(trace);
}
