#include "listener_kinds.h"

#include "codec/codecs.h"

const struct listener_kind listener_kinds[LISTENER_KINDS] = {
    {"listeners.amqp", "amqp", CODEC_AMQP, 0, offsetof(struct config, listeners_amqp)},
    {"listeners.amqps", "amqps", CODEC_AMQP, LAYER_TLS, offsetof(struct config, listeners_amqps)},
    {"listeners.mqtt", "mqtt", CODEC_MQTT, 0, offsetof(struct config, listeners_mqtt)},
    {"listeners.mqtts", "mqtts", CODEC_MQTT, LAYER_TLS, offsetof(struct config, listeners_mqtts)},
};

bool listener_wants(const struct config *config, unsigned layers)
{
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if ((listener_kinds[k].layers & layers) == layers &&
            listener_addresses(config, &listener_kinds[k])->count)
            return true;
    return false;
}
