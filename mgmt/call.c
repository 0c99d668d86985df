#include "call.h"

#include <stdarg.h>
#include <stdio.h>

void reply_json(struct reply *reply, json_t *json)
{
    *reply = (struct reply){.status = 200, .json = json};
}

static const char *word_of(unsigned status)
{
    switch (status) {
    case 404:
        return "Object Not Found"; /* RabbitMQ says it so, and its tools show it */
    case 405:
        return "Method Not Allowed";
    default:
        return "unavailable";
    }
}

void reply_error(struct reply *reply, unsigned status, const char *format, ...)
{
    char reason[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    json_t *text = json_string(reason);
    if (!text)
        text = json_string("a name in this call is not UTF-8");
    *reply = (struct reply){.status = status,
                            .json = json_pack("{ss,so}", "error", word_of(status), "reason", text)};
}
