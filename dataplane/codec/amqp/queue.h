#pragma once

#include "codec/amqp/channel.h"

/* Remembers the name as that of the last queue declared, and answers unless the request wants no answer. */
void queue_declare_ok(struct amqp *c, struct channel *ch, struct span name, uint32_t messages,
                      uint32_t consumers);
