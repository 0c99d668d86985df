/* From bytes to frames to handlers. */
#pragma once

#include <stddef.h>

#include "codec/amqp/connection.h"

/* Clients send their properties and password before frame_max is agreed. */
#define FRAME_MAX_BEFORE_TUNE 8192u

/* As codec.input. */
size_t amqp_input(struct amqp *c, struct span bytes);
