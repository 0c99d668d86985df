#include "codec/mqtt/topic.h"

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

static uint8_t exchange(uint8_t c)
{
    switch (c) {
    case '/':
        return '.';
    case '.':
        return '/';
    case '+':
        return '*';
    case '*':
        return '+';
    default:
        return c;
    }
}

void topic_to_key(uint8_t *to, struct span topic)
{
    for (size_t i = 0; i < topic.len; i++)
        to[i] = exchange(topic.at[i]);
}

/* A key of another protocol's publisher may have a '*', which no topic can say otherwise than as it is. */
bool key_to_topic(uint8_t *to, struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.at[i] == '#')
            return false;
        to[i] = key.at[i] == '*' ? '*' : exchange(key.at[i]);
    }
    return true;
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
