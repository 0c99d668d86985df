#include "codec/stomp/frame.h"

#include <stdio.h>

/* ---- reading --------------------------------------------------------------------------------------- */

size_t stomp_skip(struct span in)
{
    size_t n = 0;
    while (n < in.len && (in.at[n] == '\n' || in.at[n] == '\r'))
        n++;
    return n;
}

/* Takes a line off in, without its end. False: it is not all there. */
static bool take_line(struct span *in, enum stomp_version version, struct span *line)
{
    const uint8_t *end = in->len ? memchr(in->at, '\n', in->len) : NULL;
    if (!end)
        return false;
    *line = span_of(in->at, (size_t)(end - in->at));
    *in = span_of(end + 1, in->len - line->len - 1);
    if ((version == STOMP_12 || version == STOMP_UNKNOWN) && line->len && line->at[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* 0: there is no such escape. */
static uint8_t escaped(uint8_t letter, enum stomp_version version)
{
    switch (letter) {
    case 'n':
        return '\n';
    case 'c':
        return ':';
    case '\\':
        return '\\';
    case 'r':
        return version == STOMP_12 ? '\r' : 0;
    default:
        return 0;
    }
}

static bool unescape(struct span from, enum stomp_version version, uint8_t **at, struct span *to)
{
    uint8_t *start = *at;
    for (size_t i = 0; i < from.len; i++) {
        uint8_t c = from.at[i];
        if (c == '\\' && version >= STOMP_11) {
            c = ++i < from.len ? escaped(from.at[i], version) : 0;
            if (!c)
                return false;
        }
        *(*at)++ = c;
    }
    *to = span_of(start, (size_t)(*at - start));
    return true;
}

/* In 1.0 it was usual to write a space behind the colon. */
static void trim(struct span *s)
{
    while (s->len && s->at[0] == ' ')
        *s = span_of(s->at + 1, s->len - 1);
    while (s->len && s->at[s->len - 1] == ' ')
        s->len--;
}

static const char *read_header(struct span line, enum stomp_version version, uint8_t **at,
                               struct stomp_header *h)
{
    const uint8_t *colon = memchr(line.at, ':', line.len);
    if (!colon || colon == line.at)
        return "a header without a colon, or without a name";
    struct span name = span_of(line.at, (size_t)(colon - line.at));
    struct span value = span_of(colon + 1, line.len - name.len - 1);
    if (version == STOMP_10)
        trim(&value);
    if (!unescape(name, version, at, &h->name) || !unescape(value, version, at, &h->value))
        return "an escape that there is not";
    return NULL;
}

static const char *read_length(struct stomp_frame *f)
{
    const struct span *length = stomp_find(f, "content-length");
    f->has_length = length;
    if (length && !stomp_number(*length, &f->length))
        return "content-length is no number";
    return NULL;
}

bool stomp_is_connect(const struct stomp_frame *f)
{
    return span_is(f->command, "CONNECT") || span_is(f->command, "STOMP");
}

static const char *read_headers(struct span *rest, enum stomp_version version, struct stomp_frame *f,
                                bool *whole)
{
    struct span line;
    uint8_t *at = f->text;
    /* CONNECT and its answer have no escapes, for the sake of 1.0. */
    enum stomp_version escapes = stomp_is_connect(f) ? STOMP_UNKNOWN : version;
    *whole = false;
    while (take_line(rest, version, &line)) {
        if (!line.len) {
            *whole = true;
            return read_length(f);
        }
        if (f->headers == STOMP_HEADERS_MAX)
            return "more than 64 headers";
        const char *wrong = read_header(line, escapes, &at, &f->header[f->headers++]);
        if (wrong)
            return wrong;
    }
    return NULL;
}

enum stomp_read stomp_head_read(struct span in, enum stomp_version version, struct stomp_frame *f,
                                const char **wrong)
{
    struct span rest = span_of(in.at, in.len < STOMP_HEAD_MAX ? in.len : STOMP_HEAD_MAX);
    bool whole = false;
    f->headers = 0;
    *wrong = NULL;
    if (take_line(&rest, version, &f->command))
        *wrong = read_headers(&rest, version, f, &whole);
    if (!whole && !*wrong && in.len >= STOMP_HEAD_MAX)
        *wrong = "a frame's head is longer than 16 KiB";
    if (*wrong)
        return STOMP_READ_WRONG;
    f->head_bytes = whole ? (size_t)(rest.at - in.at) : 0;
    return whole ? STOMP_READ : STOMP_READ_MORE;
}

const struct span *stomp_find(const struct stomp_frame *f, const char *name)
{
    for (unsigned i = 0; i < f->headers; i++)
        if (span_is(f->header[i].name, name))
            return &f->header[i].value;
    return NULL;
}

struct span stomp_value(const struct stomp_frame *f, const char *name)
{
    const struct span *value = stomp_find(f, name);
    return value ? *value : span_of("", 0);
}

bool stomp_is(const struct stomp_frame *f, const char *name, const char *value)
{
    return span_is(stomp_value(f, name), value);
}

bool stomp_counts(const struct stomp_frame *f, unsigned i)
{
    for (unsigned before = 0; before < i; before++)
        if (span_equal(f->header[before].name, f->header[i].name))
            return false;
    return true;
}

bool stomp_number(struct span digits, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        *number = *number * 10 + (digits.at[i] - '0');
    }
    return digits.len && digits.len <= 18;
}

/* ---- writing --------------------------------------------------------------------------------------- */

/* 1.0 has no escapes: what would end the header is left out. */
static uint8_t *put_escaped(uint8_t *to, enum stomp_version version, struct span s, bool name)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.at[i];
        char letter = c == '\n'                          ? 'n'
                      : c == '\\'                        ? '\\'
                      : c == ':'                         ? 'c'
                      : c == '\r' && version == STOMP_12 ? 'r'
                                                         : 0;
        if (version >= STOMP_11 && letter)
            to = put_u8(put_u8(to, '\\'), (uint8_t)letter);
        else if (c && (version >= STOMP_11 || (c != '\n' && !(name && c == ':'))))
            *to++ = c;
    }
    return to;
}

uint8_t *stomp_put(uint8_t *to, enum stomp_version version, struct span name, struct span value)
{
    to = put_u8(put_escaped(to, version, name, true), ':');
    return put_u8(put_escaped(to, version, value, false), '\n');
}

uint8_t *stomp_put_str(uint8_t *to, enum stomp_version version, const char *name, struct span value)
{
    return stomp_put(to, version, span_str(name), value);
}

uint8_t *stomp_put_number(uint8_t *to, const char *name, uint64_t number)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    return stomp_put(to, STOMP_10, span_str(name), span_of(digits, (size_t)n));
}
