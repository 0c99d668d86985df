#include "protocol.h"

#include <stddef.h>
#include <string.h>

const char *protocol_name(const char *name)
{
    static const char *const names[][2] = {{"amqps", "amqp/ssl"},
                                           {"amqp091", "amqp"},
                                           {"amqp0.9.1", "amqp"},
                                           {"mqtts", "mqtt/ssl"},
                                           {"stomps", "stomp/ssl"},
                                           {"web_mqtt", "http/web-mqtt"},
                                           {"web_mqtts", "https/web-mqtt"},
                                           {"web_stomp", "http/web-stomp"},
                                           {"web_stomps", "https/web-stomp"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i][0]) == 0)
            return names[i][1];
    return name;
}
