/* Where mgmtd listens. What can't be ends the process, with one sentence. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* On TCP. */
struct door {
    int listener;
    char host[64];
    uint16_t port;
};

/* A listening socket at DATADIR/mgmtd.sock. group: a name or number, NULL: the process's own. */
int listen_unix(const char *data_dir, mode_t mode, const char *group);
/* address: "127.0.0.1:15692"; what is served there is said on stderr, with the port that it came to. */
struct door listen_tcp(const char *address, const char *what);
