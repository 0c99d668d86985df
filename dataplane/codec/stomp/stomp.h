/* STOMP 1.0, 1.1 and 1.2. */
#pragma once

#include "codec/codec.h"

extern const struct codec codec_stomp;
