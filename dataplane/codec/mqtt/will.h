/* A will: what the broker publishes for a client that goes without a word. */
#pragma once

#include <stdbool.h>

#include "codec/mqtt/property.h"

struct mqtt;

/* Takes over topic and payload of a CONNECT. Else: why it is refused, with a text. */
enum reason will_make(struct mqtt *c, struct span topic, struct span payload, const struct mqtt_properties *p,
                      unsigned flags, const char **text);
void will_drop(struct mqtt *c);
