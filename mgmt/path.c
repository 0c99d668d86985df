#include "path.h"

#include <jansson.h>
#include <string.h>

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* jansson takes no string that isn't. */
static bool is_utf8(const char *text, size_t len)
{
    json_t *string = json_stringn(text, len);
    json_decref(string);
    return string;
}

const char *path_decode(char *to, size_t size, const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 2 < len ? digit(text[i + 1]) : -1, low = i + 2 < len ? digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "a % in a name must have two hexadecimal digits behind it";
            c = high * 16 + low;
            i += 2;
        }
        if (!c)
            return "a name may not hold %00";
        if (n + 1 >= size)
            return "a name is longer than 255 bytes";
        to[n++] = (char)c;
    }
    to[n] = '\0';
    return is_utf8(to, n) ? NULL : "a name is not UTF-8";
}

const char *path_split(struct path *path, const char *raw)
{
    path->count = 0;
    if (*raw != '/')
        return "a path begins with a slash";
    for (raw++; *raw;) {
        size_t len = strcspn(raw, "/");
        if (!len)
            return "a name in the path is empty";
        if (path->count == PATH_SEGMENTS_MAX)
            return "the path has too many parts";
        const char *wrong = path_decode(path->segment[path->count++], sizeof path->segment[0], raw, len);
        if (wrong)
            return wrong;
        raw += len + (raw[len] == '/');
    }
    return NULL;
}

void path_put(FILE *out, const char *name)
{
    fputc('/', out);
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
            strchr("-._~", *c))
            fputc(*c, out);
        else
            fprintf(out, "%%%02X", *c);
}
