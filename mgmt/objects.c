/*
 * Queues, connections, channels and exchanges one by one, for Prometheus, which wants all that has one name
 * together: each list is asked for once and kept in a file (spool.h), and walked for each name while the
 * answer goes out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counters.h"
#include "exposition.h"
#include "handlers.h"
#include "metrics.h"
#include "spool.h"

enum { CHUNK_BYTES = 32 * 1024, LABELS_MAX = 3 };

enum listed { QUEUES, CONNECTIONS, CHANNELS, EXCHANGES, LISTED };

enum scope { OBJECTS, CLUSTER };

/* What names an object, as RabbitMQ's labels; vhost: the column that a call can choose by. */
static const struct list {
    const char *request, *vhost;
    bool by_vhost; /* it can be asked for of one virtual host */
    struct label {
        const char *name, *column;
    } label[LABELS_MAX];
} lists[LISTED] = {
    [QUEUES] = {"queues", "vhost", true, {{"vhost", "vhost"}, {"queue", "name"}}},
    [CONNECTIONS] = {"connections", "vhost", false, {{"connection", "name"}}},
    [CHANNELS] = {"channels", "vhost", false, {{"channel", "name"}, {"connection", "connection"}}},
    [EXCHANGES] = {"exchanges", "vhost", true, {{"vhost", "vhost"}, {"exchange", "name"}, {"type", "type"}}},
};

static const struct family {
    const char *family;
    enum listed listed;
    enum scope scope;
    const char *name, *type, *column, *help;
} families[] = {
#define FAMILY(family, list, scope, name, type, column, help) {family, list, scope, name, type, column, help},
#include "families.def"
#undef FAMILY
};

enum { FAMILIES = sizeof families / sizeof *families };

/* An answer on its way out. */
struct objects {
    struct query query; /* the call's */
    bool detailed;
    const struct family *tell[FAMILIES];
    size_t count, at; /* of tell: the one whose rows are being written */
    bool within;      /* its head has been */
    struct spool spool[LISTED];
    char *chunk; /* text that goes out next: [sent, len) of it is left */
    size_t sent, len;
};

/* ---- which ------------------------------------------------------------------------------------------------
 */

static bool asked(const struct query *query, const char *name, const char *value)
{
    for (unsigned i = 0; i < query->count; i++)
        if (strcmp(query->item[i].name, name) == 0 && strcmp(query->item[i].value, value) == 0)
            return true;
    return false;
}

static bool told_already(const struct objects *o, const char *name)
{
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(o->tell[i]->name, name) == 0)
            return true;
    return false;
}

static void choose(struct objects *o)
{
    for (const struct family *f = families; f < families + FAMILIES; f++)
        if ((o->detailed ? asked(&o->query, "family", f->family) : f->scope == OBJECTS) &&
            !told_already(o, f->name))
            o->tell[o->count++] = f;
}

static bool is_family(const char *name)
{
    for (size_t i = 0; i < FAMILIES; i++)
        if (strcmp(families[i].family, name) == 0)
            return true;
    return false;
}

static void refuse_family(struct reply *reply, const char *name)
{
    char all[1024] = "";
    for (size_t i = 0, len = 0; i < FAMILIES && len < sizeof all; i++)
        if (!i || strcmp(families[i].family, families[i - 1].family) != 0)
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", families[i].family);
    reply_error(reply, 400, "there is no family '%.100s'; there are: %s", name, all);
}

static bool check_families(const struct query *query, struct reply *reply)
{
    for (unsigned i = 0; i < query->count; i++)
        if (strcmp(query->item[i].name, "family") == 0 && !is_family(query->item[i].value)) {
            refuse_family(reply, query->item[i].value);
            return false;
        }
    return true;
}

/* Of several virtual hosts all queues are asked for. */
static const char *only_vhost(const struct query *query)
{
    const char *only = NULL;
    for (unsigned i = 0; i < query->count; i++) {
        if (strcmp(query->item[i].name, "vhost") != 0)
            continue;
        if (only)
            return NULL;
        only = query->item[i].value;
    }
    return only;
}

static bool fill(struct objects *o, const struct call *call, struct reply *reply)
{
    const char *vhost = o->detailed ? only_vhost(&o->query) : NULL;
    for (size_t i = 0; i < o->count; i++) {
        enum listed which = o->tell[i]->listed;
        if (!o->spool[which].file && !spool_fill(&o->spool[which], call, lists[which].request,
                                                 lists[which].by_vhost ? vhost : NULL, reply))
            return false;
    }
    return true;
}

/* ---- writing ----------------------------------------------------------------------------------------------
 */

/* A word of the query that isn't there fits all. */
static bool fits(const struct objects *o, const char *word, const char *cell)
{
    return !o->detailed || !query_value(&o->query, word) || asked(&o->query, word, cell);
}

static char *cell_of(struct spool *spool, const char *column)
{
    static char none[1];
    unsigned i = spool_column(spool, column);
    return i < spool->columns ? spool->cell[i] : none;
}

static void put_row(const struct objects *o, const struct family *f, struct spool *spool, FILE *out)
{
    const struct list *list = &lists[f->listed];
    for (unsigned i = 0; i < LABELS_MAX && list->label[i].name; i++)
        table_unescape_text(cell_of(spool, list->label[i].column));
    if (!fits(o, "vhost", cell_of(spool, list->vhost)) ||
        (f->listed == QUEUES && !fits(o, "queue", cell_of(spool, "name"))))
        return;
    fprintf(out, "rabbitmq_%s%s", f->scope == CLUSTER ? "cluster_" : o->detailed ? "detailed_" : "", f->name);
    for (unsigned i = 0; i < LABELS_MAX && list->label[i].name; i++) {
        fprintf(out, "%c%s=\"", i ? ',' : '{', list->label[i].name);
        exposition_label(out, cell_of(spool, list->label[i].column));
        fputc('"', out);
    }
    fprintf(out, "} %s\n", *f->column ? cell_of(spool, f->column) : "1");
}

static void begin(struct objects *o, const struct family *f, FILE *out)
{
    char name[96];
    snprintf(name, sizeof name, "rabbitmq_%s%s",
             f->scope == CLUSTER ? "cluster_"
             : o->detailed       ? "detailed_"
                                 : "",
             f->name);
    exposition_head(out, name, f->type, f->help);
    spool_rewind(&o->spool[f->listed]);
    o->within = true;
}

/* A part of what is left. False: there was nothing. */
static bool put_some(struct objects *o, FILE *out)
{
    if (o->at == o->count)
        return false;
    const struct family *f = o->tell[o->at];
    struct spool *spool = &o->spool[f->listed];
    if (!o->within)
        begin(o, f, out);
    while (ftell(out) < CHUNK_BYTES)
        if (spool_next(spool)) {
            put_row(o, f, spool, out);
        } else {
            o->at++;
            o->within = false;
            break;
        }
    return true;
}

/* False: no memory, or nothing is left. */
static bool next_chunk(struct objects *o)
{
    free(o->chunk);
    o->chunk = NULL;
    o->sent = o->len = 0;
    FILE *out = open_memstream(&o->chunk, &o->len);
    bool some = out && put_some(o, out);
    return out && fclose(out) == 0 && some;
}

static ssize_t objects_read(void *state, char *to, size_t room)
{
    struct objects *o = state;
    while (o->sent == o->len)
        if (!next_chunk(o))
            return o->at == o->count ? STREAM_END : STREAM_BROKEN;
    size_t n = o->len - o->sent < room ? o->len - o->sent : room;
    memcpy(to, o->chunk + o->sent, n);
    o->sent += n;
    return (ssize_t)n;
}

static void objects_free(void *state)
{
    struct objects *o = state;
    for (unsigned i = 0; i < LISTED; i++)
        spool_free(&o->spool[i]);
    query_clear(&o->query);
    free(o->chunk);
    free(o);
}

/* ---- calls ------------------------------------------------------------------------------------------------
 */

/* The first chunk: what is told of the broker as a whole. */
static bool put_whole(struct objects *o, const struct call *call, struct reply *reply)
{
    struct shm shm;
    if (!counters_open(call, reply, &shm))
        return false;
    FILE *out = open_memstream(&o->chunk, &o->len);
    if (out && o->detailed)
        exposition_identity(out, call->mgmtd->node, "detailed");
    else if (out)
        metrics_write(call, &shm, false, out);
    shm_close(&shm);
    if (out && fclose(out) == 0)
        return true;
    reply_error(reply, 503, "no memory");
    return false;
}

/* The call goes before its answer has gone out. */
static bool keep_query(struct objects *o, const struct query *query)
{
    for (; o->query.count < query->count; o->query.count++) {
        struct query_item *item = &o->query.item[o->query.count];
        *item = query->item[o->query.count];
        if (!(item->value = strdup(item->value)))
            return false;
    }
    return true;
}

static void answer(const struct call *call, bool detailed, struct reply *reply)
{
    struct objects *o = calloc(1, sizeof *o);
    if (!o || !keep_query(o, &call->query)) {
        reply_error(reply, 503, "no memory");
        if (o)
            objects_free(o);
        return;
    }
    o->detailed = detailed;
    choose(o);
    if (put_whole(o, call, reply) && fill(o, call, reply))
        *reply =
            (struct reply){.status = 200, .type = EXPOSITION_TYPE, .stream = {o, objects_read, objects_free}};
    else
        objects_free(o);
}

void answer_objects(const struct call *call, struct reply *reply)
{
    answer(call, false, reply);
}

void answer_detailed(const struct call *call, struct reply *reply)
{
    if (check_families(&call->query, reply))
        answer(call, true, reply);
}
