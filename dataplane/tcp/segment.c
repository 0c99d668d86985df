#include "tcp/segment.h"

#include <string.h>

#include "base/span.h"

enum { KIND_END, KIND_NOP, KIND_MSS, KIND_SCALE, KIND_SACK_PERMITTED, KIND_SACK, KIND_TIMESTAMPS = 8 };

static void parse_sack(struct segment *s, const uint8_t *at, unsigned len)
{
    for (; len >= 8 && s->sacks < SEGMENT_SACKS; at += 8, len -= 8)
        s->sack[s->sacks++] = (struct sack_block){get_be32(at), get_be32(at + 4)};
}

/* One option of `len` bytes, kind and length among them. */
static void parse_option(struct segment *s, const uint8_t *at, unsigned len)
{
    switch (at[0]) {
    case KIND_MSS:
        if (len == 4 && s->flags & SEG_SYN)
            s->mss = get_be16(at + 2);
        break;
    case KIND_SCALE:
        if (len == 3 && s->flags & SEG_SYN) {
            s->scaled = true;
            s->scale = at[2] > WINDOW_SCALE_MAX ? WINDOW_SCALE_MAX : at[2];
        }
        break;
    case KIND_SACK_PERMITTED:
        if (len == 2 && s->flags & SEG_SYN)
            s->sack_permitted = true;
        break;
    case KIND_SACK:
        if (len >= 10 && (len - 2) % 8 == 0)
            parse_sack(s, at + 2, len - 2);
        break;
    case KIND_TIMESTAMPS:
        if (len == 10) {
            s->timestamps = true;
            s->ts_value = get_be32(at + 2);
            s->ts_echo = get_be32(at + 6);
        }
        break;
    default:
        break;
    }
}

/* RFC 7323 appendix A: what nearly every segment carries. */
static bool parse_fast(struct segment *s, const uint8_t *at, unsigned len)
{
    if (len != SEGMENT_TIMESTAMPS ||
        get_be32(at) != (KIND_NOP << 24 | KIND_NOP << 16 | KIND_TIMESTAMPS << 8 | 10))
        return false;
    s->timestamps = true;
    s->ts_value = get_be32(at + 4);
    s->ts_echo = get_be32(at + 8);
    return true;
}

static void parse_options(struct segment *s, const uint8_t *at, unsigned len)
{
    if (len == 0 || parse_fast(s, at, len))
        return;
    while (len && at[0] != KIND_END) {
        unsigned n = 1;
        if (at[0] != KIND_NOP) {
            if (len < 2 || at[1] < 2 || at[1] > len)
                return;
            n = at[1];
            parse_option(s, at, n);
        }
        at += n;
        len -= n;
    }
}

bool segment_parse(struct segment *s, uint8_t *at, uint32_t len)
{
    if (len < SEGMENT_HEADER)
        return false;
    unsigned header = (unsigned)(at[12] >> 4) * 4;
    if (header < SEGMENT_HEADER || header > len)
        return false;
    s->source = get_be16(at);
    s->destination = get_be16(at + 2);
    s->seq = get_be32(at + 4);
    s->ack = get_be32(at + 8);
    s->flags = at[13] & 0x3f;
    s->window = get_be16(at + 14);
    s->sack_permitted = s->timestamps = s->scaled = false;
    s->scale = s->sacks = 0;
    s->mss = 0;
    s->data = at + header;
    s->len = len - header;
    parse_options(s, at + SEGMENT_HEADER, header - SEGMENT_HEADER);
    return true;
}

static uint8_t *write_timestamps(const struct segment *s, uint8_t *p)
{
    p = put_be32(p, KIND_NOP << 24 | KIND_NOP << 16 | KIND_TIMESTAMPS << 8 | 10);
    p = put_be32(p, s->ts_value);
    return put_be32(p, s->ts_echo);
}

static uint8_t *write_syn_options(const struct segment *s, uint8_t *p)
{
    if (s->mss)
        p = put_be32(p, (uint32_t)KIND_MSS << 24 | 4 << 16 | s->mss);
    if (s->sack_permitted)
        p = put_be32(p, KIND_NOP << 24 | KIND_NOP << 16 | KIND_SACK_PERMITTED << 8 | 2);
    if (s->scaled)
        p = put_be32(p, (uint32_t)KIND_NOP << 24 | KIND_SCALE << 16 | 3 << 8 | s->scale);
    return p;
}

static uint8_t *write_sacks(const struct segment *s, uint8_t *p, const uint8_t *end)
{
    unsigned n = s->sacks;
    while (n && p + 4 + 8 * n > end)
        n--;
    if (!n)
        return p;
    p = put_be32(p, (uint32_t)(KIND_NOP << 24 | KIND_NOP << 16 | KIND_SACK << 8) | (2 + 8 * n));
    for (unsigned i = 0; i < n; i++) {
        p = put_be32(p, s->sack[i].left);
        p = put_be32(p, s->sack[i].right);
    }
    return p;
}

unsigned segment_write(const struct segment *s, uint8_t *at)
{
    uint8_t *p = at + SEGMENT_HEADER;
    if (s->flags & SEG_SYN)
        p = write_syn_options(s, p);
    if (s->timestamps)
        p = write_timestamps(s, p);
    if (s->sacks)
        p = write_sacks(s, p, at + SEGMENT_HEADER_MAX);
    unsigned len = (unsigned)(p - at);
    put_be16(at, s->source);
    put_be16(at + 2, s->destination);
    put_be32(at + 4, s->seq);
    put_be32(at + 8, s->ack);
    at[12] = (uint8_t)(len / 4 << 4);
    at[13] = s->flags;
    put_be16(at + 14, s->window);
    memset(at + SEGMENT_SUM_AT, 0, 4);
    return len;
}
