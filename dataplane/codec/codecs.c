#include "codec/codecs.h"

#include "codec/amqp/amqp.h"

const struct codec *const codecs[CODECS] = {
    [CODEC_AMQP] = &codec_amqp,
};
