/*
 * What a front has lent to routers until they have taken the commands that point into it: receive buffers (by
 * port and epoch) and buffers of bodies put together from several frames. A FIFO: each row holds how many
 * commands each router must have taken.
 */
#pragma once

#include <stdint.h>

#include "base/limits.h"

struct front;

struct lent_row {
    uint8_t *buffer;            /* to be freed, or NULL: */
    unsigned port;              /* whose */
    uint64_t epoch;             /* is to be released */
    uint64_t sent[ROUTERS_MAX]; /* commands sent to each router by then */
};

/* A buffer of host_buffer is freed when the routers have taken all that has been sent by now. */
void lent_add(struct front *front, uint8_t *buffer);
/* What routers have taken may be used again: once a turn. */
void lent_take_back(struct front *front);
/* At the end, when nothing is taken any more. */
void lent_free(struct front *front);
