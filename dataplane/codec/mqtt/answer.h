/* PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5.0, 3.4 to 3.7), which are alike. */
#pragma once

#include <stdbool.h>

#include "codec/mqtt/connection.h"

struct answer {
    uint16_t id;
    uint8_t reason;
};

/* False: it is malformed, and the connection is closed. */
bool answer_read(struct mqtt *c, struct span in, enum packet packet, struct answer *answer);
