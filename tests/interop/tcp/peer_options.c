#include "peer_options.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const struct option names[] = {
    {"device", required_argument, NULL, 'd'},
    {"address", required_argument, NULL, 'a'},
    {"mtu", required_argument, NULL, 'm'},
    {"seed", required_argument, NULL, 's'},
    {"listen", required_argument, NULL, 'l'},
    {"connect", required_argument, NULL, 'c'},
    {"send", required_argument, NULL, 'S'},
    {"receive", required_argument, NULL, 'R'},
    {"echo", no_argument, NULL, 'e'},
    {"end", required_argument, NULL, 'E'},
    {"pause-at", required_argument, NULL, 'p'},
    {"pause-ms", required_argument, NULL, 'P'},
    {"connections", required_argument, NULL, 'n'},
    {"lost", required_argument, NULL, 1},
    {"duplicated", required_argument, NULL, 2},
    {"overtaken", required_argument, NULL, 3},
    {"delay-us", required_argument, NULL, 4},
    {"late-us", required_argument, NULL, 5},
    {"congestion", required_argument, NULL, 6},
    {"keepalive-ms", required_argument, NULL, 7},
    {"give-up-ms", required_argument, NULL, 8},
    {"rx-window", required_argument, NULL, 9},
    {"rto-min-us", required_argument, NULL, 10},
    {"pcap", required_argument, NULL, 11},
    {NULL, 0, NULL, 0},
};

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (!*text || *end)
        errx(1, "no number: %s", text);
    return n;
}

static enum peer_end end_of(const char *text)
{
    static const char *const ends[] = {[END_LAST] = "last", [END_FIRST] = "first", [END_ABORT] = "abort"};
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(text, ends[i]) == 0)
            return i;
    errx(1, "no such end: %s", text);
}

/* What TCP and the wire are like. */
static void set_below(struct peer_options *o, int option)
{
    switch (option) {
    case 1:
        o->faults.lost_ppm = (uint32_t)number(optarg);
        break;
    case 2:
        o->faults.duplicated_ppm = (uint32_t)number(optarg);
        break;
    case 3:
        o->faults.overtaken_ppm = (uint32_t)number(optarg);
        break;
    case 4:
        o->faults.delay_ns = number(optarg) * 1000;
        break;
    case 5:
        o->faults.late_ns = number(optarg) * 1000;
        break;
    case 6:
        o->tcp.congestion = optarg;
        break;
    case 7:
        o->tcp.keepalive_ms = (uint32_t)number(optarg);
        break;
    case 8:
        o->tcp.give_up_ms = (uint32_t)number(optarg);
        break;
    case 9:
        o->tcp.rx_window_max = (uint32_t)number(optarg);
        break;
    case 10:
        o->tcp.rto_min_us = (uint32_t)number(optarg);
        break;
    case 11:
        o->pcap = optarg;
        break;
    default:
        exit(1);
    }
}

static void add_address(struct peer_options *o)
{
    if (o->addresses == IP_ADDRESSES_MAX || !ip_prefix_parse(optarg, &o->address[o->addresses++]))
        errx(1, "no address, or one too many: %s", optarg);
}

/* Which device, where, and how many. */
static void set_place(struct peer_options *o, int option)
{
    switch (option) {
    case 'd':
        o->device = optarg;
        break;
    case 'a':
        add_address(o);
        break;
    case 'm':
        o->mtu = (uint16_t)number(optarg);
        break;
    case 's':
        o->seed = number(optarg);
        break;
    case 'l':
        o->listen = optarg;
        break;
    case 'c':
        o->connect = optarg;
        break;
    case 'n':
        o->connections = (uint32_t)number(optarg);
        break;
    default:
        set_below(o, option);
    }
}

static void set(struct peer_options *o, int option)
{
    switch (option) {
    case 'S':
        o->send = number(optarg);
        break;
    case 'R':
        o->receive = number(optarg);
        break;
    case 'e':
        o->echo = true;
        break;
    case 'E':
        o->end = end_of(optarg);
        break;
    case 'p':
        o->pause_at = number(optarg);
        break;
    case 'P':
        o->pause_ms = (uint32_t)number(optarg);
        break;
    default:
        set_place(o, option);
    }
}

void peer_options_parse(struct peer_options *o, int argc, char **argv)
{
    *o = (struct peer_options){.mtu = 1500, .seed = 1, .connections = 1};
    o->tcp.connections_max = 4096;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;)
        set(o, option);
    if (!o->device || !o->addresses || !o->listen == !o->connect || optind != argc)
        errx(1, "usage: peer --device tap:NAME|packet:NAME|dpdk:EAL-ARGUMENTS --address A.B.C.D/N "
                "--listen|--connect ADDRESS:PORT ...");
    o->tcp.seed = o->seed;
    o->faults.seed = o->seed;
    memset(o->tcp.secret, (int)o->seed, sizeof o->tcp.secret);
}
