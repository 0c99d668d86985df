/*
 * tcp-bench: what TCP alone can do between two processes, by our own stack on a port of DPDK or by the
 * kernel's.
 *
 *   tcp-bench serve                 echoes on port 7000, takes everything on port 7001
 *   tcp-bench bulk                  one stream, as fast as it goes: MB/s acknowledged
 *   tcp-bench bulk --flood N        and N SYNs a second from addresses that nobody has
 *   tcp-bench pingpong              64 bytes there and back on each connection: requests/s, percentiles
 *
 * The result is one line of JSON.
 */
#include "buffer.h"
#include "carrier.h"
#include "clock.h"
#include "conn.h"
#include "echo.h"
#include "flood.h"
#include "histogram.h"
#include "options.h"
#include "port.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BULK_BYTES (4u << 20) /* lent over and over; nobody looks at them */

struct bench {
    struct port_options port;
    struct uri uri;
    const char *to, *flood_mac;
    double seconds, warmup;
    uint64_t connections, flood;
    bool dpdk;

    struct carrier *carrier;
    struct port *opened;
    struct conn *conns;
    uint64_t *sent_ns; /* of each connection's request */
    uint64_t answers, measure_ns;
    struct histogram round_trip;
};

static uint64_t number(const char *name, const char *text, uint64_t least, uint64_t most)
{
    char *rest;
    unsigned long long v = strtoull(text, &rest, 10);
    if (rest == text || *rest || v < least || v > most)
        errx(2, "--%s %s: not a number from %llu to %llu", name, text, (unsigned long long)least,
             (unsigned long long)most);
    return v;
}

static const struct option OPTIONS[] = {
    {"eal", 1, 0, 'e'},   {"address", 1, 0, 'a'},     {"gateway", 1, 0, 'g'}, {"mtu", 1, 0, 'm'},
    {"to", 1, 0, 't'},    {"connections", 1, 0, 'n'}, {"time", 1, 0, 'z'},    {"warm-up", 1, 0, 'w'},
    {"flood", 1, 0, 'f'}, {"flood-mac", 1, 0, 'M'},   {"help", 0, 0, 'h'},    {0}};

static const char HELP[] = "usage: tcp-bench serve|bulk|pingpong [options]\n"
                           "  --eal ARGUMENTS     over our own TCP on DPDK; without it the kernel's sockets\n"
                           "  --address IP/BITS   with --eal: the port's own address\n"
                           "  --gateway IP        with --eal: where packets to other networks go\n"
                           "  --mtu BYTES         with --eal (1500)\n"
                           "  --to IP             the server's address (10.0.0.2; sockets: 127.0.0.1)\n"
                           "  --connections N     of pingpong (1)\n"
                           "  --time S            measured (3), after --warm-up S (1)\n"
                           "  --flood N           with bulk --eal: SYNs a second from 198.18.0.0/15 ...\n"
                           "  --flood-mac MAC     ... to this Ethernet address, the server's";

static void parse(struct bench *b, int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
        switch (c) {
        case 'e':
            b->port.eal = optarg, b->dpdk = true;
            break;
        case 'a':
            b->port.address = optarg;
            break;
        case 'g':
            b->port.gateway = optarg;
            break;
        case 'm':
            b->port.mtu = number("mtu", optarg, 576, 9000);
            break;
        case 't':
            b->to = optarg;
            break;
        case 'n':
            b->connections = number("connections", optarg, 1, 50000);
            break;
        case 'z':
            b->seconds = strtod(optarg, NULL);
            break;
        case 'w':
            b->warmup = strtod(optarg, NULL);
            break;
        case 'f':
            b->flood = number("flood", optarg, 0, 10000000);
            break;
        case 'M':
            b->flood_mac = optarg;
            break;
        case 'h':
            puts(HELP);
            exit(0);
        default:
            exit(2);
        }
    }
    if (b->dpdk && !b->port.address)
        errx(2, "--eal: give the port an address of its own: --address 10.0.0.1/24");
    if (b->flood && (!b->dpdk || !b->flood_mac))
        errx(2, "--flood: it takes --eal and --flood-mac");
    if (!b->to)
        b->to = b->dpdk ? "10.0.0.2" : "127.0.0.1";
}

/* ---- the client ---- */
static void fail(const struct conn *c)
{
    errx(1, "%s", c->why);
}

static void on_lost(void *owner, struct conn *c)
{
    (void)owner;
    fail(c);
}

static void ask(struct bench *b, struct conn *c, uint64_t now)
{
    static const uint8_t request[ECHO_BYTES];
    int64_t sent = c->carrier->ops->send(c, request, sizeof request, false);
    if (sent != sizeof request)
        errx(1, "a request of %zu bytes was not taken at once", sizeof request);
    b->sent_ns[c->number] = now;
}

/* An answer: the next question, until the time is over. */
static int64_t on_input(void *owner, struct conn *c, const uint8_t *bytes, size_t n, uint64_t now)
{
    struct bench *b = owner;
    (void)bytes;
    if (n < ECHO_BYTES)
        return 0;
    /* One clock reading for each: within a turn that gets many the difference would show. */
    now = b->connections == 1 ? now_ns() : now;
    if (now >= b->measure_ns) {
        b->answers++;
        histogram_record(&b->round_trip, now - b->sent_ns[c->number]);
    }
    ask(b, c, now);
    return ECHO_BYTES;
}

static void connect_all(struct bench *b, const char *port)
{
    static const struct options plain = {.sources = 1}; /* all that a carrier asks for */
    snprintf(b->uri.host, sizeof b->uri.host, "%s", b->to);
    snprintf(b->uri.port, sizeof b->uri.port, "%s", port);
    b->conns = zalloc(b->connections, sizeof *b->conns);
    b->sent_ns = zalloc(b->connections, sizeof *b->sent_ns);
    b->carrier->user = (struct carrier_user){b, on_input, on_lost};
    for (uint32_t i = 0; i < b->connections; i++) {
        struct conn *c = &b->conns[i];
        *c = (struct conn){.role = CONN_PRODUCER, .number = i, .fd = -1, .carrier = b->carrier, .o = &plain};
        if (b->carrier->ops->connect(b->carrier, c, &b->uri))
            fail(c);
        c->is_open = true;
        conn_adopt(c);
        if (b->carrier->ops->watch)
            b->carrier->ops->watch(c);
    }
}

static void pingpong(struct bench *b)
{
    connect_all(b, ECHO_PORT);
    uint64_t now = now_ns(), end;
    b->measure_ns = now + (uint64_t)(b->warmup * 1e9);
    end = b->measure_ns + (uint64_t)(b->seconds * 1e9);
    for (uint64_t i = 0; i < b->connections; i++)
        ask(b, &b->conns[i], now);
    while (now_ns() < end)
        b->carrier->ops->turn(b->carrier, 0);
    printf("{\"requests_per_s\": %.0f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p99.9_us\": %.2f}\n",
           (double)b->answers / b->seconds, (double)histogram_percentile(&b->round_trip, 50) / 1e3,
           (double)histogram_percentile(&b->round_trip, 99) / 1e3,
           (double)histogram_percentile(&b->round_trip, 99.9) / 1e3);
}

static uint64_t through(struct bench *b, uint64_t taken)
{
    return taken - conn_lent(&b->conns[0]);
}

static void bulk(struct bench *b)
{
    uint8_t *bytes = zalloc(BULK_BYTES, 1);
    struct conn *c;
    struct flood *flood = NULL;
    uint64_t taken = 0, at_begin = 0, begin = 0, start, now;
    connect_all(b, SINK_PORT);
    c = b->conns;
    if (b->flood)
        flood = flood_new(port_device(b->opened), b->to, b->flood_mac, b->flood);
    for (start = now = now_ns(); !begin || now - begin < (uint64_t)(b->seconds * 1e9); now = now_ns()) {
        int64_t n = c->carrier->ops->send(c, bytes, BULK_BYTES / 4, true);
        if (n < 0)
            fail(c);
        taken += (uint64_t)n;
        if (flood)
            flood_turn(flood, now);
        b->carrier->ops->turn(b->carrier, 0);
        if (!begin && now - start > (uint64_t)(b->warmup * 1e9)) {
            begin = now;
            at_begin = through(b, taken);
        }
    }
    printf("{\"mb_per_s\": %.1f, \"syns_per_s\": %.0f}\n",
           (double)(through(b, taken) - at_begin) / ((double)(now - begin) / 1e3),
           flood ? (double)flood_sent(flood) / ((double)(now - start) / 1e9) : 0);
    free(flood);
    free(bytes);
}

static void open_carrier(struct bench *b, bool serves)
{
    char why[512];
    if (!b->dpdk) {
        b->carrier = serves ? NULL : carrier_socket_new();
        return;
    }
    b->opened = port_open(&b->port, why, sizeof why);
    if (!b->opened)
        errx(2, "%s", why);
    b->carrier = serves ? NULL : carrier_stream_new(b->opened);
}

int main(int argc, char **argv)
{
    static struct bench b = {
        .port = {.name = "", .mtu = 1500, .buffers = 8192}, .connections = 1, .seconds = 3, .warmup = 1};
    const char *what = argc > 1 ? argv[1] : "";
    bool serves = strcmp(what, "serve") == 0, bulks = strcmp(what, "bulk") == 0;
    if (!serves && !bulks && strcmp(what, "pingpong") != 0)
        errx(*what == '-' ? 0 : 2, "%s", HELP);
    parse(&b, argc - 1, argv + 1);
    open_carrier(&b, serves);
    if (serves)
        return b.dpdk ? echo_streams(b.opened) : echo_sockets(b.to);
    if (bulks)
        bulk(&b);
    else
        pingpong(&b);
    /* Connections end with the process, and so does the other side's. */
    fflush(stdout);
    _exit(0);
}
