/* MQTT 3.1, 3.1.1 and 5.0. */
#pragma once

#include "codec/codec.h"

extern const struct codec codec_mqtt;
