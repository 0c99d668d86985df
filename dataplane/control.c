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
#include "gannetd.h"
#include "listener_kinds.h"
#include "policies.h"
#include "status.h"
#include "sys_topics.h"
#include "users.h"

enum {
    CLIENT_S = 2,     /* a client that takes longer is dropped */
    ANSWER_MS = 5000, /* an agent that takes longer is reported */
    TELL_MS = 1000,   /* between two looks at the counters for other processes */
};

struct control {
    struct gannetd *gannetd;
    char path[4200];
    int listener, end;            /* end: an eventfd */
    uint64_t started_ns, told_ns; /* of the topics $SYS */
    struct shm counters;
    uint64_t counted_ns;
    pthread_t thread;
};

/* ---- answers --------------------------------------------------------------------------------------- */

static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

struct op *control_ask(struct gannetd *g, struct op *op)
{
    static uint64_t asked;
    struct front *from = g->broker->front[0];
    uint64_t tag = op->tag = ++asked;
    front_ask(from, op);
    workers_wake_front(g->workers, 0);
    for (unsigned ms = 0; ms < ANSWER_MS; ms++) {
        struct op *back = front_take_answer(from);
        if (back && back->tag == tag)
            return back;
        front_free_answer(back); /* to an earlier request that was given up */
        rest();
    }
    return NULL;
}

/* Asks a front and waits for its list; malloc'd, NULL if it takes too long. */
static char *ask(struct gannetd *g, unsigned front, enum front_list what)
{
    struct front *from = g->broker->front[front];
    free(front_take_list(from, what)); /* of an earlier request that was given up */
    front_want_list(from, what);
    workers_wake_front(g->workers, front);
    for (unsigned ms = 0; ms < ANSWER_MS; ms++) {
        char *list = front_take_list(from, what);
        if (list)
            return list;
        rest();
    }
    return NULL;
}

static void too_late(FILE *out)
{
    fputs("error an agent of the broker does not answer\n", out);
}

static void answer_connections(struct gannetd *g, FILE *out)
{
    char *lists[FRONTS_MAX] = {0};
    bool all = true;
    for (unsigned i = 0; i < g->placement.fronts; i++)
        all &= (lists[i] = ask(g, i, LIST_CONNECTIONS)) != NULL;
    if (!all)
        too_late(out);
    else
        fputs("ok\npeer\tprotocol\tuser\tvhost\tclient\tstate\n", out);
    for (unsigned i = 0; i < g->placement.fronts; i++) {
        if (all)
            fputs(lists[i], out);
        free(lists[i]);
    }
}

static void answer_queues(struct gannetd *g, FILE *out)
{
    char *list = ask(g, 0, LIST_QUEUES);
    if (!list) {
        too_late(out);
        return;
    }
    fputs("ok\nvhost\tname\tready#\tunacknowledged#\tconsumers#\tbytes#\tflags\tpolicy\toperator_policy\n",
          out);
    fputs(list, out);
    free(list);
}

static void answer(struct gannetd *g, char *request, FILE *out)
{
    if (strcmp(request, "status") == 0)
        status_write(g->broker, out);
    else if (strcmp(request, "connections") == 0)
        answer_connections(g, out);
    else if (strcmp(request, "queues") == 0)
        answer_queues(g, out);
    else if (!users_answer(g, request, out) && !policies_answer(g, request, out))
        fputs("error this broker knows users (add_user ...), virtual hosts, permissions, policies "
              "(set_policy ...), "
              "status, queues and connections\n",
              out);
}

/* ---- one client ------------------------------------------------------------------------------------ */

static bool read_line(int fd, char *line, size_t size)
{
    size_t n = 0;
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
    return false;
}

static void serve(struct gannetd *g, int fd)
{
    char line[CONTROL_LINE_BYTES], *text = NULL;
    size_t size = 0;
    const struct timeval limit = {.tv_sec = CLIENT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (!read_line(fd, line, sizeof line))
        return;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    answer(g, line, out);
    if (fclose(out) == 0)
        for (size_t at = 0; at < size;) {
            ssize_t sent = send(fd, text + at, size - at, MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            at += (size_t)sent;
        }
    free(text);
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

/* In ms. */
static int sleep_for(struct control *control)
{
    int counters = tell_counters(control), topics = tell_topics(control);
    return topics >= 0 && topics < counters ? topics : counters;
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
        serve(control->gannetd, fd);
        close(fd);
    }
    return NULL;
}

/* ---- the socket ------------------------------------------------------------------------------------- */

/* Socket names hold 107 bytes and paths more: the directory is named by a descriptor. */
static int listen_in(const char *directory)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/control.sock", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The lock is ours: a socket that is there is a dead broker's. */
    unlinkat(dir, "control.sock", 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&name, sizeof name) < 0 ||
                    fchmodat(dir, "control.sock", 0660, 0) < 0 || listen(fd, 16) < 0)) {
        int failed = errno;
        close(fd);
        errno = failed;
        fd = -1;
    }
    close(dir);
    return fd;
}

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
    snprintf(control->path, sizeof control->path, "%s/control.sock", directory);
    control->listener = listen_in(directory);
    control->end = eventfd(0, EFD_CLOEXEC);
    if (control->listener < 0 || control->end < 0 ||
        pthread_create(&control->thread, NULL, run, control) != 0) {
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
    unlink(control->path);
    shm_written(&control->counters, 0);
    shm_close(&control->counters);
    free(control);
}
