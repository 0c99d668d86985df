#include "call.h"

#include <stdarg.h>
#include <stdio.h>

void reply_json(struct reply *reply, json_t *json)
{
    if (json)
        *reply = (struct reply){.status = 200, .json = json};
    else
        reply_error(reply, 503, "no memory");
}

void reply_done(struct reply *reply, bool is_new)
{
    *reply = (struct reply){.status = is_new ? 201 : 204};
}

/* RabbitMQ says them so, and its tools show them. */
static const char *word_of(unsigned status)
{
    switch (status) {
    case 400:
        return "bad_request";
    case 401:
        return "not_authorized";
    case 404:
        return "Object Not Found";
    case 405:
        return "Method Not Allowed";
    case 413:
        return "too_large";
    case 429:
        return "too_many_attempts";
    default:
        return "unavailable";
    }
}

void reply_word(struct reply *reply, unsigned status, const char *word, const char *reason)
{
    json_t *text = json_string(reason);
    if (!text)
        text = json_string("a name in this call is not UTF-8");
    *reply = (struct reply){.status = status, .json = json_pack("{ss,so}", "error", word, "reason", text)};
}

void reply_error(struct reply *reply, unsigned status, const char *format, ...)
{
    char reason[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    reply_word(reply, status, word_of(status), reason);
}

void reply_forbidden(struct reply *reply, const char *reason)
{
    reply_word(reply, 401, "not_authorised", reason);
}

void reply_status(struct reply *reply, unsigned status)
{
    reply->status = status;
    json_object_set_new(reply->json, "error", json_string(word_of(status)));
}
