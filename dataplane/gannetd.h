/* The broker as a process: how its parts are put together at start, run, and taken apart. Main thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "broker.h"
#include "command_line.h"
#include "config.h"
#include "listener_kinds.h"
#include "network.h"
#include "placement.h"
#include "router/password.h"
#include "router/router.h"
#include "transport/transport.h"
#include "worker.h"

struct control;
struct storage;
struct tls_service;

/* A listener that has been opened. */
struct listening {
    const char *name; /* of its kind */
    unsigned layers;
    char address[ADDRESS_TEXT]; /* with its port */
};

enum { LISTENING_MAX = LISTENER_KINDS * 16 }; /* as options.def allows */

struct gannetd {
    const struct command_line *line;
    struct config *config;
    uint64_t (*clock_ns)(void), (*wall_ns)(void);
    uint64_t seed;
    uint8_t secret[32]; /* nobody else knows it */
    int lock;
    uint32_t connections_max; /* connections_max, or what the descriptors allow if that is less */
    struct placement placement;
    struct access_first first;
    char first_password[PASSWORD_TEXT_BYTES];
    struct prng salts; /* of passwords; the control thread's */
    struct storage *storage[ROUTERS_MAX];
    struct broker *broker;
    struct network *network; /* NULL: no listener is DPDK's */
    struct tls_service *tls; /* NULL: no listener wants TLS */
    /* By their layers; NULL: no listener is its. */
    struct transport *transport[NET_TRANSPORTS][LAYERS][FRONTS_MAX];
    struct transport *tls_transport[NET_TRANSPORTS][LAYERS][FRONTS_MAX]; /* those in them that are TLS's */
    struct listening listening[LISTENING_MAX];
    unsigned listening_count; /* fixed before there are workers */
    struct workers *workers;
    struct control *control;
};

/* Returns false with one sentence in error: the process is to end, and the kernel frees what was made. */
bool gannetd_start(struct gannetd *gannetd, char *error, size_t error_size);
/* SIGHUP. */
void gannetd_reload(struct gannetd *gannetd);
/* Once a day: what an operator should hear of before it stops working. */
void gannetd_look(const struct gannetd *gannetd);
/* A clean end: clients are told, everything accepted is made safe. hurry: asked from time to time whether to
 * give up waiting. Returns whether it was clean. */
bool gannetd_stop(struct gannetd *gannetd, bool (*hurry)(void));
