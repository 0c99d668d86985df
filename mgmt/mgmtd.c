/*
 * gannet-mgmtd: the management plane. It reads the broker's counters from DATADIR/counters; the broker never
 * waits for it, and it may end and start at any time.
 *
 * DATADIR/mgmtd.sock serves the HTTP API, and who may open it is an administrator; on TCP it is for the
 * broker's users, by their tags. Both have the page (web/) at "/". The metrics' port serves /metrics only.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "certificate.h"
#include "http.h"
#include "listen.h"
#include "login.h"
#include "site.h"

static const char usage[] =
    "gannet-mgmtd, the management plane of a gannetd\n"
    "\n"
    "usage: gannet-mgmtd [-D DATADIR] [--api ADDRESS:PORT] [--metrics ADDRESS:PORT] [--socket-mode MODE]\n"
    "                    [--socket-group GROUP] [--certificate FILE --key FILE [--api-tls] [--metrics-tls]]\n"
    "                    [--web DIR]\n"
    "\n"
    "  -D, --data DATADIR      the broker's data directory (/var/lib/gannet); the HTTP API is served at\n"
    "                          DATADIR/mgmtd.sock: who may open it is an administrator\n"
    "      --api A:PORT        where it is served for the broker's users too (127.0.0.1:15672); port 0: a "
    "free\n"
    "                          one; '': nowhere\n"
    "      --metrics A:PORT    where /metrics is served, for Prometheus (127.0.0.1:15692); 0 and '' "
    "likewise\n"
    "      --socket-mode MODE  of mgmtd.sock, octal (0660)\n"
    "      --socket-group G    a name or number (its own group)\n"
    "      --api-tls           the API's port speaks HTTPS only, TLS 1.2 or 1.3\n"
    "      --metrics-tls       the metrics' port likewise\n"
    "      --certificate FILE  for both: PEM, with the chain of those who signed it behind it\n"
    "      --key FILE          its private key, without a password; SIGHUP reads both files again\n"
    "      --web DIR           the files of the page, which is served at / with the API (web or "
    "../share/gannet/web,\n"
    "                          from where this program is); '': no page\n";

struct options {
    const char *data_dir, *api, *metrics, *group, *certificate, *key, *web;
    bool api_tls, metrics_tls;
    mode_t mode;
};

enum { API = 256, METRICS, MODE, GROUP, API_TLS, METRICS_TLS, CERTIFICATE, KEY, WEB, HELP, VERSION };

enum { LOOK_S = 24 * 3600 };

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
    case API_TLS:
        o->api_tls = true;
        return;
    case METRICS_TLS:
        o->metrics_tls = true;
        return;
    case CERTIFICATE:
        o->certificate = optarg;
        return;
    case KEY:
        o->key = optarg;
        return;
    case WEB:
        o->web = optarg;
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

/* What would be without a use is a slip. */
static void check_tls(const struct options *o)
{
    bool tls = o->api_tls || o->metrics_tls;
    if (tls && !(o->certificate && o->key))
        errx(1, "--%s-tls needs --certificate and --key, the PEM files of a certificate and its private key",
             o->api_tls ? "api" : "metrics");
    if (!tls && (o->certificate || o->key))
        errx(1, "--certificate and --key are for --api-tls and --metrics-tls: give one of these too");
    if ((o->api_tls && !*o->api) || (o->metrics_tls && !*o->metrics))
        errx(1, "--%s-tls is given, but --%s is empty: nothing is served there",
             o->api_tls && !*o->api ? "api" : "metrics", o->api_tls && !*o->api ? "api" : "metrics");
}

static struct options read_line(int argc, char **argv)
{
    static const struct option known[] = {
        {"data", required_argument, NULL, 'D'},
        {"api", required_argument, NULL, API},
        {"metrics", required_argument, NULL, METRICS},
        {"socket-mode", required_argument, NULL, MODE},
        {"socket-group", required_argument, NULL, GROUP},
        {"api-tls", no_argument, NULL, API_TLS},
        {"metrics-tls", no_argument, NULL, METRICS_TLS},
        {"certificate", required_argument, NULL, CERTIFICATE},
        {"key", required_argument, NULL, KEY},
        {"web", required_argument, NULL, WEB},
        {"help", no_argument, NULL, HELP},
        {"version", no_argument, NULL, VERSION},
        {0},
    };
    struct options o = {
        .data_dir = "/var/lib/gannet", .api = "127.0.0.1:15672", .metrics = "127.0.0.1:15692", .mode = 0660};
    for (int option; (option = getopt_long(argc, argv, "D:", known, NULL)) != -1;)
        take_option(&o, option);
    if (optind < argc)
        take_option(&o, '?');
    check_tls(&o);
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

/* Beside the program in a build tree, and where an installation has such files, wherever that has been put.
 */
static const char *default_web(void)
{
    static char path[4200];
    char own[4096];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    own[len < 0 ? 0 : len] = '\0';
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = '\0';
    snprintf(path, sizeof path, "%s/web", own);
    if (access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%s/../share/gannet/web", own);
    return path;
}

static struct site *page(const char *web)
{
    struct site *site = *web ? site_new(web) : NULL;
    if (*web && !site)
        errx(1, "no memory");
    return site;
}

static struct http *serve(const struct mgmtd *mgmtd, enum http_door door, int listener, bool tls)
{
    char error[1024];
    struct http *http = http_new(mgmtd, door, listener, tls, error, sizeof error);
    if (!http)
        errx(1, "%s", error);
    return http;
}

static struct served served_at(const struct door *door, bool tls)
{
    struct served served = {.port = door->port, .tls = tls};
    snprintf(served.address, sizeof served.address, "%s", door->host);
    return served;
}

/* All listen before any is served: what is served says where. */
static void serve_all(const struct options *o, struct mgmtd *mgmtd, struct http *http[HTTP_DOORS])
{
    struct door api = {.listener = -1}, metrics = {.listener = -1};
    int own = listen_unix(o->data_dir, o->mode, o->group);
    if (*o->api)
        api = listen_tcp(o->api, o->api_tls ? "API over TLS" : "API");
    if (*o->metrics)
        metrics = listen_tcp(o->metrics, o->metrics_tls ? "metrics over TLS" : "metrics");
    mgmtd->api = served_at(&api, o->api_tls);
    mgmtd->metrics = served_at(&metrics, o->metrics_tls);
    http[HTTP_OWN] = serve(mgmtd, HTTP_OWN, own, false);
    http[HTTP_API] = *o->api ? serve(mgmtd, HTTP_API, api.listener, o->api_tls) : NULL;
    http[HTTP_METRICS] = *o->metrics ? serve(mgmtd, HTTP_METRICS, metrics.listener, o->metrics_tls) : NULL;
}

/* ---- the certificate ----------------------------------------------------------------------------------- */

/* Returns false with what is wrong in error. */
static bool read_certificate(const struct options *o, char *error, size_t error_size)
{
    if (!o->certificate)
        return true;
    if (!certificate_read(o->certificate, o->key, error, error_size))
        return false;
    certificate_warn(time(NULL));
    return true;
}

static void reload(const struct options *o)
{
    char error[1024];
    sd_notify(0, "RELOADING=1");
    if (!read_certificate(o, error, sizeof error))
        fprintf(stderr, "gannet-mgmtd: %s; the old certificate goes on\n", error);
    else if (o->certificate)
        fputs("gannet-mgmtd: the certificate has been read again; it counts for new connections\n", stderr);
    sd_notify(0, "READY=1");
}

/* Returns when it is time to end. */
static void wait_for_end(const struct options *o, const sigset_t *signals)
{
    for (;;) {
        int got = sigtimedwait(signals, NULL, &(struct timespec){.tv_sec = LOOK_S});
        if (got == SIGHUP)
            reload(o);
        else if (got > 0)
            return;
        else if (o->certificate && errno == EAGAIN)
            certificate_warn(time(NULL));
    }
}

int main(int argc, char **argv)
{
    struct options o = read_line(argc, argv);
    struct mgmtd mgmtd = {.data_dir = o.data_dir, .logins = logins_new()};
    struct site *site = page(o.web ? o.web : default_web());
    struct http *http[HTTP_DOORS];
    sigset_t signals;
    char error[1024];
    if (!mgmtd.logins)
        errx(1, "no memory");
    mgmtd.site = site;
    snprintf(mgmtd.control, sizeof mgmtd.control, "%s/control.sock", o.data_dir);
    name_node(&mgmtd);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before there are threads, which inherit it */
    if (!read_certificate(&o, error, sizeof error))
        errx(1, "%s", error);
    mgmtd.certificate = o.certificate;
    mgmtd.certificate_expires = certificate_expires;
    serve_all(&o, &mgmtd, http);
    sd_notify(0, "READY=1");
    wait_for_end(&o, &signals);
    sd_notify(0, "STOPPING=1");
    for (unsigned i = 0; i < HTTP_DOORS; i++)
        http_free(http[i]);
    logins_free(mgmtd.logins);
    site_free(site);
    return 0;
}
