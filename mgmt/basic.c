#include "basic.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

static bool take(char *to, size_t size, const char *from, size_t len)
{
    if (len >= size)
        return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            return false;
    return true;
}

bool basic_read(struct basic *basic, const char *header)
{
    char both[sizeof basic->user + sizeof basic->password];
    size_t len = 0;
    const char *end;
    memset(basic, 0, sizeof *basic);
    if (!header || strncasecmp(header, "Basic ", 6) != 0)
        return false;
    header += 6 + strspn(header + 6, " ");
    size_t coded = strcspn(header, " ");
    bool ok = header[coded + strspn(header + coded, " ")] == '\0' &&
              sodium_base642bin((unsigned char *)both, sizeof both, header, coded, NULL, &len, &end,
                                sodium_base64_VARIANT_ORIGINAL) == 0 &&
              end == header + coded && is_plain(both, len);
    const char *colon = ok ? memchr(both, ':', len) : NULL;
    size_t name = colon ? (size_t)(colon - both) : 0;
    ok = colon && name && take(basic->user, sizeof basic->user, both, name) &&
         take(basic->password, sizeof basic->password, colon + 1, len - name - 1);
    sodium_memzero(both, sizeof both);
    if (!ok)
        basic_clear(basic);
    return ok;
}

void basic_clear(struct basic *basic)
{
    sodium_memzero(basic, sizeof *basic);
}
