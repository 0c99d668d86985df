#include "codec/codecs.h"

#include "codec/amqp/amqp.h"
#include "codec/mqtt/mqtt.h"
#include "codec/stomp/stomp.h"

const struct codec *const codecs[CODECS] = {
    [CODEC_AMQP] = &codec_amqp,
    [CODEC_MQTT] = &codec_mqtt,
    [CODEC_STOMP] = &codec_stomp,
};
