/*
 * MQTT's packets (MQTT 3.1.1 and 5.0, section 2): a fixed header, a length of one to four bytes, and so many
 * bytes.
 *
 *   | type:4 flags:4 | remaining length (variable) | variable header | payload |
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum packet {
    PACKET_CONNECT = 1,
    PACKET_CONNACK,
    PACKET_PUBLISH,
    PACKET_PUBACK,
    PACKET_PUBREC,
    PACKET_PUBREL,
    PACKET_PUBCOMP,
    PACKET_SUBSCRIBE,
    PACKET_SUBACK,
    PACKET_UNSUBSCRIBE,
    PACKET_UNSUBACK,
    PACKET_PINGREQ,
    PACKET_PINGRESP,
    PACKET_DISCONNECT,
    PACKET_AUTH,
};

enum { HEADER_RETAIN = 1, HEADER_DUP = 8 }; /* flags of a PUBLISH; QoS stands in between */

enum reason {
#define X(name, code, text) name = code,
#include "codec/mqtt/reasons.def"
#undef X
};

const char *reason_text(enum reason reason);

enum { MQTT_31 = 3, MQTT_311 = 4, MQTT_5 = 5 };

/* Reads a variable byte integer (MQTT 5.0, 1.5.5). Returns its bytes; 0 if more must come, -1 if it is
 * malformed. */
int varint_read(struct span in, uint32_t *value);
uint8_t *varint_put(uint8_t *to, uint32_t value);
static inline unsigned varint_bytes(uint32_t value)
{
    return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}

/* Takes what stands first off *in; false if it isn't all there. */
bool take_u8(struct span *in, uint8_t *value);
bool take_u16(struct span *in, uint16_t *value);
bool take_u32(struct span *in, uint32_t *value);
/* Two bytes of length, and so many bytes. */
bool take_binary(struct span *in, struct span *value);

/* Whether it is UTF-8 as MQTT wants it (1.5.4): well formed, without surrogates and without U+0000. */
bool mqtt_text_valid(struct span text);
