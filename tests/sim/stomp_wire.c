#include "stomp_wire.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---------------------------------------------------------------------------------------- */

/* The other letter of an escape; 0: there is none such. */
static char meant(char letter)
{
    return (char)(letter == 'n'    ? '\n'
                  : letter == 'c'  ? ':'
                  : letter == '\\' ? '\\'
                  : letter == 'r'  ? '\r'
                                   : 0);
}

static bool unescape(const uint8_t *at, size_t len, bool escapes, char *to, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = (char)at[i];
        if (escapes && c == '\\') {
            c = i + 1 < len ? meant((char)at[++i]) : 0;
            if (!c)
                return false;
        } else if (escapes && c == ':') {
            return false;
        }
        if (n + 1 == room)
            return false;
        to[n++] = c;
    }
    to[n] = 0;
    return true;
}

static bool read_header(const uint8_t *line, size_t len, bool escapes, struct stomp_wire_frame *frame)
{
    const uint8_t *colon = memchr(line, ':', len);
    if (!colon || frame->count == STOMP_WIRE_HEADERS)
        return false;
    struct stomp_wire_header *h = &frame->headers[frame->count++];
    size_t name = (size_t)(colon - line);
    return unescape(line, name, escapes, h->name, sizeof h->name) &&
           unescape(colon + 1, len - name - 1, escapes, h->value, sizeof h->value);
}

/* Returns the bytes of the head; 0: it isn't all there. */
static size_t read_head(const struct buffer *in, unsigned version, struct stomp_wire_frame *frame)
{
    size_t at = 0;
    bool first = true;
    for (;;) {
        const uint8_t *line = in->at + at, *end = memchr(line, '\n', in->len - at);
        if (!end)
            return 0;
        size_t len = (size_t)(end - line);
        at += len + 1;
        if (first)
            frame->bad |= !unescape(line, len, false, frame->command, sizeof frame->command);
        else if (len)
            frame->bad |=
                !read_header(line, len, version > 10 && strcmp(frame->command, "CONNECTED") != 0, frame);
        else
            return at;
        first = false;
    }
}

size_t stomp_wire_read(const struct buffer *in, unsigned version, struct stomp_wire_frame *frame)
{
    frame->count = 0;
    frame->command[0] = 0;
    frame->bad = false;
    frame->body_len = 0;
    if (in->len && in->at[0] == '\n')
        return 1;
    size_t head = in->len ? read_head(in, version, frame) : 0;
    if (!head)
        return 0;
    const char *length = stomp_wire_value(frame, "content-length");
    const uint8_t *end = memchr(in->at + head, 0, in->len - head);
    size_t len = length ? strtoul(length, NULL, 10) : end ? (size_t)(end - in->at) - head : in->len;
    if (in->len - head <= len)
        return 0;
    frame->body = in->at + head;
    frame->body_len = len;
    frame->bad |= frame->body[len] != 0;
    return head + len + 1;
}

const char *stomp_wire_value(const struct stomp_wire_frame *frame, const char *name)
{
    for (unsigned i = 0; i < frame->count; i++)
        if (strcmp(frame->headers[i].name, name) == 0)
            return frame->headers[i].value;
    return NULL;
}

/* ---- writing ---------------------------------------------------------------------------------------- */

void stomp_wire_begin(struct buffer *out, const char *command)
{
    buffer_add(out, command, strlen(command));
    add_octet(out, '\n');
}

void stomp_wire_header(struct buffer *out, unsigned version, const char *name, const char *value)
{
    buffer_add(out, name, strlen(name));
    add_octet(out, ':');
    for (; *value; value++) {
        char letter = (char)(*value == ':' ? 'c' : *value == '\\' ? '\\' : *value == '\n' ? 'n' : 0);
        if (version > 10 && letter)
            add_octet(out, '\\');
        add_octet(out, (uint8_t)(version > 10 && letter ? letter : *value));
    }
    add_octet(out, '\n');
}

void stomp_wire_end(struct buffer *out, const uint8_t *body, size_t len)
{
    add_octet(out, '\n');
    buffer_add(out, body, len);
    add_octet(out, 0);
}
