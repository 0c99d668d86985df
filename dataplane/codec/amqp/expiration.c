#include "codec/amqp/expiration.h"

#include <stdint.h>
#include <stdio.h>

/* Ten years. */
#define MOST 315360000000u

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

/* More digits than it takes to be too large don't matter. */
static uint64_t number_of(struct span digits)
{
    uint64_t n = 0;
    for (size_t i = 0; i < digits.len && n <= MOST; i++)
        n = n * 10 + (digits.at[i] - '0');
    return n;
}

bool expiration_valid(struct span text, char *why, size_t size)
{
    bool negative = text.len && text.at[0] == '-';
    size_t sign = negative || (text.len && text.at[0] == '+');
    struct span digits = span_of(text.at + sign, digits_from(text, sign));
    size_t end = sign + digits.len;
    uint64_t n = number_of(digits);
    while (digits.len > 1 && digits.at[0] == '0')
        digits = span_of(digits.at + 1, digits.len - 1);
    if (!digits.len)
        snprintf(why, size, "no_integer");
    else if (end < text.len)
        say_leftover(span_of(text.at + end, text.len - end), why, size);
    else if (negative && n)
        snprintf(why, size, "{value_negative,-%.*s}", (int)digits.len, (const char *)digits.at);
    else if (n > MOST)
        snprintf(why, size, "{value_too_large,%.*s}", (int)digits.len, (const char *)digits.at);
    else
        return true;
    return false;
}
