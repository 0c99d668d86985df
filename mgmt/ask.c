#include "ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_client.h"
#include "counters.h"

enum { WORDS_MAX = 80 };

/* Tabs and ends of lines are the protocol's. */
static bool put_word(FILE *out, const char *word)
{
    for (const char *c = word; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return fputs(word, out) >= 0;
}

static char *line_of(struct reply *reply, const char *const *words, size_t count)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    bool ok = out;
    for (size_t i = 0; ok && i < count; i++)
        ok = (!i || fputc('\t', out) != EOF) && put_word(out, words[i]);
    bool closed = out && fclose(out) == 0;
    if (ok && closed)
        return line;
    reply_error(reply, closed ? 400 : 503,
                closed ? "names, patterns and passwords may not hold control characters" : "no memory");
    free(line);
    return NULL;
}

/* A broker that hangs would be waited for. */
static bool runs(const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return false;
    shm_close(&shm);
    return true;
}

static const unsigned status[] = {[CONTROL_REFUSED] = 400, [CONTROL_MISSING] = 404, [CONTROL_FAILED] = 503};

bool ask_line(const struct call *call, struct reply *reply, struct table *table, const char *line)
{
    char error[4096];
    enum control_trouble trouble;
    if (!runs(call, reply))
        return false;
    char *text = control_client_ask(call->mgmtd->control, line, &trouble, error, sizeof error);
    if (!text) {
        reply_error(reply, status[trouble], "%s", error);
        return false;
    }
    if (!table) {
        free(text);
        return true;
    }
    *table = table_parse(text);
    if (table->complete)
        table_unescape(table);
    return true;
}

bool ask_words(const struct call *call, struct reply *reply, struct table *table, const char *const *words,
               size_t count)
{
    char *line = line_of(reply, words, count);
    bool ok = line && ask_line(call, reply, table, line);
    if (line)
        explicit_bzero(line, strlen(line)); /* it may have a password */
    free(line);
    return ok;
}

bool ask(const struct call *call, struct reply *reply, struct table *table, const char *word, ...)
{
    const char *words[WORDS_MAX] = {word};
    size_t count = 1;
    va_list args;
    va_start(args, word);
    for (const char *next; count < WORDS_MAX && (next = va_arg(args, const char *));)
        words[count++] = next;
    va_end(args);
    return ask_words(call, reply, table, words, count);
}

bool ask_into(const struct call *call, struct reply *reply, FILE *to, const char *request, const char *vhost)
{
    char error[4096];
    enum control_trouble trouble;
    const char *words[] = {request, vhost};
    char *line = line_of(reply, words, vhost ? 2 : 1);
    bool ok = line && runs(call, reply);
    if (ok && !control_client_copy(call->mgmtd->control, line, to, &trouble, error, sizeof error)) {
        reply_error(reply, status[trouble], "%s", error);
        ok = false;
    }
    free(line);
    return ok;
}
