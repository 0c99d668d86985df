/*
 * Between MQTT's properties and the form in which messages keep theirs, AMQP's: consumers of every protocol
 * see what publishers of every other said.
 *
 *   MQTT 5.0                    AMQP
 *   QoS 1, 2                    delivery-mode 2
 *   content type                content-type
 *   correlation data            correlation-id if it is text of 255 bytes at most, else the header
 * x-correlation-id response topic              the header x-reply-to-topic, as a routing key message expiry
 * (s)          expiration (ms) user properties             headers that are strings payload format a bit of
 * the message (router/message.h)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/mqtt/property.h"
#include "router/message.h"

/* Room for what properties_to_amqp writes of properties of so many bytes. */
static inline size_t amqp_bytes_max(size_t bytes)
{
    return 2 * bytes + 600;
}

struct amqp_form {
    size_t len;
    uint32_t headers_in; /* 0: there are none */
    bool marked;         /* it has an expiration */
};

/* The properties of a publish. publisher: empty, or whose it is to be said to be, for what is published is to
 * be told from what is others'. NULL, or what can't be said. */
const char *properties_to_amqp(uint8_t *to, const struct mqtt_properties *p, unsigned qos,
                               struct span publisher, struct amqp_form *form);

/* A delivery's, without their length. */
struct mqtt_form {
    struct span content_type, correlation, reply_to, headers; /* at NULL: there is none */
    uint64_t expires_ms;                                      /* the message's own; UINT64_MAX: none */
    bool text;                                                /* its payload is */
};
void properties_from_amqp(const struct message *m, struct mqtt_form *form);
/* Room for mqtt_form_put; and it itself. waited_ms: what the message has waited already. */
size_t mqtt_form_bytes_max(const struct mqtt_form *form);
uint8_t *mqtt_form_put(uint8_t *to, const struct mqtt_form *form, uint64_t waited_ms);
/* Whether the client itself is said to have published it. */
bool published_by(const struct message *m, struct span client_id);
