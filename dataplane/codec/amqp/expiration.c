#include "codec/amqp/expiration.h"

#include <stdint.h>
#include <stdio.h>

#include "router/properties.h"

static size_t digits_from(struct span text, size_t at)
{
    size_t n = 0;
    while (at + n < text.len && text.at[at + n] >= '0' && text.at[at + n] <= '9')
        n++;
    return n;
}

/* Quoted, as the term it is in Erlang. */
static void say_leftover(struct span rest, char *why, size_t size)
{
    static const char head[] = "{leftover_string,\"";
    size_t n = sizeof head - 1;
    memcpy(why, head, n);
    for (size_t i = 0; i < rest.len && n + 5 < size; i++) {
        if (rest.at[i] == '"' || rest.at[i] == '\\')
            why[n++] = '\\';
        why[n++] = (char)rest.at[i];
    }
    memcpy(why + n, "\"}", 3);
}

const char *expiration_fault(struct span text, char *why, size_t size)
{
    bool negative = text.len && text.at[0] == '-';
    size_t sign = negative || (text.len && text.at[0] == '+');
    struct span digits = span_of(text.at + sign, digits_from(text, sign));
    size_t end = sign + digits.len;
    while (digits.len > 1 && digits.at[0] == '0')
        digits = span_of(digits.at + 1, digits.len - 1);
    if (!digits.len)
        snprintf(why, size, "no_integer");
    else if (end < text.len)
        say_leftover(span_of(text.at + end, text.len - end), why, size);
    else if (negative)
        snprintf(why, size, "{value_negative,-%.*s}", (int)digits.len, (const char *)digits.at);
    else
        snprintf(why, size, "{value_too_large,%.*s}", (int)digits.len, (const char *)digits.at);
    return why;
}
