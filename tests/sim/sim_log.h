/* What the broker says in its log of connections that it gives up. */
#pragma once

#include <stdint.h>

/* NULL: nobody listens any more. */
void sim_log_watch(void (*dropped)(void *owner, uint64_t stream), void *owner);
