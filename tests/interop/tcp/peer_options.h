/* What the peer is told to do. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tcp/device_faults.h"
#include "tcp/stack.h"

enum peer_end {
    END_LAST,  /* waits for the other side's FIN */
    END_FIRST, /* closes when all is sent and has come */
    END_ABORT, /* resets then */
};

struct peer_options {
    const char *device;
    const char *listen, *connect; /* address; one of them */
    const char *pcap;             /* what went by, before the faults; NULL: nowhere */
    struct device_faults_options faults;
    struct ip_prefix address[IP_ADDRESSES_MAX];
    unsigned addresses;
    uint16_t mtu;
    uint64_t seed;
    struct tcp_options tcp;
    uint64_t send, receive; /* bytes of each connection */
    bool echo;              /* sends as much as has come */
    uint64_t pause_at;      /* after so many bytes have come it doesn't read for pause_ms; 0: never */
    uint32_t pause_ms;
    uint32_t connections; /* then it is done */
    enum peer_end end;
};

/* Exits with a sentence if there is something wrong. */
void peer_options_parse(struct peer_options *options, int argc, char **argv);
