/*
 * gannet-mgmtd: the management plane. It reads the broker's counters from DATADIR/counters; the broker never
 * waits for it, and it may end and start at any time.
 *
 * DATADIR/mgmtd.sock serves the HTTP API: who may open it is an administrator. The metrics' port serves
 * /metrics only.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "http.h"

static const char usage[] =
    "gannet-mgmtd, the management plane of a gannetd\n"
    "\n"
    "usage: gannet-mgmtd [-D DATADIR] [--metrics ADDRESS:PORT] [--socket-mode MODE] [--socket-group GROUP]\n"
    "\n"
    "  -D, --data DATADIR      the broker's data directory (/var/lib/gannet); the HTTP API is served at\n"
    "                          DATADIR/mgmtd.sock: who may open it is an administrator\n"
    "      --metrics A:PORT    where /metrics is served, for Prometheus (127.0.0.1:15692); port 0: a free "
    "one; '': nowhere\n"
    "      --socket-mode MODE  of mgmtd.sock, octal (0660)\n"
    "      --socket-group G    a name or number (its own group)\n";

struct options {
    const char *data_dir, *metrics, *group;
    mode_t mode;
};

/* ---- listening
 * --------------------------------------------------------------------------------------------- */

static gid_t group_of(const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (*name && !*end)
        return (gid_t)number;
    const struct group *group = getgrnam(name);
    if (!group)
        errx(1, "there is no group '%s'", name);
    return group->gr_gid;
}

/* Socket names hold 107 bytes and paths more: the directory is named by a descriptor. Mode and group are set
 * before anybody can connect. */
static int listen_unix(const struct options *o)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int dir = open(o->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        err(1, "cannot open the data directory %s", o->data_dir);
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/mgmtd.sock", dir);
    unlinkat(dir, "mgmtd.sock", 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0777);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
              (!o->group || fchownat(dir, "mgmtd.sock", (uid_t)-1, group_of(o->group), 0) == 0) &&
              fchmodat(dir, "mgmtd.sock", o->mode, 0) == 0 && listen(fd, 64) == 0;
    umask(old);
    if (!ok)
        err(1, "cannot serve %s/mgmtd.sock", o->data_dir);
    close(dir);
    return fd;
}

static void say_where(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    char host[64], port[16];
    if (getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
        getnameinfo((struct sockaddr *)&name, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        fprintf(stderr, "gannet-mgmtd: metrics on %s:%s\n", host, port);
}

static int listen_tcp(const char *address)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    struct addrinfo *found,
        hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    if (!colon || colon == address || colon - address >= (int)sizeof host)
        errx(1, "'%s' is not an address and a port, such as 127.0.0.1:15692 or [::1]:15692", address);
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * bracketed, address + bracketed);
    int failed = getaddrinfo(host, colon + 1, &hints, &found);
    if (failed)
        errx(1, "'%s' is not an address and a port: %s", address, gai_strerror(failed));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 64) < 0)
        err(1, "cannot listen on %s", address);
    freeaddrinfo(found);
    say_where(fd);
    return fd;
}

/* ---- the process
 * --------------------------------------------------------------------------------------------- */

enum { METRICS = 256, MODE, GROUP, HELP, VERSION };

static void take_option(struct options *o, int option)
{
    char *end;
    switch (option) {
    case 'D':
        o->data_dir = optarg;
        return;
    case METRICS:
        o->metrics = optarg;
        return;
    case MODE:
        o->mode = (mode_t)strtoul(optarg, &end, 8);
        if (!*optarg || *end || o->mode > 0777)
            errx(1, "--socket-mode is an octal number up to 0777, not '%s'", optarg);
        return;
    case GROUP:
        o->group = optarg;
        return;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    case VERSION:
        puts("gannet-mgmtd " GANNET_VERSION);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static struct options read_line(int argc, char **argv)
{
    static const struct option known[] = {
        {"data", required_argument, NULL, 'D'},
        {"metrics", required_argument, NULL, METRICS},
        {"socket-mode", required_argument, NULL, MODE},
        {"socket-group", required_argument, NULL, GROUP},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {0},
    };
    struct options o = {.data_dir = "/var/lib/gannet", .metrics = "127.0.0.1:15692", .mode = 0660};
    for (int option; (option = getopt_long(argc, argv, "D:", known, NULL)) != -1;)
        take_option(&o, option);
    if (optind < argc)
        take_option(&o, '?');
    return o;
}

/* gannet@HOST, as RabbitMQ names its nodes. Hosts have no quotes in their names. */
static void name_node(struct mgmtd *mgmtd)
{
    char host[200];
    if (gethostname(host, sizeof host) != 0)
        snprintf(host, sizeof host, "localhost");
    host[sizeof host - 1] = '\0';
    for (char *c = host; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
            *c = '?';
    snprintf(mgmtd->node, sizeof mgmtd->node, "gannet@%s", host);
}

int main(int argc, char **argv)
{
    struct options o = read_line(argc, argv);
    struct mgmtd mgmtd = {.data_dir = o.data_dir};
    char error[1024];
    sigset_t ends;
    int got;
    name_node(&mgmtd);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* before there are threads, which inherit it */
    struct http *api = http_new(&mgmtd, HTTP_API, listen_unix(&o), error, sizeof error), *metrics = NULL;
    if (api && *o.metrics)
        metrics = http_new(&mgmtd, HTTP_METRICS, listen_tcp(o.metrics), error, sizeof error);
    if (!api || (*o.metrics && !metrics))
        errx(1, "%s", error);
    sd_notify(0, "READY=1");
    sigwait(&ends, &got);
    sd_notify(0, "STOPPING=1");
    if (metrics)
        http_free(metrics);
    http_free(api);
    return 0;
}
