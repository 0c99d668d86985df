/* A device of which the test plays the wire: what rx is to give, what tx took. */
#pragma once

#include "tcp/device.h"

enum { FAKE_FRAMES = 512, FAKE_FRAME_BYTES = 2048 };

struct feed_device {
    struct device device;
    struct frame coming[FAKE_FRAMES];
    unsigned come, taken; /* frames put there, frames rx has given */
    unsigned freed;       /* by free(), of any fake device */
    unsigned sent, flushed;
    bool full, closed;
    uint8_t last[FAKE_FRAME_BYTES]; /* what tx took last */
    unsigned last_len;
};

void feed_device_init(struct feed_device *fake);
/* A frame to be received; the bytes are copied. */
void feed_device_put(struct feed_device *fake, const void *bytes, unsigned len);
/* Frees what the test left. */
void feed_device_drop(struct feed_device *fake);
