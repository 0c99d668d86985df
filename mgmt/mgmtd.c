/*
 * gannet-mgmtd: the management plane. It reads the broker's counters from DATADIR/counters; the broker never
 * waits for it, and it may end and start at any time.
 *
 * DATADIR/mgmtd.sock serves the HTTP API, and who may open it is an administrator; on TCP it is for the
 * broker's users, by their tags. The metrics' port serves /metrics only.
 */
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "http.h"
#include "listen.h"
#include "login.h"

static const char usage[] =
    "gannet-mgmtd, the management plane of a gannetd\n"
    "\n"
    "usage: gannet-mgmtd [-D DATADIR] [--api ADDRESS:PORT] [--metrics ADDRESS:PORT] [--socket-mode MODE]\n"
    "                    [--socket-group GROUP]\n"
    "\n"
    "  -D, --data DATADIR      the broker's data directory (/var/lib/gannet); the HTTP API is served at\n"
    "                          DATADIR/mgmtd.sock: who may open it is an administrator\n"
    "      --api A:PORT        where it is served for the broker's users too (127.0.0.1:15672); port 0: a "
    "free\n"
    "                          one; '': nowhere\n"
    "      --metrics A:PORT    where /metrics is served, for Prometheus (127.0.0.1:15692); 0 and '' "
    "likewise\n"
    "      --socket-mode MODE  of mgmtd.sock, octal (0660)\n"
    "      --socket-group G    a name or number (its own group)\n";

struct options {
    const char *data_dir, *api, *metrics, *group;
    mode_t mode;
};

enum { API = 256, METRICS, MODE, GROUP, HELP, VERSION };

static void take_option(struct options *o, int option)
{
    char *end;
    switch (option) {
    case 'D':
        o->data_dir = optarg;
        return;
    case API:
        o->api = optarg;
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
        {"data", required_argument, NULL, 'D'},           {"api", required_argument, NULL, API},
        {"metrics", required_argument, NULL, METRICS},    {"socket-mode", required_argument, NULL, MODE},
        {"socket-group", required_argument, NULL, GROUP}, {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},          {0},
    };
    struct options o = {
        .data_dir = "/var/lib/gannet", .api = "127.0.0.1:15672", .metrics = "127.0.0.1:15692", .mode = 0660};
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

static struct http *serve(const struct mgmtd *mgmtd, enum http_door door, int listener)
{
    char error[1024];
    struct http *http = http_new(mgmtd, door, listener, error, sizeof error);
    if (!http)
        errx(1, "%s", error);
    return http;
}

static struct served served_at(const struct door *door)
{
    struct served served = {.port = door->port};
    snprintf(served.address, sizeof served.address, "%s", door->host);
    return served;
}

/* All listen before any is served: what is served says where. */
static void serve_all(const struct options *o, struct mgmtd *mgmtd, struct http *http[HTTP_DOORS])
{
    struct door api = {.listener = -1}, metrics = {.listener = -1};
    int own = listen_unix(o->data_dir, o->mode, o->group);
    if (*o->api)
        api = listen_tcp(o->api, "API");
    if (*o->metrics)
        metrics = listen_tcp(o->metrics, "metrics");
    mgmtd->api = served_at(&api);
    mgmtd->metrics = served_at(&metrics);
    http[HTTP_OWN] = serve(mgmtd, HTTP_OWN, own);
    http[HTTP_API] = *o->api ? serve(mgmtd, HTTP_API, api.listener) : NULL;
    http[HTTP_METRICS] = *o->metrics ? serve(mgmtd, HTTP_METRICS, metrics.listener) : NULL;
}

int main(int argc, char **argv)
{
    struct options o = read_line(argc, argv);
    struct mgmtd mgmtd = {.data_dir = o.data_dir, .logins = logins_new()};
    struct http *http[HTTP_DOORS];
    sigset_t ends;
    int got;
    if (!mgmtd.logins)
        errx(1, "no memory");
    snprintf(mgmtd.control, sizeof mgmtd.control, "%s/control.sock", o.data_dir);
    name_node(&mgmtd);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* before there are threads, which inherit it */
    serve_all(&o, &mgmtd, http);
    sd_notify(0, "READY=1");
    sigwait(&ends, &got);
    sd_notify(0, "STOPPING=1");
    for (unsigned i = 0; i < HTTP_DOORS; i++)
        http_free(http[i]);
    logins_free(mgmtd.logins);
    return 0;
}
