/* What is wrong with an expiration property: the rule is expiration_ms (router/properties.h), here are the
 * words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* False if it isn't one; why: in RabbitMQ's words. */
bool expiration_valid(struct span text, char *why, size_t size);
