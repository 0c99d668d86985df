/*
 * What a front has lent to routers until they have taken the commands that point into it: receive buffers (by
 * port and epoch) and buffers of bodies put together from several frames. A FIFO: each row holds how many
 * commands each router must have taken.
 */
#pragma once

#include <stdint.h>

#include "base/limits.h"

struct lent_row {
    uint8_t *buffer;            /* to be freed, or NULL: */
    unsigned port;              /* whose */
    uint64_t epoch;             /* is to be released */
    uint64_t sent[ROUTERS_MAX]; /* commands sent to each router by then */
};
