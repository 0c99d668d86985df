/* What listens, by RabbitMQ's names of protocols: the broker's listeners and our own. */
#pragma once

#include "ask.h"

/* [{node, protocol, ip_address, port}]; NULL: the reply says why. */
json_t *listeners_json(const struct call *call, struct reply *reply);
