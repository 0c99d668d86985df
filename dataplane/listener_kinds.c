#include "listener_kinds.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/codecs.h"

const struct listener_kind listener_kinds[LISTENER_KINDS] = {
    {"listeners.amqp", "amqp", CODEC_AMQP, 0, offsetof(struct config, listeners_amqp)},
    {"listeners.amqps", "amqps", CODEC_AMQP, LAYER_TLS, offsetof(struct config, listeners_amqps)},
    {"listeners.mqtt", "mqtt", CODEC_MQTT, 0, offsetof(struct config, listeners_mqtt)},
    {"listeners.mqtts", "mqtts", CODEC_MQTT, LAYER_TLS, offsetof(struct config, listeners_mqtts)},
    {"listeners.web_mqtt", "web_mqtt", CODEC_MQTT, LAYER_WEB, offsetof(struct config, listeners_web_mqtt)},
    {"listeners.web_mqtts", "web_mqtts", CODEC_MQTT, LAYER_WEB | LAYER_TLS,
     offsetof(struct config, listeners_web_mqtts)},
    {"listeners.stomp", "stomp", CODEC_STOMP, 0, offsetof(struct config, listeners_stomp)},
    {"listeners.stomps", "stomps", CODEC_STOMP, LAYER_TLS, offsetof(struct config, listeners_stomps)},
    {"listeners.web_stomp", "web_stomp", CODEC_STOMP, LAYER_WEB,
     offsetof(struct config, listeners_web_stomp)},
    {"listeners.web_stomps", "web_stomps", CODEC_STOMP, LAYER_WEB | LAYER_TLS,
     offsetof(struct config, listeners_web_stomps)},
};

bool listener_wants(const struct config *config, unsigned layers)
{
    for (unsigned k = 0; k < LISTENER_KINDS; k++)
        if ((listener_kinds[k].layers & layers) == layers &&
            listener_addresses(config, &listener_kinds[k])->count)
            return true;
    return false;
}

bool listener_ports_check(const struct config *config, char *error, size_t error_size)
{
    for (unsigned i = 0; i < config->mqtt_ports.count; i++) {
        char *end;
        const char *item = config->mqtt_ports.item[i];
        unsigned long port = strtoul(item, &end, 10);
        if (end != item && *end == '=' && end[1] && port > 0 && port < 65536)
            continue;
        snprintf(error, error_size,
                 "mqtt.ports: '%s' isn't a port and a virtual host: write it as 1884=/orders", item);
        return false;
    }
    return true;
}
