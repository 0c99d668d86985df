#include "request.h"

#include <string.h>

static void say(FILE *out, const char *how, const char *what, const char *word)
{
    for (const char *from[] = {how, " ", what, word, NULL}, **text = from; *text; text++)
        for (const char *c = *text; *c; c++)
            fputc((unsigned char)*c < ' ' || *c == 127 ? '?' : *c, out);
    fputc('\n', out);
}

void request_error(FILE *out, const char *what, const char *word)
{
    say(out, "error", what, word);
}

void request_missing(FILE *out, const char *what, const char *word)
{
    say(out, "missing", what, word);
}

void request_refused(FILE *out, const struct op *op)
{
    say(out,
        op->error == ERR_NOT_FOUND  ? "missing"
        : op->error == ERR_INTERNAL ? "failed"
                                    : "error",
        op->text, "");
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
    say(out, "failed", "an agent of the broker has not answered: this may still be done", "");
}
