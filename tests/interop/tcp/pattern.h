/* Bytes that say where in a stream they stand, so that a lost, doubled or displaced piece is seen. linux.py
 * has the same ones. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Which way the stream goes: the two are different, so that an echo of the wrong one is seen. */
enum pattern_way { FROM_CONNECTING, FROM_LISTENING };

/* The bytes from position on, as many as there are in one piece. They don't change. */
struct span pattern_at(enum pattern_way way, uint64_t position);
bool pattern_is(enum pattern_way way, uint64_t position, struct span bytes);
