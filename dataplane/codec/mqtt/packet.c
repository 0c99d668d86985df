#include "codec/mqtt/packet.h"

const char *reason_text(enum reason reason)
{
    switch (reason) {
#define X(name, code, text)                                                                                  \
    case name:                                                                                               \
        return text;
#include "codec/mqtt/reasons.def"
#undef X
    }
    return "unknown reason";
}

int varint_read(struct span in, uint32_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (i == in.len)
            return 0;
        *value |= (uint32_t)(in.at[i] & 127) << 7 * i;
        if (!(in.at[i] & 128))
            return i && !in.at[i] ? -1 : (int)i + 1; /* the encoding is the shortest: [MQTT-1.5.5-1] */
    }
    return -1;
}

uint8_t *varint_put(uint8_t *to, uint32_t value)
{
    for (; value > 127; value >>= 7)
        *to++ = (uint8_t)(value | 128);
    *to++ = (uint8_t)value;
    return to;
}

static bool skip(struct span *in, size_t n)
{
    *in = span_of(in->at + n, in->len - n);
    return true;
}

bool take_u8(struct span *in, uint8_t *value)
{
    if (in->len < 1)
        return false;
    *value = in->at[0];
    return skip(in, 1);
}

bool take_u16(struct span *in, uint16_t *value)
{
    if (in->len < 2)
        return false;
    *value = get_be16(in->at);
    return skip(in, 2);
}

bool take_u32(struct span *in, uint32_t *value)
{
    if (in->len < 4)
        return false;
    *value = get_be32(in->at);
    return skip(in, 4);
}

bool take_binary(struct span *in, struct span *value)
{
    uint16_t len;
    struct span rest = *in;
    if (!take_u16(&rest, &len) || rest.len < len)
        return false;
    *value = span_of(rest.at, len);
    *in = rest;
    return skip(in, len);
}

/* How long the character is that begins at p, of a lead byte above 127; 0: it is none. */
static unsigned length_of(uint8_t lead)
{
    return lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
}

/* Of what the first two bytes say: the shortest form, no surrogate, nothing above U+10FFFF. */
static bool second_valid(uint8_t lead, uint8_t second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    default:
        return true;
    }
}

bool mqtt_text_valid(struct span text)
{
    const uint8_t *p = text.at, *end = p + text.len;
    while (p < end) {
        if (*p < 128) {
            if (!*p++)
                return false;
            continue;
        }
        unsigned n = length_of(*p);
        if (!n || (size_t)(end - p) < n || !second_valid(p[0], p[1]))
            return false;
        for (unsigned i = 1; i < n; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        p += n;
    }
    return true;
}
