/* Properties of MQTT 5.0's packets: read into an array by identifier, written one by one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/mqtt/packet.h"

enum property {
#define X(name, id, type, packets) name = id,
#include "codec/mqtt/properties.def"
#undef X
    PROPERTIES = 0x2b
};

/* In place of a packet: the properties are those of a CONNECT's will. */
enum { PACKET_WILL = 0 };

struct mqtt_properties {
    uint64_t present; /* a bit for each identifier */
    struct span all;  /* as they stand in the packet: user properties are read from here */
    union {
        uint32_t number;  /* of BYTE, TWO, FOUR and VARIABLE */
        struct span text; /* of TEXT and BINARY */
    } value[PROPERTIES];  /* valid where present */
};

/* Takes the length and the properties off *in, of a client's packet of that type. Else: the reason why it is
 * wrong. */
enum reason properties_take(struct span *in, unsigned packet, struct mqtt_properties *p);
/* There are none. */
static inline void properties_none(struct mqtt_properties *p)
{
    p->present = 0;
    p->all = span_of("", 0);
}

static inline bool property_has(const struct mqtt_properties *p, enum property property)
{
    return p->present >> property & 1;
}

static inline uint32_t property_number(const struct mqtt_properties *p, enum property property,
                                       uint32_t otherwise)
{
    return property_has(p, property) ? p->value[property].number : otherwise;
}

/* Empty if there is none. */
static inline struct span property_text(const struct mqtt_properties *p, enum property property)
{
    return property_has(p, property) ? p->value[property].text : span_of("", 0);
}

/* The next user property behind *at, which begins as p->all. False: that was the last. */
bool property_next_user(struct span *at, struct span *name, struct span *value);

uint8_t *put_property_u8(uint8_t *to, enum property property, uint8_t value);
uint8_t *put_property_u16(uint8_t *to, enum property property, uint16_t value);
uint8_t *put_property_u32(uint8_t *to, enum property property, uint32_t value);
/* text: of 65,535 bytes at most. */
uint8_t *put_property_text(uint8_t *to, enum property property, struct span text);
uint8_t *put_property_pair(uint8_t *to, struct span name, struct span value);
