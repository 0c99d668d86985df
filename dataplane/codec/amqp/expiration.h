/* What is wrong with an expiration property: the rule is expiration_ms (router/properties.h), here are the
 * words. */
#pragma once

#include <stddef.h>

#include "base/span.h"

/* Of one that is odd: into why, in RabbitMQ's words; returns why. */
const char *expiration_fault(struct span text, char *why, size_t size);
