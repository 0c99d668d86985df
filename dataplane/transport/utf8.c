#include "transport/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* How many of the bytes are ASCII, eight at a time. */
static size_t ascii(struct span bytes)
{
    size_t n = 0;
    uint64_t word;
    for (; bytes.len - n >= sizeof word; n += sizeof word) {
        memcpy(&word, bytes.at + n, sizeof word);
        if (word & HIGH_BITS)
            break;
    }
    return n;
}

static bool begin(struct utf8 *utf8, uint8_t byte)
{
    if (byte < 0x80)
        return true;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    *utf8 = (struct utf8){.left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3, .least = 0x80, .most = 0xbf};
    switch (byte) {
    case 0xe0: /* or two bytes would do */
        utf8->least = 0xa0;
        break;
    case 0xed: /* or it is a surrogate */
        utf8->most = 0x9f;
        break;
    case 0xf0: /* or three bytes would do */
        utf8->least = 0x90;
        break;
    case 0xf4: /* or it is beyond U+10FFFF */
        utf8->most = 0x8f;
        break;
    }
    return true;
}

bool utf8_take(struct utf8 *utf8, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (utf8->left == 0) {
            i += ascii(span_of(bytes.at + i, bytes.len - i));
            if (i == bytes.len)
                return true;
            if (!begin(utf8, bytes.at[i]))
                return false;
        } else if (bytes.at[i] < utf8->least || bytes.at[i] > utf8->most) {
            return false;
        } else {
            *utf8 = (struct utf8){.left = utf8->left - 1, .least = 0x80, .most = 0xbf};
        }
    }
    return true;
}
