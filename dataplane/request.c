#include "request.h"

#include <string.h>

void request_error(FILE *out, const char *what, const char *word)
{
    fputs("error ", out);
    for (const char *from[] = {what, word, NULL}, **text = from; *text; text++)
        for (const char *c = *text; *c; c++)
            fputc((unsigned char)*c < ' ' || *c == 127 ? '?' : *c, out);
    fputc('\n', out);
}

bool request_name(char **rest, const char *what, struct name *name, FILE *out)
{
    const char *word = strsep(rest, "\t");
    if (word && strlen(word) <= NAME_MAX_BYTES) {
        name_set(name, span_str(word));
        return true;
    }
    request_error(out, what, word ? " is longer than 255 bytes" : " is missing");
    return false;
}

void request_too_late(FILE *out)
{
    request_error(out, "an agent of the broker has not answered: this may still be done", "");
}
