/*
 * Headers that a queue adds to what it delivers: x-delivery-count, x-stream-offset, x-sequence and x-gap-*.
 * They stand behind the publisher's own.
 */
#pragma once

#include "router/command.h"

/* The properties of the message with what the event says besides; valid until the next call on this thread.
 */
struct span annotated(const struct event_deliver *event, struct span properties);
