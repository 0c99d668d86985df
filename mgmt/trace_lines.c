/* The frames of a connection, a line each: "<" from the client, ">" to it. */
#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/span.h"
#include "trace.h"

/* Longer ones are told of when they begin, and so much of a body is shown. */
enum { FRAME_KEPT = 1 << 20, SHOWN_BYTES = 200 };

void trace_put_time(FILE *out, uint64_t ns)
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm parts;
    char text[16];
    strftime(text, sizeof text, "%H:%M:%S", localtime_r(&s, &parts));
    fprintf(out, "%s.%06" PRIu64 " ", text, ns / 1000 % 1000000);
}

void trace_put_bytes(FILE *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len && i < SHOWN_BYTES; i++)
        fputc(bytes[i] < 128 && isprint(bytes[i]) ? bytes[i] : '.', out);
    if (len > SHOWN_BYTES)
        fputs("...", out);
}

/* ---- AMQP ------------------------------------------------------------------------------------------- */

enum { AMQP_METHOD = 1, AMQP_HEADER = 2, AMQP_BODY = 3, AMQP_HEARTBEAT = 8, AMQP_EXTRA = 8, AMQP_END = 0xce };

static const char *method_name(unsigned class_id, unsigned method_id)
{
    static const struct {
        uint16_t class_id, method_id;
        const char *text;
    } names[] = {
#define X(name, class_id, method_id, text, fields, handler, when) {class_id, method_id, text},
#include "codec/amqp/methods.def"
#undef X
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].class_id == class_id && names[i].method_id == method_id)
            return names[i].text;
    return "a method that there isn't";
}

/* The whole length of the frame that s begins with; 0: more must come to tell; SIZE_MAX: it is none. */
static size_t amqp_length(struct span s)
{
    if (s.len >= 4 && memcmp(s.at, "AMQP", 4) == 0)
        return 8;
    if (s.len < 7)
        return 0;
    size_t len = get_be32(s.at + 3) + (size_t)AMQP_EXTRA;
    bool known = (s.at[0] >= AMQP_METHOD && s.at[0] <= AMQP_BODY) || s.at[0] == AMQP_HEARTBEAT;
    return known && (s.len < len || s.at[len - 1] == AMQP_END) ? len : SIZE_MAX;
}

static void amqp_line(const struct trace_lines *lines, struct span s, size_t len)
{
    if (memcmp(s.at, "AMQP", 4) == 0) {
        fprintf(lines->out, "protocol header %u-%u-%u", s.at[5], s.at[6], s.at[7]);
        return;
    }
    const uint8_t *at = s.at + 7;
    size_t size = len - AMQP_EXTRA;
    fprintf(lines->out, "channel %u ", get_be16(s.at + 1));
    if (s.at[0] == AMQP_METHOD && s.len >= 11)
        fprintf(lines->out, "%s", method_name(get_be16(at), get_be16(at + 2)));
    else if (s.at[0] == AMQP_HEADER && s.len >= 7 + 12)
        fprintf(lines->out, "header of a body of %" PRIu64 " bytes", get_be64(at + 4));
    else
        fputs(s.at[0] == AMQP_BODY ? "body" : s.at[0] == AMQP_HEARTBEAT ? "heartbeat" : "frame", lines->out);
    fprintf(lines->out, ", %zu bytes", size);
    if (s.at[0] == AMQP_BODY && lines->bodies) {
        fputs(": ", lines->out);
        trace_put_bytes(lines->out, at, size < s.len - 7 ? size : s.len - 7);
    }
}

/* ---- MQTT ------------------------------------------------------------------------------------------- */

enum { MQTT_PUBLISH = 3 };

static size_t mqtt_head(struct span s, size_t *len)
{
    uint32_t value = 0;
    for (unsigned i = 1; i < s.len && i <= 4; i++) {
        value |= (uint32_t)(s.at[i] & 127) << (7 * (i - 1));
        if (s.at[i] < 128) {
            *len = value;
            return i + 1;
        }
    }
    return 0;
}

static size_t mqtt_length(struct span s)
{
    size_t len = 0, head = mqtt_head(s, &len);
    return head ? head + len : s.len > 4 ? SIZE_MAX : 0;
}

static void mqtt_line(const struct trace_lines *lines, struct span s, size_t len)
{
    static const char *const names[] = {
        "RESERVED",  "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
        "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
    size_t rest, head = mqtt_head(s, &rest);
    unsigned type = s.at[0] >> 4;
    fprintf(lines->out, "%s, %zu bytes", names[type], len - head);
    if (type != MQTT_PUBLISH || s.len < head + 2 || s.len - head - 2 < get_be16(s.at + head))
        return;
    size_t topic = get_be16(s.at + head);
    fprintf(lines->out, ", QoS %u%s, topic ", s.at[0] >> 1 & 3u, s.at[0] & 1 ? ", retain" : "");
    trace_put_bytes(lines->out, s.at + head + 2, topic);
    if (lines->bodies) {
        size_t shown = len < s.len ? len : s.len;
        fputs(": ", lines->out);
        trace_put_bytes(lines->out, s.at + head + 2 + topic, shown - head - 2 - topic);
    }
}

/* ---- STOMP ------------------------------------------------------------------------------------------ */

/* The bytes of the head, with the empty line that ends it; 0: it isn't all there. */
static size_t stomp_head(struct span s)
{
    const uint8_t *lf = memmem(s.at, s.len, "\n\n", 2), *crlf = memmem(s.at, s.len, "\n\r\n", 3);
    if (crlf && (!lf || crlf < lf))
        return (size_t)(crlf - s.at) + 3;
    return lf ? (size_t)(lf - s.at) + 2 : 0;
}

static size_t stomp_length(struct span s)
{
    if (s.at[0] == '\n' || s.at[0] == '\r')
        return 1;
    size_t head = stomp_head(s);
    static const char name[] = "\ncontent-length:";
    const char *said = head ? memmem(s.at, head, name, sizeof name - 1) : NULL;
    if (!head)
        return s.len > FRAME_KEPT ? SIZE_MAX : 0;
    if (said)
        return head + strtoul(said + sizeof name - 1, NULL, 10) + 1;
    const uint8_t *end = memchr(s.at + head, 0, s.len - head);
    return end ? (size_t)(end - s.at) + 1 : s.len > FRAME_KEPT ? SIZE_MAX : 0;
}

static void stomp_line(const struct trace_lines *lines, struct span s, size_t len)
{
    size_t head = stomp_head(s);
    if (len == 1) {
        fputs("heart-beat", lines->out);
        return;
    }
    for (size_t i = 0; i < head && i < 4 * SHOWN_BYTES; i++)
        if (s.at[i] == '\n')
            fputs(i + 2 < head ? " | " : "", lines->out);
        else if (s.at[i] != '\r')
            fputc(s.at[i] < ' ' || s.at[i] == 127 ? '.' : s.at[i], lines->out);
    fprintf(lines->out, ", body of %zu bytes", len - head - 1);
    if (lines->bodies && len > head + 1) {
        fputs(": ", lines->out);
        trace_put_bytes(lines->out, s.at + head, (len < s.len ? len - 1 : s.len) - head);
    }
}

/* ---- streams ---------------------------------------------------------------------------------------- */

static const struct protocol {
    const char *name;
    size_t (*length)(struct span s);
    void (*line)(const struct trace_lines *lines, struct span s, size_t len);
} protocols[] = {
    {"amqp", amqp_length, amqp_line}, {"mqtt", mqtt_length, mqtt_line}, {"stomp", stomp_length, stomp_line}};

static void append(struct trace_side *side, const uint8_t *bytes, size_t len)
{
    if (side->len + len > side->room) {
        side->room = 2 * (side->len + len);
        side->bytes = realloc(side->bytes, side->room);
        if (!side->bytes)
            errx(1, "no memory");
    }
    memcpy(side->bytes + side->len, bytes, len);
    side->len += len;
}

static void begin_line(struct trace_lines *lines, const struct tap_record *record)
{
    trace_put_time(lines->out, record->ns);
    fputs(record->kind == TRACE_IN ? "< " : "> ", lines->out);
    lines->lines++;
}

/* The frame that s begins with, if there is enough of it. Returns the bytes that are done with; what is
 * beyond s is passed over. */
static size_t tell(struct trace_lines *lines, const struct protocol *p, const struct tap_record *record,
                   struct span s, uint64_t *skip)
{
    size_t len = p->length(s);
    if (len == SIZE_MAX) {
        begin_line(lines, record);
        fprintf(lines->out, "%zu bytes that are no frame, or come after what has been lost\n", s.len);
        return s.len;
    }
    if (!len || (s.len < len && len <= FRAME_KEPT))
        return 0;
    begin_line(lines, record);
    p->line(lines, s, len);
    fputc('\n', lines->out);
    *skip = s.len < len ? len - s.len : 0;
    return s.len < len ? s.len : len;
}

void trace_lines_add(struct trace_lines *lines, const struct tap_record *record, const uint8_t *bytes)
{
    const struct protocol *p = protocols;
    struct trace_side *side = &lines->side[record->kind];
    size_t skip = side->skip < record->bytes ? side->skip : record->bytes, done = 0, n;
    while (p < protocols + 2 && strcmp(p->name, lines->protocol) != 0)
        p++;
    side->skip -= skip;
    append(side, bytes + skip, record->bytes - skip);
    while (done < side->len &&
           (n = tell(lines, p, record, span_of(side->bytes + done, side->len - done), &side->skip)))
        done += n;
    memmove(side->bytes, side->bytes + done, side->len - done);
    side->len -= done;
}

void trace_lines_lost(struct trace_lines *lines)
{
    for (unsigned i = 0; i < 2; i++)
        lines->side[i].len = lines->side[i].skip = 0;
}

void trace_lines_free(struct trace_lines *lines)
{
    for (unsigned i = 0; i < 2; i++)
        free(lines->side[i].bytes);
}
