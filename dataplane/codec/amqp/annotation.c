#include "codec/amqp/annotation.h"

#include "router/properties.h"
#include "router/table_out.h"

/* Of all of them together. */
enum { ANNOTATIONS_MAX = 256 };

static size_t put_annotations(uint8_t *to, const struct event_deliver *event)
{
    uint8_t *at = to;
    if (event->flags & DELIVER_ATTEMPTS)
        at = put_field_long(at, "x-delivery-count", (int64_t)deliver_attempts(event));
    if (event->flags & DELIVER_OFFSET)
        at = put_field_long(at, "x-stream-offset", (int64_t)event->seq - 1);
    return (size_t)(at - to);
}

struct span annotated(const struct event_deliver *event, struct span properties)
{
    /* Dead letters may have more than a frame had when they were published. */
    static _Thread_local uint8_t bytes[2 * PROPERTIES_MAX];
    uint8_t headers[ANNOTATIONS_MAX];
    size_t len = put_annotations(headers, event);
    if (properties.len + len + 8 > sizeof bytes)
        return properties;
    return span_of(bytes, properties_add(bytes, properties, span_of(headers, len)));
}
