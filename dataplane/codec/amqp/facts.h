/* What operators are shown of a connection, its channels and consumers: codec.h. */
#pragma once

#include "codec/codec.h"

void amqp_about(const void *state, struct connection_facts *facts);
bool amqp_channel(const void *state, uint64_t *at, unsigned *steps, struct channel_facts *facts);
bool amqp_consumer(const void *state, uint64_t *at, unsigned *steps, struct consumer_facts *facts);
bool amqp_delivery(const void *state, const struct delivery_wish *wish, uint64_t *at, unsigned *steps,
                   struct delivery_facts *facts);
