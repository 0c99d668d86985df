/*
 * Acknowledgements on their way to the routers: neighbours of one queue, consumer and verdict become one
 * SETTLE. Embedded in a codec's connection; nothing to free.
 */
#pragma once

#include <stdint.h>

#include "codec/host.h"

struct settle_run {
    uint32_t count; /* 0: none is collected */
    uint32_t router;
    enum settle how;
    uint64_t queue, seq, consumer;
};

/* One delivery more. consumer: the router's name for it, 0 for nobody's. */
void settle_add(struct settle_run *run, struct host *host, unsigned router, uint64_t queue, uint64_t seq,
                enum settle how, uint64_t consumer);
/* Sends what is collected: at the end of a turn, and before anything that must come after it. */
void settle_flush(struct settle_run *run, struct host *host);
