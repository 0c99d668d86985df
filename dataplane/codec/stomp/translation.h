/*
 * Between STOMP's headers and the form in which messages keep their properties, AMQP's. Headers named as
 * AMQP's properties are those (message-id of AMQP is amqp-message-id), persistent:true is delivery mode 2,
 * what STOMP itself reads is left out, and the rest are headers that are strings.
 */
#pragma once

#include "codec/stomp/frame.h"
#include "router/message.h"

struct stomp_form {
    size_t len;
    uint32_t headers_in; /* 0: there are none */
    bool persistent, marked;
};

/* Room for the properties of a frame. */
static inline size_t stomp_properties_max(const struct stomp_frame *f)
{
    return f->head_bytes + 8 * STOMP_HEADERS_MAX + 512;
}

/* reply_to: in place of the header's, or of length 0. NULL, or what is wrong. */
const char *stomp_to_amqp(uint8_t *to, const struct stomp_frame *f, struct span reply_to,
                          struct stomp_form *form);
/* The headers of a message's properties. Room: three times their length, and 64. */
uint8_t *stomp_from_amqp(uint8_t *to, enum stomp_version version, const struct message *m);
