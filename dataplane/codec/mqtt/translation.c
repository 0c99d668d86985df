#include "codec/mqtt/translation.h"

#include <stdio.h>

#include "codec/mqtt/topic.h"
#include "router/properties.h"
#include "router/table_out.h"

#define CORRELATION_HEADER "x-correlation-id"
#define REPLY_HEADER       "x-reply-to-topic"
#define PUBLISHER_HEADER   "x-mqtt-publisher"

/* ---- in ------------------------------------------------------------------------------------------- */

static uint8_t *put_short(uint8_t *to, struct span s)
{
    return put_span(put_u8(to, (uint8_t)s.len), s);
}

/* Whether the correlation data can be a short string of AMQP. */
static bool is_short_text(struct span s)
{
    return s.len <= NAME_MAX_BYTES && mqtt_text_valid(s);
}

/* The names of a table are short strings. */
static const char *put_users(uint8_t **at, const struct mqtt_properties *p)
{
    struct span all = p->all, name, value;
    while (property_next_user(&all, &name, &value)) {
        if (name.len > NAME_MAX_BYTES)
            return "the name of a user property is longer than 255 bytes";
        *at = put_short(*at, name);
        *(*at)++ = 'S';
        *at = put_long_str(*at, value);
    }
    return NULL;
}

static const char *put_headers(uint8_t **at, const struct mqtt_properties *p, struct span publisher)
{
    struct span correlation = property_text(p, PROPERTY_CORRELATION);
    struct span reply = property_text(p, PROPERTY_RESPONSE_TOPIC);
    if (property_has(p, PROPERTY_CORRELATION) && !is_short_text(correlation))
        *at = put_long_str(put_field(*at, CORRELATION_HEADER, 'x'), correlation);
    if (property_has(p, PROPERTY_RESPONSE_TOPIC)) {
        uint8_t *value = put_be32(put_field(*at, REPLY_HEADER, 'S'), (uint32_t)reply.len);
        topic_to_key(value, reply);
        *at = value + reply.len;
    }
    if (publisher.len)
        *at = put_field_str(*at, PUBLISHER_HEADER, publisher);
    return put_users(at, p);
}

/* Those with properties: rare. */
static const char *put_rich(uint8_t *to, const struct mqtt_properties *p, unsigned qos, struct span publisher,
                            struct amqp_form *form)
{
    struct span type = property_text(p, PROPERTY_CONTENT_TYPE);
    struct span correlation = property_text(p, PROPERTY_CORRELATION);
    uint16_t flags = qos ? HAS_DELIVERY_MODE : 0;
    uint8_t *at = to + 2;
    if (property_has(p, PROPERTY_CONTENT_TYPE)) {
        if (type.len > NAME_MAX_BYTES)
            return "the content type is longer than 255 bytes";
        flags |= HAS_CONTENT_TYPE;
        at = put_short(at, type);
    }
    uint8_t *headers = at + 4;
    const char *wrong = put_headers(&headers, p, publisher);
    if (wrong)
        return wrong;
    if (headers != at + 4) {
        flags |= HAS_HEADERS;
        form->headers_in = (uint32_t)(at + 4 - to);
        put_be32(at, (uint32_t)(headers - at - 4));
        at = headers;
    }
    if (qos)
        *at++ = DELIVERY_PERSISTENT;
    if (property_has(p, PROPERTY_CORRELATION) && is_short_text(correlation)) {
        flags |= HAS_CORRELATION_ID;
        at = put_short(at, correlation);
    }
    if (property_has(p, PROPERTY_EXPIRY)) {
        char text[24];
        int n = snprintf(text, sizeof text, "%llu",
                         (unsigned long long)property_number(p, PROPERTY_EXPIRY, 0) * 1000);
        flags |= HAS_EXPIRATION;
        form->marked = true;
        at = put_short(at, span_of(text, (size_t)n));
    }
    put_be16(to, flags);
    form->len = (size_t)(at - to);
    return NULL;
}

const char *properties_to_amqp(uint8_t *to, const struct mqtt_properties *p, unsigned qos,
                               struct span publisher, struct amqp_form *form)
{
    *form = (struct amqp_form){0};
    if (p->all.len || publisher.len)
        return put_rich(to, p, qos, publisher, form);
    to = put_be16(to, qos ? HAS_DELIVERY_MODE : 0);
    if (qos)
        *to = DELIVERY_PERSISTENT;
    form->len = qos ? 3 : 2;
    return NULL;
}

/* ---- out ------------------------------------------------------------------------------------------ */

/* More than AMQP's ten years is as good as for ever to a queue, but it is said to who gets the message. */
static uint64_t long_expiration(struct span text)
{
    uint64_t ms = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = text.at[i] - (unsigned)'0';
        if (digit > 9 || i > 15)
            return UINT64_MAX;
        ms = ms * 10 + digit;
    }
    return text.len ? ms : UINT64_MAX;
}

/* Nothing but a delivery mode, if that. */
static bool says_little(struct span properties)
{
    return properties.len < 3 || (properties.len == 3 && get_be16(properties.at) == HAS_DELIVERY_MODE);
}

void properties_from_amqp(const struct message *m, struct mqtt_form *form)
{
    struct properties p;
    struct span bytes = message_properties(m);
    struct field field;
    *form = (struct mqtt_form){.expires_ms = UINT64_MAX, .text = m->protocol & ORIGIN_TEXT};
    if (says_little(bytes) || !properties_read(bytes, &p))
        return;
    if (p.flags & HAS_CONTENT_TYPE)
        form->content_type = span_of(bytes.at + 3, bytes.at[2]);
    if (p.flags & HAS_CORRELATION_ID)
        form->correlation = p.correlation_id;
    if (p.flags & HAS_EXPIRATION)
        form->expires_ms = p.flags & HAS_ODD_EXPIRATION ? long_expiration(p.expiration) : p.expiration_ms;
    form->headers = p.headers;
    if (table_find(p.headers, CORRELATION_HEADER, &field) && (field.type == 'x' || field.type == 'S'))
        form->correlation = field.value;
    if (table_find(p.headers, REPLY_HEADER, &field) && field.type == 'S')
        form->reply_to = field.value;
}

/* Headers that are the broker's own business aren't told. */
static bool is_user(const struct field *field)
{
    return field->type == 'S' && !span_is(field->name, CORRELATION_HEADER) &&
           !span_is(field->name, REPLY_HEADER) && !span_is(field->name, PUBLISHER_HEADER) &&
           field->value.len <= UINT16_MAX && mqtt_text_valid(field->name) && mqtt_text_valid(field->value);
}

size_t mqtt_form_bytes_max(const struct mqtt_form *form)
{
    return form->content_type.len + form->correlation.len + form->reply_to.len + form->headers.len + 32;
}

uint8_t *mqtt_form_put(uint8_t *to, const struct mqtt_form *form, uint64_t waited_ms)
{
    struct span headers = form->headers;
    struct field field;
    if (form->text)
        to = put_property_u8(to, PROPERTY_FORMAT, 1);
    if (form->expires_ms != UINT64_MAX) {
        uint64_t left = form->expires_ms > waited_ms ? form->expires_ms - waited_ms : 0,
                 s = (left + 999) / 1000;
        to = put_property_u32(to, PROPERTY_EXPIRY, s < UINT32_MAX ? (uint32_t)s : UINT32_MAX);
    }
    if (form->content_type.at && mqtt_text_valid(form->content_type))
        to = put_property_text(to, PROPERTY_CONTENT_TYPE, form->content_type);
    if (form->reply_to.len && form->reply_to.len <= UINT16_MAX && mqtt_text_valid(form->reply_to)) {
        uint8_t *value = put_property_text(to, PROPERTY_RESPONSE_TOPIC, form->reply_to) - form->reply_to.len;
        if (key_to_topic(value, form->reply_to))
            to = value + form->reply_to.len;
    }
    if (form->correlation.at && form->correlation.len <= UINT16_MAX)
        to = put_property_text(to, PROPERTY_CORRELATION, form->correlation);
    while (table_next(&headers, &field))
        if (is_user(&field))
            to = put_property_pair(to, field.name, field.value);
    return to;
}

bool published_by(const struct message *m, struct span client_id)
{
    struct properties p;
    struct field field;
    return m->properties_len > 3 && properties_read(message_properties(m), &p) &&
           table_find(p.headers, PUBLISHER_HEADER, &field) && field.type == 'S' &&
           span_equal(field.value, client_id);
}
