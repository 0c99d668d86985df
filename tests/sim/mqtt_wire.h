/*
 * MQTT 3.1.1 and 5.0 on the wire, as the simulator's clients know it: written for them alone, on wire.h's
 * buffers and readers.
 */
#pragma once

#include "wire.h"

enum mqtt_type {
    MQ_CONNECT = 1,
    MQ_CONNACK,
    MQ_PUBLISH,
    MQ_PUBACK,
    MQ_PUBREC,
    MQ_PUBREL,
    MQ_PUBCOMP,
    MQ_SUBSCRIBE,
    MQ_SUBACK,
    MQ_UNSUBSCRIBE,
    MQ_UNSUBACK,
    MQ_PINGREQ,
    MQ_PINGRESP,
    MQ_DISCONNECT,
};

/* "PUBLISH", or "?" */
const char *mqtt_type_text(unsigned type);

struct mqtt_packet {
    unsigned type, flags;
    struct reader args;
};

/* Looks at the first packet of what has come. Returns its bytes; 0: it isn't all there. */
size_t mqtt_packet_read(const struct buffer *in, struct mqtt_packet *packet);

/* What a broker says in properties, of all packets. */
struct mqtt_said {
    uint16_t alias;
    bool bad; /* one that isn't due from a broker, or that is malformed */
};

/* Takes the properties off the reader. */
struct mqtt_said mqtt_properties_read(struct reader *r);

/* A text with two bytes of length before it. */
struct text mqtt_text_read(struct reader *r);
void mqtt_text_add(struct buffer *b, const char *text);
void mqtt_varint_add(struct buffer *b, uint32_t value);
/* A whole packet; frees what it is made of. */
void mqtt_packet_add(struct buffer *out, unsigned type, unsigned flags, struct buffer *inside);
/* One with a packet identifier and nothing else. */
void mqtt_answer_add(struct buffer *out, unsigned type, uint16_t id);
