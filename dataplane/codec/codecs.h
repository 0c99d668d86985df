/* The codecs there are; a listener's tag is an index into this table. */
#pragma once

#include "codec/codec.h"

enum { CODEC_AMQP, CODEC_MQTT, CODEC_STOMP, CODECS };

extern const struct codec *const codecs[CODECS];
