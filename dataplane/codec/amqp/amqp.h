/* AMQP 0-9-1 with RabbitMQ's extensions, as a codec. */
#pragma once

#include "codec/codec.h"

extern const struct codec codec_amqp;
