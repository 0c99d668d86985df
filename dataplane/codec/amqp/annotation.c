#include "codec/amqp/annotation.h"

#include "router/properties.h"
#include "router/table_out.h"

/* Of all of them together: five fields of some thirty bytes, and a table of some seventy for each gap. */
enum { ANNOTATIONS_MAX = 256 + GAPS_MAX * 96 };

static const char *const gap_reasons[] = {"expired", "maxlen", "conflated", "several"};

static uint8_t *put_gap(uint8_t *at, const struct gap *gap, const char *const names[3])
{
    at = put_field_long(at, names[0], (int64_t)gap->from);
    at = put_field_long(at, names[1], (int64_t)gap->to);
    return put_field_str(at, names[2], span_str(gap_reasons[gap->reason]));
}

/* The nearest one in three fields; all of them in an array of tables where there are more. */
static uint8_t *put_gaps(uint8_t *at, const struct parts *parts)
{
    static const char *const fields[] = {"x-gap-from", "x-gap-to", "x-gap-reason"};
    static const char *const items[] = {"from", "to", "reason"};
    at = put_gap(at, &parts->gap[0], fields);
    if (parts->gaps == 1)
        return at;
    uint8_t *array = put_open(at, "x-gaps", 'A');
    at = array;
    for (uint32_t i = parts->gaps; i-- > 0;) {
        uint8_t *table = put_u8(at, 'F') + 4;
        at = put_gap(table, &parts->gap[i], items);
        put_length(table, at);
    }
    put_length(array, at);
    return at;
}

static size_t put_annotations(uint8_t *to, const struct event_deliver *event)
{
    uint8_t *at = to;
    if (event->flags & DELIVER_ATTEMPTS)
        at = put_field_long(at, "x-delivery-count", (int64_t)deliver_attempts(event));
    if (event->flags & DELIVER_OFFSET)
        at = put_field_long(at, "x-stream-offset", (int64_t)event->seq - 1);
    if (event->flags & DELIVER_SEQUENCE)
        at = put_field_long(at, "x-sequence", (int64_t)event->seq);
    if (event->parts && event->parts->gaps)
        at = put_gaps(at, event->parts);
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
