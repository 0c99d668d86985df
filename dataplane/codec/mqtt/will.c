#include "codec/mqtt/will.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/mqtt/connection.h"
#include "codec/mqtt/topic.h"
#include "codec/mqtt/translation.h"

enum { WILL_RETAIN = 32 }; /* of CONNECT's flags; QoS in bits 3 and 4 */

void will_drop(struct mqtt *c)
{
    free(c->will);
    c->will = NULL;
}

static enum reason check(struct span topic, struct span payload, const struct mqtt_properties *p,
                         const char **text)
{
    *text = "its topic is empty or has a wildcard";
    if (!topic_name_valid(topic))
        return REASON_TOPIC;
    *text = "its topic is longer than 255 bytes";
    if (topic.len > TOPIC_BYTES_MAX)
        return REASON_TOPIC;
    *text = "its response topic is empty or has a wildcard";
    if (property_has(p, PROPERTY_RESPONSE_TOPIC) &&
        !topic_name_valid(property_text(p, PROPERTY_RESPONSE_TOPIC)))
        return REASON_TOPIC;
    *text = "its payload is no UTF-8";
    if (property_number(p, PROPERTY_FORMAT, 0) && !mqtt_text_valid(payload))
        return REASON_PAYLOAD_FORMAT;
    return REASON_SUCCESS;
}

enum reason will_make(struct mqtt *c, struct span topic, struct span payload, const struct mqtt_properties *p,
                      unsigned flags, const char **text)
{
    enum reason wrong = check(topic, payload, p, text);
    if (wrong != REASON_SUCCESS)
        return wrong;
    unsigned qos = flags >> 3 & 3;
    struct span exchange = span_str(mqtt_exchange(c));
    size_t most = exchange.len + topic.len + amqp_bytes_max(p->all.len) + payload.len;
    struct will *will = malloc(sizeof *will + most);
    CHECK(will);
    struct amqp_form form;
    uint8_t *at = put_span(will->bytes, exchange);
    topic_to_key(at, topic);
    *text = properties_to_amqp(at + topic.len, p, qos, c->client_id, &form);
    if (!*text && form.len > PROPERTIES_MAX)
        *text = "there are too many user properties";
    if (*text) {
        free(will);
        return REASON_IMPLEMENTATION;
    }
    *will = (struct will){
        .delay_s = property_number(p, PROPERTY_WILL_DELAY, 0),
        .protocol = origin_of(qos, flags & WILL_RETAIN, property_number(p, PROPERTY_FORMAT, 0)),
        .persistent = qos > 0,
        .exchange_len = (uint8_t)exchange.len,
        .key_len = (uint8_t)topic.len,
        .properties_len = (uint32_t)form.len,
        .body_len = (uint32_t)payload.len,
    };
    put_span(at + topic.len + form.len, payload);
    c->will = will;
    return REASON_SUCCESS;
}
