#include <stdlib.h>
#include <string.h>

#include "mqtt_model.h"

static size_t level(const char *s)
{
    return strcspn(s, "/");
}

static bool levels_match(const char *filter, const char *topic)
{
    if (strcmp(filter, "#") == 0)
        return true;
    size_t f = level(filter), t = level(topic);
    bool one = f == 1 && filter[0] == '+';
    if (!one && (f != t || strncmp(filter, topic, f) != 0))
        return false;
    if (!topic[t])
        return !filter[f] || strcmp(filter + f, "/#") == 0;
    return filter[f] && levels_match(filter + f + 1, topic + t + 1);
}

bool mqtt_matches(const char *filter, const char *topic)
{
    if (topic[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
        return false;
    return levels_match(filter, topic);
}

int mqtt_group(const char *text, const char **filter)
{
    *filter = text;
    if (strncmp(text, "$share/g", 8) != 0)
        return -1;
    *filter = text + 10;
    return text[8] - '0';
}
