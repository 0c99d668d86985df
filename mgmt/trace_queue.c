/* What happens to a queue's messages, a line each. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "router/properties.h"
#include "router/rows.h"
#include "router/trace.h"
#include "trace.h"

static void put_text(FILE *out, const char *key, struct span text)
{
    struct rows rows = {0};
    rows_string(&rows, text);
    fprintf(out, " %s=%s", key, rows.text);
    free(rows.text);
}

static void put_properties(FILE *out, struct span bytes)
{
    struct properties p;
    struct rows rows = {0};
    if (!properties_read(bytes, &p))
        return;
    const struct {
        uint32_t flag;
        const char *key;
        struct span text;
    } texts[] = {{HAS_CORRELATION_ID, "correlation_id", p.correlation_id},
                 {HAS_REPLY_TO, "reply_to", p.reply_to},
                 {HAS_EXPIRATION, "expiration", p.expiration},
                 {HAS_MESSAGE_ID, "message_id", p.message_id},
                 {HAS_USER_ID, "user_id", p.user_id}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (p.flags & texts[i].flag)
            put_text(out, texts[i].key, texts[i].text);
    if (p.flags & HAS_DELIVERY_MODE)
        fprintf(out, " delivery_mode=%u", p.delivery_mode);
    if (p.flags & HAS_PRIORITY)
        fprintf(out, " priority=%u", p.priority);
    if (p.flags & HAS_TIMESTAMP)
        fprintf(out, " timestamp=%" PRIu64, p.timestamp);
    if (p.flags & HAS_HEADERS) {
        rows_table(&rows, p.headers);
        fprintf(out, " headers=%s", rows.text);
        free(rows.text);
    }
}

void trace_queue_line(FILE *out, const struct tap_record *record, const uint8_t *bytes, bool bodies)
{
    static const char *const names[] = {
        [QUEUE_PUBLISHED] = "published", [QUEUE_DELIVERED] = "delivered", [QUEUE_GOT] = "got",
        [QUEUE_ACKED] = "acknowledged",  [QUEUE_REJECTED] = "rejected",   [QUEUE_REQUEUED] = "requeued",
        [QUEUE_RETURNED] = "returned",   [QUEUE_RECEIVED] = "received"};
    struct queue_event event;
    if (record->bytes < sizeof event)
        return;
    memcpy(&event, bytes, sizeof event);
    trace_put_time(out, record->ns);
    fprintf(out, "%s message=%" PRIu64, event.what < sizeof names / sizeof *names ? names[event.what] : "?",
            event.seq);
    if (event.count > 1)
        fprintf(out, "..%" PRIu64, event.seq + event.count - 1);
    uint64_t rest = record->bytes - sizeof event;
    const uint8_t *at = bytes + sizeof event, *properties = at + event.exchange_len + event.key_len;
    if (event.what <= QUEUE_GOT &&
        (uint64_t)event.exchange_len + event.key_len + event.properties_len + event.body_len <= rest) {
        if (event.what != QUEUE_PUBLISHED)
            fprintf(out, " channel=%u redelivered=%s", event.channel, event.redelivered ? "true" : "false");
        put_text(out, "exchange", span_of(at, event.exchange_len));
        put_text(out, "routing_key", span_of(at + event.exchange_len, event.key_len));
        fprintf(out, " body_bytes=%" PRIu64, event.body_bytes);
        put_properties(out, span_of(properties, event.properties_len));
        if (bodies)
            put_text(out, "body", span_of(properties + event.properties_len, event.body_len));
    }
    fputc('\n', out);
}
