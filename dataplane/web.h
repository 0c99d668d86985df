/* WebSocket as it is configured, and what is spoken over it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "transport/ws_handshake.h"

/* By the number of the codec; without protocols for one that is not spoken over WebSocket. On the main
 * thread. */
const struct ws_speech *web_speeches(void);
struct ws_origins web_origins(const struct config *config);
/* What one message of WebSocket may carry: a message of the broker's with what stands around it, or some
 * smaller ones. */
uint64_t web_message_max(const struct config *config);
/* Returns false with one sentence in error. */
bool web_check(const struct config *config, char *error, size_t error_size);
