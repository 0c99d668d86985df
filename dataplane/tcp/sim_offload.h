/* What a network card does to frames, slowly and plainly: sums, and cutting into segments. For device_sim. */
#pragma once

#include "tcp/device.h"

/* bytes: the whole frame, which may be changed. Fills in the sums that f->flags asks for, cuts if they ask
 * for that; calls emit for each frame that results. */
void sim_offload(const struct tx_frame *f, uint8_t *bytes, uint32_t len,
                 void (*emit)(void *owner, uint8_t *frame, uint32_t len), void *owner);
/* FRAME_*_SUM_* of a received frame. */
uint16_t sim_look_at_sums(const uint8_t *frame, uint32_t len);
