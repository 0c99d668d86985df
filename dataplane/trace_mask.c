#include "trace_mask.h"

#include <string.h>

#include "base/span.h"
#include "codec/amqp/methods.h"
#include "codec/mqtt/packet.h"

static void blank(struct span s)
{
    memset((void *)(uintptr_t)s.at, '*', s.len);
}

/* ---- AMQP ------------------------------------------------------------------------------------------- */

/* A method's payload: its ids and fields. */
static void mask_method(struct span payload)
{
    union value args[METHOD_FIELDS_MAX];
    enum method method =
        payload.len < 4 ? METHOD_NONE : method_of(get_be16(payload.at), get_be16(payload.at + 2));
    if (method != METHOD_CONNECTION_START_OK && method != METHOD_CONNECTION_SECURE_OK &&
        method != METHOD_CONNECTION_UPDATE_SECRET)
        return;
    struct span fields = span_of(payload.at + 4, payload.len - 4);
    if (!method_decode(method, fields, args))
        blank(fields);
    else if (method == METHOD_CONNECTION_START_OK)
        blank(((const struct args_CONNECTION_START_OK *)args)->response.s);
    else
        blank(args[0].s); /* the response, or the new secret */
}

static void mask_amqp(struct span in, bool logged_in)
{
    if (in.len >= 8 && memcmp(in.at, "AMQP", 4) == 0)
        in = span_of(in.at + 8, in.len - 8);
    while (in.len >= FRAME_EXTRA_BYTES) {
        size_t size = get_be32(in.at + 3);
        if (size > in.len - FRAME_EXTRA_BYTES)
            break;
        if (in.at[0] == FRAME_METHOD)
            mask_method(span_of(in.at + FRAME_HEAD_BYTES, size));
        in = span_of(in.at + size + FRAME_EXTRA_BYTES, in.len - size - FRAME_EXTRA_BYTES);
    }
    if (!logged_in)
        blank(in);
}

/* ---- MQTT ------------------------------------------------------------------------------------------- */

enum { WILL_FLAG = 4, PASSWORD_FLAG = 64, USER_FLAG = 128, AUTHENTICATION_DATA = 0x16 };

/* Takes properties; what may be a secret in them is blanked with all the rest. */
static bool mask_properties(struct span *in)
{
    uint32_t len;
    int head = varint_read(*in, &len);
    if (head <= 0 || len > in->len - (size_t)head)
        return false;
    struct span properties = span_of(in->at + head, len);
    if (len && memchr(properties.at, AUTHENTICATION_DATA, len))
        blank(properties);
    *in = span_of(properties.at + len, in->len - (size_t)head - len);
    return true;
}

/* Blanks the password. False: it can't be told where that is. */
static bool mask_connect(struct span in)
{
    struct span word;
    uint8_t version, flags;
    uint16_t keep_alive;
    if (!take_binary(&in, &word) || !take_u8(&in, &version) || !take_u8(&in, &flags) ||
        !take_u16(&in, &keep_alive) || (version == MQTT_5 && !mask_properties(&in)) ||
        !take_binary(&in, &word))
        return false;
    if (flags & WILL_FLAG && ((version == MQTT_5 && !mask_properties(&in)) || !take_binary(&in, &word) ||
                              !take_binary(&in, &word)))
        return false;
    if (flags & USER_FLAG && !take_binary(&in, &word))
        return false;
    if (flags & PASSWORD_FLAG) {
        if (!take_binary(&in, &word))
            return false;
        blank(word);
    }
    return true;
}

static void mask_mqtt(struct span in, bool logged_in)
{
    uint32_t len;
    int head = 0;
    while (in.len > 1 && (head = varint_read(span_of(in.at + 1, in.len - 1), &len)) > 0 &&
           len <= in.len - 1 - (size_t)head) {
        unsigned type = in.at[0] >> 4;
        struct span packet = span_of(in.at + 1 + head, len);
        if (type == PACKET_AUTH || (type == PACKET_CONNECT && !mask_connect(packet)))
            blank(packet);
        in = span_of(packet.at + len, (size_t)(in.at + in.len - packet.at) - len);
    }
    if (!logged_in)
        blank(in);
}

/* ---- STOMP ------------------------------------------------------------------------------------------ */

/* Wherever a line begins so: that may be in a body, which is then shown without it. */
static void mask_stomp(struct span in)
{
    static const char name[] = "\npasscode:";
    const uint8_t *end = in.at + in.len, *found = in.at;
    while ((found = memmem(found, (size_t)(end - found), name, sizeof name - 1))) {
        const uint8_t *value = found + sizeof name - 1, *to = value;
        while (to < end && *to != '\n' && *to != '\r' && *to)
            to++;
        blank(span_of(value, (size_t)(to - value)));
        found = to;
    }
}

void trace_mask(const char *codec, uint8_t *bytes, size_t len, bool logged_in)
{
    struct span in = span_of(bytes, len);
    if (strcmp(codec, "amqp") == 0)
        mask_amqp(in, logged_in);
    else if (strcmp(codec, "mqtt") == 0)
        mask_mqtt(in, logged_in);
    else
        mask_stomp(in);
}
