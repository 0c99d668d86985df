#include "upkeep.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access.h"
#include "router/command.h"
#include "status.h"

static struct op *op_of(enum op_kind kind)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = kind;
    return op;
}

/* ---- a queue ----------------------------------------------------------------------------------------- */

/* Takes the words behind the names. False: there is another. */
static bool take_conditions(struct op *op, char *rest)
{
    for (const char *word; (word = strsep(&rest, "\t"));) {
        if (op->kind != OP_QUEUE_DELETE || (strcmp(word, "if_empty") != 0 && strcmp(word, "if_unused") != 0))
            return false;
        op->flags |= word[3] == 'e' ? OP_IF_EMPTY : OP_IF_UNUSED;
    }
    return true;
}

/* Whether there is such a virtual host; if not, that is said. */
static bool is_vhost(struct gannetd *g, const struct name *vhost, FILE *out)
{
    struct op *op = op_of(OP_ACCESS_LIST);
    name_set(&op->type, span_str("permissions"));
    op->other = *vhost;
    op = control_ask(g, op);
    bool there = op && op->error == ERR_NONE;
    if (!op)
        request_too_late(out);
    else if (!there)
        request_refused(out, op);
    front_free_answer(op);
    return there;
}

/* Asks the router of the queue. False: it refuses, or doesn't answer, and that is said. messages: of it. */
static bool ask_queue(struct gannetd *g, struct op *op, const struct name *vhost, uint32_t *messages,
                      FILE *out)
{
    op->vhost = access_vhost_id(name_span(vhost));
    op->router = router_of_queue(op->vhost, name_span(&op->name), g->placement.routers);
    op = control_ask(g, op);
    bool done = op && op->error == ERR_NONE;
    if (done)
        *messages = op->messages;
    else if (!op)
        request_too_late(out);
    else if (op->error != ERR_NOT_FOUND || is_vhost(g, vhost, out))
        request_refused(out, op);
    front_free_answer(op);
    return done;
}

/* To a router it is all one whether the queue that is to be deleted was there. */
static bool is_queue(struct gannetd *g, const struct name *name, const struct name *vhost, FILE *out)
{
    struct op *op = op_of(OP_QUEUE_DECLARE);
    uint32_t messages;
    op->flags = OP_PASSIVE;
    op->name = *name;
    return ask_queue(g, op, vhost, &messages, out);
}

static void answer_queue(struct gannetd *g, enum op_kind kind, char *rest, FILE *out)
{
    struct op *op = op_of(kind);
    struct name vhost;
    uint32_t messages;
    if (!request_name(&rest, "the virtual host", &vhost, out) ||
        !request_name(&rest, "the queue", &op->name, out)) {
        front_free_answer(op);
    } else if (!take_conditions(op, rest)) {
        front_free_answer(op);
        request_error(out, "behind the queue there may be if_empty and if_unused, of delete_queue", "");
    } else if (kind == OP_QUEUE_DELETE && !is_queue(g, &op->name, &vhost, out)) {
        front_free_answer(op);
    } else if (ask_queue(g, op, &vhost, &messages, out)) {
        fprintf(out, "ok\nmessages#\n%u\n", messages);
    }
}

/* ---- all connections --------------------------------------------------------------------------------- */

/* What came of it at all fronts. */
struct drained {
    uint32_t most; /* that may still be closed */
    bool now;
    unsigned closed, waiting;
};

/* False: the front doesn't answer. */
static bool ask_front(struct gannetd *g, unsigned front, uint32_t flags, struct drained *drained)
{
    struct list_place place = {.of = LIST_CONNECTIONS};
    while (!place.end) {
        struct op *op = op_of(OP_LIST);
        op->flags = flags;
        op->place = place;
        op->number = drained->most;
        op->got = drained->now;
        snprintf(op->text, sizeof op->text, "drained");
        op = control_ask_front(g, front, op);
        if (!op)
            return false;
        place = op->place;
        drained->most = op->number;
        drained->closed += op->messages;
        drained->waiting += op->consumers;
        front_free_answer(op);
    }
    return true;
}

static void answer_drain(struct gannetd *g, uint32_t flags, struct drained *drained, FILE *out)
{
    bool before = status_value(g->broker, "front.drained");
    for (unsigned i = 0; i < g->placement.fronts; i++)
        if (!ask_front(g, i, flags, drained)) {
            request_too_late(out);
            return;
        }
    if (before != (flags == OP_DRAINS))
        log_line(LOG_INFO, "main", before ? "listens again" : "drained: no new connections are taken");
    fprintf(out, "ok\nclosed#\twaiting#\tconnections#\n%u\t%u\t%llu\n", drained->closed, drained->waiting,
            (unsigned long long)status_value(g->broker, "front.connections"));
}

static void take_drain(struct gannetd *g, char *rest, FILE *out)
{
    char *end, *number = strsep(&rest, "\t");
    unsigned long most = number ? strtoul(number, &end, 10) : 0;
    struct drained drained = {.most = (uint32_t)most, .now = rest && strcmp(rest, "now") == 0};
    if (!number || *number < '0' || *number > '9' || *end || most > UINT32_MAX || (rest && !drained.now))
        request_error(out, "drain needs a number of connections, and perhaps now", "");
    else
        answer_drain(g, OP_DRAINS, &drained, out);
}

bool upkeep_answer(struct gannetd *g, char *request, FILE *out)
{
    static const char *const words[] = {"purge_queue", "delete_queue", "drain", "suspend_listeners",
                                        "resume_listeners"};
    size_t len = strcspn(request, "\t"), i = 0;
    char *rest = request[len] ? request + len + 1 : NULL;
    struct drained none = {0};
    while (i < 5 && (strlen(words[i]) != len || memcmp(request, words[i], len) != 0))
        i++;
    if (i == 5)
        return false;
    if (i < 2)
        answer_queue(g, i == 0 ? OP_QUEUE_PURGE : OP_QUEUE_DELETE, rest, out);
    else if (i == 2)
        take_drain(g, rest, out);
    else if (rest)
        request_error(out, words[i], " has nothing behind it");
    else
        answer_drain(g, i == 3 ? OP_DRAINS : OP_REVIVES, &none, out);
    return true;
}
