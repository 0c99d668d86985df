#include "spool.h"

#include <stdlib.h>
#include <string.h>

#include "ask.h"

static unsigned split(char *line, char *cell[TABLE_COLUMNS_MAX])
{
    unsigned n = 0;
    for (char *one; n < TABLE_COLUMNS_MAX && (one = strsep(&line, "\t"));)
        cell[n++] = one;
    return n;
}

/* Without its end. False: there is none, or an empty one. */
static bool read_line(struct spool *spool)
{
    ssize_t len = getline(&spool->line, &spool->room, spool->file);
    if (len <= 1)
        return false;
    spool->line[len - 1] = '\0';
    return true;
}

static void read_names(struct spool *spool)
{
    if (!read_line(spool) || !(spool->names = strdup(spool->line)))
        return;
    spool->columns = split(spool->names, spool->name);
    for (unsigned i = 0; i < spool->columns; i++)
        spool->name[i][strcspn(spool->name[i], "#?{")] = '\0';
}

bool spool_fill(struct spool *spool, const struct call *call, const char *request, const char *vhost,
                struct reply *reply)
{
    spool->file = tmpfile();
    if (!spool->file) {
        reply_error(reply, 503, "there is no room for a list in the directory for temporary files");
        return false;
    }
    if (!ask_into(call, reply, spool->file, request, vhost))
        return false;
    rewind(spool->file);
    read_names(spool);
    spool->rows = ftell(spool->file);
    return true;
}

void spool_free(struct spool *spool)
{
    if (spool->file)
        fclose(spool->file);
    free(spool->line);
    free(spool->names);
}

void spool_rewind(struct spool *spool)
{
    fseek(spool->file, spool->rows, SEEK_SET);
}

bool spool_next(struct spool *spool)
{
    if (!read_line(spool))
        return false;
    char *end = spool->line + strlen(spool->line);
    for (unsigned n = split(spool->line, spool->cell); n < TABLE_COLUMNS_MAX; n++)
        spool->cell[n] = end;
    return true;
}

unsigned spool_column(const struct spool *spool, const char *name)
{
    unsigned i = 0;
    while (i < spool->columns && strcmp(spool->name[i], name) != 0)
        i++;
    return i;
}
