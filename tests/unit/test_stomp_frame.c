#include <criterion/criterion.h>

#include "codec/stomp/frame.h"

static struct stomp_frame f;
static const char *wrong;

static enum stomp_read head(const char *text, enum stomp_version version)
{
    return stomp_head_read(span_str(text), version, &f, &wrong);
}

Test(stomp_frame, at_every_split)
{
    static const char text[] = "SEND\ndestination:/queue/a\nb\\cc:1\\n2\\\\\ndestination:/queue/b\n"
                               "content-length:3\n\n";
    size_t len = sizeof text - 1;
    for (size_t n = 0; n < len; n++)
        cr_assert_eq(stomp_head_read(span_of(text, n), STOMP_12, &f, &wrong), STOMP_READ_MORE, "%zu", n);
    cr_assert_eq(head(text, STOMP_12), STOMP_READ);
    cr_assert_eq(f.head_bytes, len);
    cr_assert(span_is(f.command, "SEND"));
    cr_assert(stomp_is(&f, "destination", "/queue/a"));
    cr_assert(stomp_is(&f, "b:c", "1\n2\\"));
    cr_assert(f.has_length && f.length == 3);
    cr_assert(stomp_counts(&f, 0) && !stomp_counts(&f, 2));
}

Test(stomp_frame, line_ends_and_escapes_by_version)
{
    cr_assert_eq(head("SEND\r\na:b\\rc\r\n\r\n", STOMP_12), STOMP_READ);
    cr_assert(span_is(f.command, "SEND") && stomp_is(&f, "a", "b\rc"));
    cr_assert_eq(head("SEND\na:b\\rc\n\n", STOMP_11), STOMP_READ_WRONG);
    cr_assert_eq(head("SEND\na:b\\tc\n\n", STOMP_12), STOMP_READ_WRONG);
    cr_assert_eq(head("SEND\na: b\\tc\n\n", STOMP_10), STOMP_READ);
    cr_assert(stomp_is(&f, "a", "b\\tc"));
    cr_assert_eq(head("CONNECT\npasscode:a\\b\n\n", STOMP_UNKNOWN), STOMP_READ);
    cr_assert(stomp_is(&f, "passcode", "a\\b"));
    cr_assert_eq(stomp_skip(span_str("\r\n\nSEND")), 3);
}

static struct span with_headers(uint8_t *text, unsigned headers)
{
    uint8_t *at = put_span(text, span_str("SEND\n"));
    for (unsigned i = 0; i < headers; i++)
        at = stomp_put_number(at, "h", i);
    at = put_u8(at, '\n');
    return span_of(text, (size_t)(at - text));
}

Test(stomp_frame, bounds)
{
    static uint8_t text[2 * STOMP_HEAD_MAX];
    struct span in = with_headers(text, STOMP_HEADERS_MAX);
    cr_assert_eq(stomp_head_read(in, STOMP_12, &f, &wrong), STOMP_READ);
    in = with_headers(text, STOMP_HEADERS_MAX + 1);
    cr_assert_eq(stomp_head_read(in, STOMP_12, &f, &wrong), STOMP_READ_WRONG);
    memset(text, 'x', sizeof text);
    in = span_of(text, STOMP_HEAD_MAX - 1);
    cr_assert_eq(stomp_head_read(in, STOMP_12, &f, &wrong), STOMP_READ_MORE);
    in.len++;
    cr_assert_eq(stomp_head_read(in, STOMP_12, &f, &wrong), STOMP_READ_WRONG);
    cr_assert_eq(head("SEND\nnocolon\n\n", STOMP_12), STOMP_READ_WRONG);
    cr_assert_eq(head("SEND\ncontent-length:-1\n\n", STOMP_12), STOMP_READ_WRONG);
}

Test(stomp_frame, writing)
{
    uint8_t bytes[100], *end = stomp_put(bytes, STOMP_12, span_str("a:b"), span_str("c\r\n\\"));
    cr_assert(span_is(span_of(bytes, (size_t)(end - bytes)), "a\\cb:c\\r\\n\\\\\n"));
    end = stomp_put(bytes, STOMP_10, span_str("a"), span_str("b:c\nd"));
    cr_assert(span_is(span_of(bytes, (size_t)(end - bytes)), "a:b:cd\n"));
}
