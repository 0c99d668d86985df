/* Frames that a client must not send, and with which code each ends the stream; the rest goes on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "ws_site.h"

/* Sends what stands in `out` in pieces of size, after a message "ok"; returns the code of the close frame
 * that answers. What came before must have been handed up. */
static unsigned ends_with(struct site *s, size_t size, int error)
{
    struct frame frame;
    UNTIL(s, size, s->closed);
    cr_assert_eq(s->error, error);
    cr_assert(s->got.len >= 2 && memcmp(s->got.at, "ok", 2) == 0);
    UNTIL(s, size, client_take(s, &frame) && frame.first != (FIN | PONG));
    cr_assert_eq(frame.first, FIN | CLOSE);
    cr_assert(frame.len != 1 && frame.len <= 125);
    unsigned code = close_code(&frame);
    cr_assert(!client_take(s, &frame), "something follows the close frame");
    UNTIL(s, size, sim_state(s->network, s->client_id) == SIM_ENDED);
    return code;
}

static struct site *begin(int tag, uint64_t seed)
{
    struct site *s = site_new(seed, seed < 1000 ? 1 + seed % 7 : 30000, NULL);
    s->any = s->take_all = true;
    site_shake(s, tag);
    client_frame(s, FIN | BINARY, "ok", 2);
    return s;
}

struct wrong {
    const char *what;
    unsigned code;
    uint8_t first;
    size_t len;
    const char *bytes;
};

static const struct wrong wrongs[] = {
    {"a reserved bit", 1002, FIN | RSV | BINARY, 1, "x"},
    {"another", 1002, FIN | 0x10 | BINARY, 1, "x"},
    {"one on a ping", 1002, FIN | 0x20 | PING, 0, ""},
    {"opcode 3", 1002, FIN | 3, 1, "x"},
    {"opcode 11", 1002, FIN | 11, 0, ""},
    {"opcode 15", 1002, FIN | 15, 3, "xxx"},
    {"a continuation of nothing", 1002, FIN | MORE, 1, "x"},
    {"a ping in parts", 1002, PING, 1, "x"},
    {"a close in parts", 1002, CLOSE, 2, "\x03\xe8"},
    {"a close of one byte", 1002, FIN | CLOSE, 1, "\x03"},
    {"code 999", 1002, FIN | CLOSE, 2, "\x03\xe7"},
    {"code 1004", 1002, FIN | CLOSE, 2, "\x03\xec"},
    {"code 1005", 1002, FIN | CLOSE, 2, "\x03\xed"},
    {"code 1006", 1002, FIN | CLOSE, 2, "\x03\xee"},
    {"code 1015", 1002, FIN | CLOSE, 2, "\x03\xf7"},
    {"code 2999", 1002, FIN | CLOSE, 2, "\x0b\xb7"},
    {"code 5000", 1002, FIN | CLOSE, 2, "\x13\x88"},
    {"a reason that is no text", 1007, FIN | CLOSE, 4, "\x03\xe8\xc3\x28"},
    {"a reason cut in a character", 1007, FIN | CLOSE, 3, "\x03\xe8\xc3"},
    {"a text that is none", 1007, FIN | TEXT, 3, "a\xff!"},
    {"a text that ends in a character", 1007, FIN | TEXT, 2, "a\xe2"},
    {"a surrogate", 1007, FIN | TEXT, 3, "\xed\xa0\x80"},
};

Test(transport_ws_frame, what_must_not_come_ends_the_stream)
{
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++)
        for (size_t size = 1; size < 60; size += 9) {
            struct site *s = begin(TAG_ANY, i + size);
            client_frame(s, wrongs[i].first, wrongs[i].bytes, wrongs[i].len);
            client_frame(s, FIN | BINARY, "never", 5);
            unsigned code = ends_with(s, size, EPROTO);
            cr_assert_eq(code, wrongs[i].code, "%s: %u", wrongs[i].what, code);
            cr_assert(!memmem(s->got.at, s->got.len, "never", 5));
            site_free(s);
        }
}

Test(transport_ws_frame, bytes_that_are_no_frame_end_the_stream)
{
    static const struct wrong raws[] = {
        {"no mask", 1002, 0, 3, "\x82\x01x"},
        {"no mask on an empty one", 1002, 0, 2, "\x82\x00"},
        {"no mask on a ping", 1002, 0, 2, "\x89\x00"},
        {"a length of 16 bits that fits 7", 1002, 0, 8, "\x82\xfe\x00\x7d\0\0\0\0"},
        {"a length of 64 bits that fits 16", 1002, 0, 14, "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"},
        {"a negative length", 1002, 0, 14, "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0"},
        {"a ping of 126 bytes", 1002, 0, 8, "\x89\xfe\x00\x7e\0\0\0\0"},
        {"a huge length", 1009, 0, 15, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x"},
    };
    for (size_t i = 0; i < sizeof raws / sizeof raws[0]; i++)
        for (size_t size = 1; size < 20; size++) {
            struct site *s = begin(TAG_BINARY, i + size);
            buffer_add(&s->out, raws[i].bytes, raws[i].len);
            unsigned code = ends_with(s, size, EPROTO);
            cr_assert_eq(code, raws[i].code, "%s: %u", raws[i].what, code);
            site_free(s);
        }
}

Test(transport_ws_frame, messages_in_the_middle_of_messages)
{
    struct site *s = begin(TAG_BINARY, 1);
    client_frame(s, BINARY, "a", 1);
    client_frame(s, FIN | PING, "b", 1);
    client_frame(s, FIN | BINARY, "c", 1);
    cr_assert_eq(ends_with(s, 3, EPROTO), 1002);
    cr_assert_eq(s->got.len, 3);
    site_free(s);
}

/* [MQTT-6.0.0-1]: binary, or the connection is closed. */
Test(transport_ws_frame, texts_are_refused_where_messages_are_binary)
{
    struct site *s = begin(TAG_BINARY, 1);
    client_frame(s, FIN | TEXT, "a", 1);
    cr_assert_eq(ends_with(s, 3, EPROTO), 1003);
    cr_assert_eq(s->got.len, 2);
    site_free(s);
}

Test(transport_ws_frame, a_text_is_judged_as_a_whole)
{
    static const char text[] = "\xce\xba\xe2\x82\xac\xf0\x9f\x90\xa6";
    struct site *s = begin(TAG_ANY, 2);
    for (size_t i = 0; i < 9; i++) {
        client_frame(s, (i == 8 ? FIN : 0) | (i ? MORE : TEXT), text + i, 1);
        client_frame(s, FIN | PING, "\xff", 1);
    }
    client_frame(s, BINARY, "\xff", 1);
    client_frame(s, FIN | MORE, "\xfe", 1);
    UNTIL(s, 4, s->got.len == 13);
    cr_assert(memcmp(s->got.at + 2, text, 9) == 0);
    client_frame(s, TEXT, text, 3);
    client_frame(s, FIN | MORE, text, 2);
    cr_assert_eq(ends_with(s, 4, EPROTO), 1007);
    site_free(s);
}

Test(transport_ws_frame, a_message_has_a_bound)
{
    static uint8_t zeros[MESSAGE_MAX];
    struct site *s = begin(TAG_BINARY, 6000);
    client_frame(s, BINARY, zeros, 1000);
    client_frame(s, FIN | MORE, zeros, MESSAGE_MAX - 1000);
    client_frame(s, FIN | BINARY, zeros, 1);
    UNTIL(s, 60000, s->got.len == 2 + MESSAGE_MAX + 1);
    client_frame(s, BINARY, zeros, 1000);
    client_frame(s, FIN | MORE, zeros, MESSAGE_MAX - 999);
    cr_assert_eq(ends_with(s, 60000, EPROTO), 1009);
    site_free(s);
}

/* The peer's code comes back; what stands behind its close frame is never read. */
Test(transport_ws_frame, a_close_is_answered_by_its_like)
{
    static const unsigned codes[] = {0, 1000, 1001, 1003, 1007, 1011, 1013, 3000, 4999};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct site *s = begin(TAG_ANY, i);
        uint8_t payload[125] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]};
        memset(payload + 2, 'r', 123);
        client_frame(s, FIN | CLOSE, payload, codes[i] ? i % 2 ? 125 : 2 : 0);
        client_frame(s, FIN | RSV | 7, "never", 5);
        cr_assert_eq(ends_with(s, 5, 0), codes[i]);
        cr_assert_eq(s->got.len, 2);
        site_free(s);
    }
}

/* A wrong frame behind data that a paused owner has not taken. */
Test(transport_ws_frame, data_before_a_wrong_frame_is_handed_up_first)
{
    struct site *s = begin(TAG_BINARY, 700);
    s->take_all = false;
    s->keep_paused = true;
    client_frame(s, FIN | BINARY, "data", 4);
    client_frame(s, FIN | 5, "", 0);
    for (unsigned i = 0; i < 200; i++)
        site_both(s, 100);
    cr_assert(s->paused && !s->closed);
    s->keep_paused = false;
    s->take_all = true;
    cr_assert_eq(ends_with(s, 100, EPROTO), 1002);
    cr_assert_eq(s->got.len, 6);
    site_free(s);
}
