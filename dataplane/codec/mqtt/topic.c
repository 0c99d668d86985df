#include "codec/mqtt/topic.h"

bool topic_is_plain(struct span topic)
{
    uint8_t other = 0;
    for (size_t i = 0; i < topic.len; i++) {
        uint8_t c = topic.at[i];
        other |= (uint8_t)(c & 0x80) | (c == 0) | (c == '+') | (c == '#');
    }
    return !other;
}

bool topic_name_valid(struct span topic)
{
    for (size_t i = 0; i < topic.len; i++)
        if (topic.at[i] == '+' || topic.at[i] == '#')
            return false;
    return topic.len != 0;
}

bool topic_filter_valid(struct span filter)
{
    const uint8_t *p = filter.at;
    for (size_t i = 0; i < filter.len; i++) {
        bool first = i == 0 || p[i - 1] == '/', last = i + 1 == filter.len || p[i + 1] == '/';
        if (p[i] == '+' && (!first || !last))
            return false;
        if (p[i] == '#' && (!first || i + 1 != filter.len))
            return false;
    }
    return filter.len != 0;
}

/* '/' and '.' change places, '+' and '*' too. Each pair differs in the lowest bit, and no other byte is like
 * these four but for the bits that are masked: no branch, so that compilers take many bytes at once. */
static inline uint8_t exchange(uint8_t c)
{
    return (uint8_t)(c ^ ((c & 0xfa) == 0x2a));
}

void topic_to_key(uint8_t *restrict to, struct span topic)
{
    const uint8_t *restrict from = topic.at;
    for (size_t i = 0; i < topic.len; i++)
        to[i] = exchange(from[i]);
}

/* A key of another protocol's publisher may have a '*', which no topic can say otherwise than as it is. */
bool key_to_topic(uint8_t *restrict to, struct span key)
{
    const uint8_t *restrict from = key.at;
    uint8_t bad = 0;
    for (size_t i = 0; i < key.len; i++) {
        bad |= from[i] == '#';
        to[i] = from[i] == '*' ? from[i] : exchange(from[i]);
    }
    return !bad;
}

bool filter_split(struct span text, struct span *group, struct span *filter)
{
    *group = span_of("", 0);
    *filter = text;
    if (!span_starts(text, "$share/"))
        return true;
    struct span rest = span_of(text.at + 7, text.len - 7);
    const uint8_t *slash = rest.len ? memchr(rest.at, '/', rest.len) : NULL;
    if (!slash || slash == rest.at)
        return false;
    *group = span_of(rest.at, (size_t)(slash - rest.at));
    *filter = span_of(slash + 1, rest.len - group->len - 1);
    for (size_t i = 0; i < group->len; i++)
        if (group->at[i] == '+' || group->at[i] == '#')
            return false;
    return true;
}
