/* MQTT 3.1.1 and 5 on the wire, as far as a load generator speaks it. Section numbers are those of MQTT 5.
 * Writing appends to a struct buffer; reading walks bytes the caller keeps alive. */
#ifndef BENCH_MQTT_WIRE_H
#define BENCH_MQTT_WIRE_H

#include "buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK,
    MQTT_PUBLISH,
    MQTT_PUBACK,
    MQTT_PUBREC,
    MQTT_PUBREL,
    MQTT_PUBCOMP,
    MQTT_SUBSCRIBE,
    MQTT_SUBACK,
    MQTT_UNSUBSCRIBE,
    MQTT_UNSUBACK,
    MQTT_PINGREQ,
    MQTT_PINGRESP,
    MQTT_DISCONNECT,
    MQTT_AUTH
};

#define MQTT_FAILED 0x80 /* reason codes from here on are failures */

/* ---- reading ---- */
struct mqtt_packet {
    uint8_t type, flags;
    size_t total; /* bytes with the fixed header; 0: not known yet */
    const uint8_t *at, *end;
};

/* Bytes taken by the packet; 0 when it is not complete; -1 when these bytes are no packet. */
static inline int64_t mqtt_packet_read(struct mqtt_packet *p, const uint8_t *bytes, size_t n)
{
    size_t length = 0, k = 1;
    p->total = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (shift > 21)
            return -1;
        if (k >= n)
            return 0;
        length |= (size_t)(bytes[k] & 0x7f) << shift;
        if (!(bytes[k++] & 0x80))
            break;
    }
    p->type = bytes[0] >> 4;
    p->flags = bytes[0] & 15;
    p->total = k + length;
    p->at = bytes + k;
    p->end = p->at + length;
    return p->total <= n ? (int64_t)p->total : 0;
}

struct mqtt_publish {
    uint8_t qos;
    bool dup;
    uint16_t id; /* 0 with QoS 0 */
    const uint8_t *topic, *payload;
    size_t topic_len, payload_len;
};

/* False when it is malformed. version: 4 (3.1.1) or 5. */
bool mqtt_publish_read(struct mqtt_publish *m, const struct mqtt_packet *p, unsigned version);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
struct mqtt_answer {
    uint16_t id;
    uint8_t reason; /* 0 where it is left out */
};
bool mqtt_answer_read(struct mqtt_answer *a, const struct mqtt_packet *p);

struct mqtt_connack {
    bool session_present;
    uint8_t reason;
    uint16_t receive_maximum;
    char text[200]; /* the reason string; "" */
};
bool mqtt_connack_read(struct mqtt_connack *k, const struct mqtt_packet *p, unsigned version);

/* SUBACK: the worst reason of all its filters. */
bool mqtt_suback_read(uint8_t *reason, const struct mqtt_packet *p, unsigned version);

/* DISCONNECT of a broker. */
bool mqtt_disconnect_read(uint8_t *reason, char text[200], const struct mqtt_packet *p);

/* What a reason means, in a few words; "" when it needs none. */
const char *mqtt_reason_text(uint8_t reason);

/* ---- writing ---- */
struct mqtt_connect {
    unsigned version;
    const char *client_id, *user, *password; /* user "": neither is sent */
    bool clean;
    uint32_t expiry;          /* seconds the session lives on; version 5 */
    uint16_t receive_maximum; /* version 5; 0: not sent */
};
void mqtt_write_connect(struct buffer *b, const struct mqtt_connect *c);

struct mqtt_places {
    size_t id_at, payload_at; /* from the packet's beginning; id_at 0: QoS 0 has none */
};
/* A PUBLISH; the packet identifier is 1 until it is stamped. */
struct mqtt_places mqtt_write_publish(struct buffer *b, unsigned version, uint8_t qos, const char *topic,
                                      const uint8_t *payload, size_t size);

/* A SUBSCRIBE is opened, filters are added, and it is closed. */
size_t mqtt_subscribe_open(struct buffer *b, unsigned version, uint16_t id);
void mqtt_subscribe_add(struct buffer *b, const char *filter, uint8_t qos);
void mqtt_subscribe_close(struct buffer *b, size_t at);

/* PUBACK, PUBREC, PUBREL, PUBCOMP of success: four bytes in both versions. */
void mqtt_write_answer(struct buffer *b, enum mqtt_type type, uint16_t id);
void mqtt_write_disconnect(struct buffer *b);

static inline void mqtt_set_id(uint8_t *at, uint16_t id)
{
    at[0] = (uint8_t)(id >> 8);
    at[1] = (uint8_t)id;
}

#endif
