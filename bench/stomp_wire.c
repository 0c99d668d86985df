#include "stomp_wire.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ---- */
static bool is(struct stomp_text text, const char *word, size_t n)
{
    return text.len == n && memcmp(text.at, word, n) == 0;
}
#define IS(text, word) is(text, word, sizeof(word) - 1)

uint64_t stomp_number(struct stomp_text text)
{
    uint64_t v = 0;
    if (!text.len || text.len > 19)
        return UINT64_MAX;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return UINT64_MAX;
        v = v * 10 + (uint64_t)(text.at[i] - '0');
    }
    return v;
}

static enum stomp_command command_of(struct stomp_text line)
{
    return IS(line, "MESSAGE")     ? STOMP_MESSAGE
           : IS(line, "RECEIPT")   ? STOMP_RECEIPT
           : IS(line, "CONNECTED") ? STOMP_CONNECTED
           : IS(line, "ERROR")     ? STOMP_ERROR
                                   : STOMP_OTHER;
}

/* The line at *at without its end, which may be CR LF; false when it isn't all here. *at is then behind it.
 */
static bool next_line(const uint8_t **at, const uint8_t *end, struct stomp_text *line)
{
    const uint8_t *newline = memchr(*at, '\n', (size_t)(end - *at));
    if (!newline)
        return false;
    *line = (struct stomp_text){*at, (size_t)(newline - *at)};
    if (line->len && newline[-1] == '\r')
        line->len--;
    *at = newline + 1;
    return true;
}

/* The first of several headers of a name counts. */
static void note(struct stomp_text *header, struct stomp_text value)
{
    if (!header->at)
        *header = value;
}

static bool read_header(struct stomp_frame *f, struct stomp_text line, struct stomp_text *length)
{
    const uint8_t *colon = memchr(line.at, ':', line.len);
    if (!colon)
        return false;
    struct stomp_text name = {line.at, (size_t)(colon - line.at)};
    struct stomp_text value = {colon + 1, line.len - name.len - 1};
    if (IS(name, "content-length"))
        note(length, value);
    else if (IS(name, "ack"))
        note(&f->ack, value);
    else if (IS(name, "receipt-id"))
        note(&f->receipt_id, value);
    else if (IS(name, "message"))
        note(&f->message, value);
    else if (IS(name, "version"))
        note(&f->version, value);
    else if (IS(name, "redelivered"))
        f->redelivered = IS(value, "true");
    return true;
}

/* The body and its NUL. Bytes from the frame's beginning, 0 or -1 as stomp_frame_read. */
static int64_t read_body(struct stomp_frame *f, const uint8_t *bytes, const uint8_t *at, size_t n,
                         struct stomp_text length)
{
    size_t head = (size_t)(at - bytes);
    f->body = at;
    if (length.at) {
        f->body_len = stomp_number(length);
        if (f->body_len > 1ull << 31)
            return -1;
        f->total = head + f->body_len + 1;
        if (f->total > n)
            return 0;
        return bytes[f->total - 1] ? -1 : (int64_t)f->total;
    }
    const uint8_t *nul = memchr(at, 0, n - head);
    if (!nul)
        return 0;
    f->body_len = (size_t)(nul - at);
    f->total = head + f->body_len + 1;
    return (int64_t)f->total;
}

int64_t stomp_frame_read(struct stomp_frame *f, const uint8_t *bytes, size_t n)
{
    const uint8_t *at = bytes, *end = bytes + n;
    struct stomp_text line, length = {0};
    *f = (struct stomp_frame){0};
    if (!n)
        return 0;
    if (!next_line(&at, end, &line))
        return n > STOMP_HEADERS_MAX ? -1 : 0;
    if (!line.len) {
        f->total = (size_t)(at - bytes);
        return (int64_t)f->total;
    }
    f->command = command_of(line);
    if (f->command == STOMP_OTHER)
        return -1;
    while (next_line(&at, end, &line)) {
        if (!line.len)
            return read_body(f, bytes, at, n, length);
        if (!read_header(f, line, &length))
            return -1;
    }
    return n > STOMP_HEADERS_MAX ? -1 : 0;
}

/* ---- writing ---- */
void stomp_open(struct buffer *b, const char *command)
{
    buffer_put(b, command, strlen(command));
    buffer_put(b, "\n", 1);
}

void stomp_header_raw(struct buffer *b, const char *name, const void *value, size_t n)
{
    buffer_put(b, name, strlen(name));
    buffer_put(b, ":", 1);
    buffer_put(b, value, n);
    buffer_put(b, "\n", 1);
}

void stomp_header(struct buffer *b, const char *name, const char *value)
{
    buffer_put(b, name, strlen(name));
    buffer_put(b, ":", 1);
    for (; *value; value++) {
        const char *escaped = *value == '\\'   ? "\\\\"
                              : *value == '\n' ? "\\n"
                              : *value == '\r' ? "\\r"
                              : *value == ':'  ? "\\c"
                                               : NULL;
        buffer_put(b, escaped ? escaped : value, escaped ? 2 : 1);
    }
    buffer_put(b, "\n", 1);
}

void stomp_close(struct buffer *b, const uint8_t *body, size_t size)
{
    char length[48];
    if (size) {
        int n = snprintf(length, sizeof length, "content-length:%zu\n", size);
        buffer_put(b, length, (size_t)n);
    }
    buffer_put(b, "\n", 1);
    buffer_put(b, body, size);
    buffer_put(b, "", 1);
}

void stomp_stamp(uint8_t *at, uint64_t number)
{
    for (size_t i = STOMP_STAMP_WIDTH; i--; number /= 10)
        at[i] = (uint8_t)('0' + number % 10);
}
