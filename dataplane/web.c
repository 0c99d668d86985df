#include "web.h"

#include <stdio.h>
#include <string.h>

#include "codec/codecs.h"

/* What stands around a message, and what small ones may come together. */
#define MESSAGE_ROOM (1 * MIB)

/* The names that are registered for Sec-WebSocket-Protocol. */
static const char *const stomp[] = {"v12.stomp", "v11.stomp", "v10.stomp", NULL};
static const char *const mqtt[] = {"mqtt", "mqttv3.1", NULL};

static const struct {
    const char *codec;
    struct ws_speech speech;
} spoken[] = {
    {"stomp", {.protocols = stomp}},
    /* [MQTT-6.0.0-1]: binary messages only; [MQTT-6.0.0-3]: a client must ask for it. */
    {"mqtt", {.protocols = mqtt, .required = true, .binary = true}},
};

const struct ws_speech *web_speeches(void)
{
    static struct ws_speech speeches[CODECS];
    for (unsigned codec = 0; codec < CODECS; codec++)
        for (size_t i = 0; i < sizeof spoken / sizeof spoken[0]; i++)
            if (strcmp(codecs[codec]->name, spoken[i].codec) == 0)
                speeches[codec] = spoken[i].speech;
    return speeches;
}

struct ws_origins web_origins(const struct config *config)
{
    return (struct ws_origins){(const char *const *)config->web_origins.item, config->web_origins.count};
}

uint64_t web_message_max(const struct config *config)
{
    return config->max_message_size + MESSAGE_ROOM;
}

/* "https://app.example:8443", as browsers write it: nothing behind the host and port. */
static bool is_origin(const char *item)
{
    const char *host = strstr(item, "://");
    return strcmp(item, "*") == 0 || strcmp(item, "null") == 0 ||
           (host && host > item && host[3] && !strpbrk(host + 3, "/?# "));
}

bool web_check(const struct config *config, char *error, size_t error_size)
{
    const struct ws_origins origins = web_origins(config);
    for (unsigned i = 0; i < origins.count; i++)
        if (!is_origin(origins.item[i])) {
            snprintf(error, error_size, "web.origins: '%s' is no origin, such as https://app.example or *",
                     origins.item[i]);
            return false;
        }
    return true;
}
