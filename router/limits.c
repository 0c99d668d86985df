#include "router/limits.h"

#include <inttypes.h>
#include <stdio.h>

enum { OF_USER = 1, OF_VHOST = 2, IS_RATE = 4 };

static const struct {
    const char *name;
    uint8_t of;
} rows[LIMITS] = {
    [LIMIT_CONNECTIONS] = {"max-connections", OF_USER | OF_VHOST},
    [LIMIT_CHANNELS] = {"max-channels", OF_USER},
    [LIMIT_QUEUES] = {"max-queues", OF_VHOST},
    [LIMIT_PUBLISHES] = {"max-publish-rate", OF_USER | OF_VHOST | IS_RATE},
    [LIMIT_BYTES] = {"max-publish-bytes-rate", OF_USER | OF_VHOST | IS_RATE},
};

void limits_init(struct limits *limits)
{
    for (unsigned i = 0; i < LIMITS; i++)
        limits->most[i] = LIMIT_UNSAID;
}

bool limits_said(const struct limits *limits)
{
    for (unsigned i = 0; i < LIMITS; i++)
        if (limits->most[i] != LIMIT_UNSAID)
            return true;
    return false;
}

enum limit limit_named(struct span name)
{
    unsigned i = 0;
    while (i < LIMITS && !span_is(name, rows[i].name))
        i++;
    return (enum limit)i;
}

/* ---- reading ---------------------------------------------------------------------------------------------
 */

static void skip_space(struct span *in)
{
    while (in->len && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        *in = span_of(in->at + 1, in->len - 1);
}

static bool take(struct span *in, char c)
{
    skip_space(in);
    if (!in->len || *in->at != (uint8_t)c)
        return false;
    *in = span_of(in->at + 1, in->len - 1);
    return true;
}

/* No limit's name has anything in it that JSON would write in another way. */
static bool take_name(struct span *in, struct span *name)
{
    if (!take(in, '"'))
        return false;
    const uint8_t *end = in->len ? memchr(in->at, '"', in->len) : NULL;
    if (!end)
        return false;
    *name = span_of(in->at, (size_t)(end - in->at));
    *in = span_of(end + 1, in->len - name->len - 1);
    return true;
}

static bool take_number(struct span *in, int64_t *n)
{
    enum { DIGITS_MAX = 15 };
    bool minus = take(in, '-');
    unsigned digits = 0;
    skip_space(in);
    *n = 0;
    for (; in->len && *in->at >= '0' && *in->at <= '9' && digits <= DIGITS_MAX; digits++) {
        *n = *n * 10 + (*in->at - '0');
        *in = span_of(in->at + 1, in->len - 1);
    }
    *n = minus ? -*n : *n;
    return digits && digits <= DIGITS_MAX && (!in->len || !memchr(".eE", *in->at, 3));
}

static bool read_one(struct limits *limits, struct span *in, uint8_t of, char *why, size_t size)
{
    struct span name;
    int64_t most;
    if (!take_name(in, &name) || !take(in, ':')) {
        snprintf(why, size, "limits are a JSON object with numbers, as {\"max-connections\": 10}");
        return false;
    }
    enum limit limit = limit_named(name);
    if (limit == LIMITS || !(rows[limit].of & of))
        snprintf(why, size, "Unrecognised terms in limits: a %s has no '%.*s'",
                 of == OF_USER ? "user" : "virtual host", (int)(name.len < 64 ? name.len : 64),
                 (const char *)name.at);
    else if (!take_number(in, &most))
        snprintf(why, size, "%s should be a number", rows[limit].name);
    else if (most == 0 && rows[limit].of & IS_RATE)
        snprintf(why, size,
                 "%s should be 1 or more, or negative for no limit: who may not publish has no "
                 "permission to",
                 rows[limit].name);
    else {
        limits->most[limit] = most;
        return true;
    }
    return false;
}

bool limits_read(struct limits *limits, struct span text, bool of_user, char *why, size_t size)
{
    struct span in = text;
    bool any = take(&in, '{');
    snprintf(why, size, "limits are a JSON object with numbers, as {\"max-connections\": 10}");
    if (!any)
        return false;
    any = take(&in, '}');
    while (!any) {
        if (!read_one(limits, &in, of_user ? OF_USER : OF_VHOST, why, size))
            return false;
        any = take(&in, '}');
        if (!any && !take(&in, ',')) {
            snprintf(why, size, "limits are a JSON object with numbers, as {\"max-connections\": 10}");
            return false;
        }
    }
    skip_space(&in);
    return !in.len;
}

/* ---- writing ---------------------------------------------------------------------------------------------
 */

void limits_write(const struct limits *limits, char text[LIMITS_TEXT_BYTES])
{
    size_t n = 0;
    text[n++] = '{';
    for (unsigned i = 0; i < LIMITS; i++)
        if (limits->most[i] != LIMIT_UNSAID)
            n += (size_t)snprintf(text + n, LIMITS_TEXT_BYTES - n, "%s\"%s\":%" PRId64, n > 1 ? "," : "",
                                  rows[i].name, limits->most[i]);
    text[n++] = '}';
    text[n] = '\0';
}
