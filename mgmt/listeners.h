/* What listens, by RabbitMQ's names of protocols: the broker's listeners and our own. */
#pragma once

#include "ask.h"

/* [{node, protocol, ip_address, port}]; NULL: the reply says why. */
json_t *listeners_json(const struct call *call, struct reply *reply);
/* RabbitMQ's name for a protocol that is also known by another. */
const char *listeners_protocol(const char *name);
