/* Expirations: whole numbers of milliseconds, whatever their length. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "router/properties.h"

/* In memory of its own, so that what reads beyond it is seen. */
static bool read(const char *text, size_t len, uint64_t *ms)
{
    char *copy = malloc(len ? len : 1);
    cr_assert(copy);
    memcpy(copy, text, len);
    bool valid = expiration_ms(span_of(copy, len), ms);
    free(copy);
    return valid;
}

Test(expiration, of_every_length)
{
    char text[32];
    uint64_t ms;
    for (uint64_t value = 1; value <= EXPIRATION_MAX; value = value * 3 + value % 7)
        for (int width = 1; width <= 13; width++) {
            int len = snprintf(text, sizeof text, "%0*llu", width, (unsigned long long)value);
            cr_assert(read(text, (size_t)len, &ms), "%s", text);
            cr_assert_eq(ms, value, "%s", text);
        }
}

Test(expiration, one_wrong_byte_anywhere)
{
    uint64_t ms;
    for (size_t len = 1; len <= 12; len++)
        for (size_t at = 0; at < len; at++)
            for (int byte = 0; byte < 256; byte++) {
                char text[] = "109190919091";
                text[at] = (char)byte;
                bool sign = at == 0 && len > 1 && (byte == '+' || (byte == '-' && len == 2));
                bool much = len == 12 && at == 0 && byte > '3', digit = byte >= '0' && byte <= '9';
                cr_assert_eq(read(text, len, &ms), sign || (digit && !much), "%.*s", (int)len, text);
            }
}
