#include "routing.h"

#include <string.h>

bool routing_known(const struct options *o)
{
    static const char *const known[] = {"direct", "fanout", "topic", "headers"};
    if (!*o->exchange)
        return true;
    if (o->predeclared)
        return false; /* bound by somebody else */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(o->type, known[i]) == 0)
            return true;
    return false;
}

/* The words behind the first one, or NULL when there are none. */
static const char *next_word(const char *words)
{
    const char *dot = strchr(words, '.');
    return dot ? dot + 1 : NULL;
}

static bool same_word(const char *pattern, const char *key)
{
    size_t p = strcspn(pattern, "."), k = strcspn(key, ".");
    return (p == 1 && *pattern == '*') || (p == k && strncmp(pattern, key, p) == 0);
}

static bool words_match(const char *pattern, const char *key)
{
    if (!pattern)
        return !key;
    if (*pattern == '#' && strcspn(pattern, ".") == 1)
        return words_match(next_word(pattern), key) || (key && words_match(pattern, next_word(key)));
    return key && same_word(pattern, key) && words_match(next_word(pattern), next_word(key));
}

bool routing_topic_matches(const char *pattern, const char *key)
{
    /* Empty text is no word at all. */
    return words_match(*pattern ? pattern : NULL, *key ? key : NULL);
}

bool routing_matches(const struct options *o, uint64_t producer, uint64_t queue)
{
    char key[256], bound[256];
    if (!*o->exchange)
        return o->spread || producer % o->queues == queue % o->queues;
    if (strcmp(o->type, "fanout") == 0)
        return true;
    options_expand(key, o->key, producer % o->queues + 1);
    options_expand(bound, o->binding_key, queue + 1);
    return strcmp(o->type, "topic") == 0 ? routing_topic_matches(bound, key) : strcmp(bound, key) == 0;
}

uint64_t routing_share(const struct options *o, uint64_t queue, uint64_t sent)
{
    uint64_t place = queue % o->queues;
    if (!o->spread)
        return sent;
    return sent > place ? (sent - place - 1) / o->queues + 1 : 0;
}
