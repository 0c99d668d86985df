#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/shm.h"
#include "codec/codecs.h"
#include "connections.h"
#include "gannetd.h"
#include "listener_kinds.h"
#include "listeners.h"
#include "lists.h"
#include "parameters.h"
#include "policies.h"
#include "request.h"
#include "status.h"
#include "sys_topics.h"
#include "tls.h"
#include "trace.h"
#include "transport/socket.h"
#include "upkeep.h"
#include "users.h"

enum {
    CLIENT_S = 2,       /* a client that does nothing for so long is dropped, */
    CLIENT_MOST_S = 30, /* and so is one whose answer takes so long */
    ANSWER_PIECE_BYTES = 65536,
    ANSWER_MS = 5000, /* an agent that takes longer is reported */
    TELL_MS = 1000,   /* between two looks at the counters for other processes */
    TRACE_MS = 5,     /* and at what is traced */
};

struct control {
    struct gannetd *gannetd;
    char path[4200];
    int listener, end;            /* end: an eventfd */
    uint64_t started_ns, told_ns; /* of the topics $SYS */
    struct shm counters;
    uint64_t counted_ns;
    pthread_t thread;
    struct trace *trace; /* or NULL */
};

/* ---- answers --------------------------------------------------------------------------------------- */

struct op *control_ask_front(struct gannetd *g, unsigned front, struct op *op)
{
    static uint64_t asked;
    struct front *from = g->broker->front[front];
    uint64_t tag = op->tag = ++asked, until = g->clock_ns() + ANSWER_MS * UINT64_C(1000000);
    front_ask(from, op);
    workers_wake_front(g->workers, front);
    struct op *back = front_await_answer(from, until);
    for (; back && back->tag != tag; back = front_await_answer(from, until))
        front_free_answer(back); /* to an earlier request that was given up */
    return back;
}

struct op *control_ask(struct gannetd *g, struct op *op)
{
    return control_ask_front(g, 0, op);
}

/* Who answers, and how long it has run. */
struct op *control_ask_saying(struct gannetd *g, struct op *op, FILE *out)
{
    op = control_ask(g, op);
    if (op && op->error == ERR_NONE)
        return op;
    if (op)
        request_refused(out, op);
    else
        request_too_late(out);
    front_free_answer(op);
    return NULL;
}

static void tell_version(const struct control *control, FILE *out)
{
    uint64_t now_ms = control->gannetd->wall_ns() / 1000000, from_ms = control->counters.head->started_ms;
    fprintf(out, "ok\nversion\tpid#\tuptime_s#\n%s\t%d\t%llu\n", GANNET_VERSION, (int)getpid(),
            (unsigned long long)(now_ms > from_ms ? (now_ms - from_ms) / 1000 : 0));
}

static void answer(const struct control *control, char *request, FILE *out)
{
    struct gannetd *g = control->gannetd;
    if (strcmp(request, "status") == 0)
        status_write(g->broker, out);
    else if (strcmp(request, "alarms") == 0)
        status_write_alarms(g->broker, out);
    else if (strcmp(request, "limits") == 0)
        fprintf(out, "ok\nname\tvalue#\nconnections\t%u\n", g->connections_max);
    else if (strcmp(request, "version") == 0)
        tell_version(control, out);
    else if (strcmp(request, "listeners") == 0)
        listeners_write(g, out);
    else if (strcmp(request, "certificates") == 0)
        tls_service_write(g->tls, out);
    else if (!lists_answer(g, request, out) && !users_answer(g, request, out) &&
             !connections_answer(g, request, out) && !upkeep_answer(g, request, out) &&
             !parameters_answer(g, request, out) && !policies_answer(g, request, out))
        fputs("error this broker does not know that: gannetctl --help has what it knows, if both are of one "
              "version\n",
              out);
}

/* ---- one client ------------------------------------------------------------------------------------ */

/* False: there is none. */
static bool read_line(int fd, char *line, size_t size, bool *too_long)
{
    size_t n = 0;
    *too_long = false;
    while (n < size) {
        ssize_t got = recv(fd, line + n, size - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        char *end = memchr(line, '\n', n);
        if (end) {
            *end = '\0';
            return true;
        }
    }
    *too_long = true;
    return false;
}

static void refuse(int fd, const char *why)
{
    (void)!send(fd, why, strlen(why), MSG_NOSIGNAL);
}

/* ns between two publishes of $SYS topics; 0: there is nobody to want them. */
static uint64_t sys_interval(const struct config *config)
{
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if (listener_kinds[k].codec == CODEC_MQTT && listener_addresses(config, &listener_kinds[k])->count)
            return config->mqtt_sys_interval * 1000000;
    return 0;
}

/* Publishes them if it is time. Returns ms until it is next; -1: never. */
static int tell_topics(struct control *control)
{
    const struct gannetd *g = control->gannetd;
    uint64_t now = g->clock_ns(), every = sys_interval(g->config);
    if (!every)
        return -1;
    if (!control->started_ns)
        control->started_ns = control->told_ns = now;
    if (now >= control->told_ns + every) {
        control->told_ns = now;
        sys_topics_publish(control->gannetd, control->started_ns);
    }
    return (int)((control->told_ns + every - now) / 1000000 + 1);
}

/* Tells other processes the counters, if it is time. Returns ms until it is next. */
static int tell_counters(struct control *control)
{
    const struct gannetd *g = control->gannetd;
    uint64_t now = g->clock_ns(), every = TELL_MS * UINT64_C(1000000);
    if (now >= control->counted_ns + every) {
        control->counted_ns = now;
        status_tell(&control->counters, g->broker, g->wall_ns() / 1000000);
    }
    return (int)((control->counted_ns + every - now) / 1000000 + 1);
}

static void end_trace(struct control *control)
{
    trace_end(control->trace);
    control->trace = NULL;
}

/* In ms. */
static int sleep_for(struct control *control)
{
    int counters = tell_counters(control), topics = tell_topics(control);
    if (control->trace && !trace_move(control->trace))
        end_trace(control);
    if (control->trace)
        return TRACE_MS;
    return topics >= 0 && topics < counters ? topics : counters;
}

/* A client that is being answered. */
struct answered {
    struct control *control;
    int fd;
    uint64_t until_ns; /* then it is dropped: others wait */
};

/* Between two pieces of a long answer there is time for what else is to be done. */
static ssize_t send_piece(void *cookie, const char *bytes, size_t size)
{
    const struct answered *to = cookie;
    sleep_for(to->control);
    if (to->control->gannetd->clock_ns() > to->until_ns)
        return 0;
    ssize_t sent = send(to->fd, bytes, size, MSG_NOSIGNAL);
    return sent < 0 ? 0 : sent;
}

/* True: the client stays. */
static bool trace(struct control *control, char *request, int fd)
{
    if (control->trace && !trace_move(control->trace))
        end_trace(control);
    if (control->trace) {
        refuse(fd, "error somebody is tracing already: one trace at a time\n");
        return false;
    }
    control->trace = trace_begin(control->gannetd, request, fd);
    return control->trace;
}

/* True: the client stays. */
static bool serve(struct control *control, int fd)
{
    struct gannetd *g = control->gannetd;
    struct answered to = {control, fd, g->clock_ns() + CLIENT_MOST_S * UINT64_C(1000000000)};
    char line[CONTROL_LINE_BYTES], piece[ANSWER_PIECE_BYTES];
    const struct timeval limit = {.tv_sec = CLIENT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    bool too_long;
    if (!read_line(fd, line, sizeof line, &too_long)) {
        if (too_long)
            refuse(fd, "error this is too long for a request: with its end it has at most 16384 bytes\n");
        return false;
    }
    if (trace_is_wanted(line))
        return trace(control, line, fd);
    FILE *out = fopencookie(&to, "w", (cookie_io_functions_t){.write = send_piece});
    if (!out)
        return false;
    setvbuf(out, piece, _IOFBF, sizeof piece);
    answer(control, line, out);
    fclose(out);
    return false;
}

static void *run(void *arg)
{
    struct control *control = arg;
    struct pollfd fds[2] = {{.fd = control->listener, .events = POLLIN},
                            {.fd = control->end, .events = POLLIN}};
    pthread_setname_np(pthread_self(), "gannet-control");
    while (!(fds[1].revents & POLLIN)) {
        if (poll(fds, 2, sleep_for(control)) <= 0 || !(fds[0].revents & POLLIN))
            continue;
        int fd = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (!serve(control, fd))
            close(fd);
    }
    if (control->trace)
        end_trace(control);
    return NULL;
}

/* ---- the socket ------------------------------------------------------------------------------------- */

struct control *control_new(struct gannetd *gannetd, char *error, size_t error_size)
{
    const char *directory = gannetd->config->data_dir;
    struct control *control = calloc(1, sizeof *control);
    CHECK(control);
    control->gannetd = gannetd;
    if (!status_share(&control->counters, gannetd->broker, directory, gannetd->wall_ns() / 1000000, error,
                      error_size)) {
        free(control);
        return NULL;
    }
    snprintf(control->path, sizeof control->path, "unix:%s/control.sock", directory);
    control->listener = socket_listen_unix(control->path, error, error_size);
    control->end = eventfd(0, EFD_CLOEXEC);
    if (control->listener < 0 || control->end < 0 ||
        pthread_create(&control->thread, NULL, run, control) != 0) {
        if (control->listener >= 0)
            snprintf(error, error_size, "cannot serve %s: %s", control->path, strerror(errno));
        shm_close(&control->counters);
        free(control);
        return NULL;
    }
    return control;
}

void control_free(struct control *control)
{
    eventfd_write(control->end, 1);
    pthread_join(control->thread, NULL);
    close(control->listener);
    close(control->end);
    unlink(control->path + strlen("unix:"));
    shm_written(&control->counters, 0);
    shm_close(&control->counters);
    free(control);
}
