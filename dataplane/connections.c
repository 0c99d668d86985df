#include "connections.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access.h"
#include "router/command.h"

/* What is to be closed, and why. */
struct closing {
    struct gannetd *gannetd;
    const char *connection; /* NULL: all of the user; without one, all of the virtual host; 0: of every */
    struct name user;
    uint32_t vhost;
    const char *reason;
    unsigned closed;
};

/* So much of a reason fits into what every protocol has for one. */
enum { REASON_BYTES = 200 };

static int shown(const char *reason)
{
    size_t len = strnlen(reason, REASON_BYTES + 1);
    if (len > REASON_BYTES)
        for (len = REASON_BYTES; len && (reason[len] & 0xC0) == 0x80;)
            len--;
    return (int)len;
}

/* Asks a front from there on. Returns what it has answered, to be freed; NULL: it hasn't. */
static struct op *ask(const struct closing *closing, unsigned front, const struct list_place *place)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = OP_LIST;
    op->flags = OP_CLOSES;
    op->place = *place;
    op->name = closing->user;
    op->vhost = closing->vhost;
    if (closing->connection)
        op->arguments = span_str(strdup(closing->connection));
    snprintf(op->text, sizeof op->text, "%.*s", shown(closing->reason), closing->reason);
    return control_ask_front(closing->gannetd, front, op);
}

/* False: the front doesn't answer. */
static bool close_at(struct closing *closing, unsigned front)
{
    struct list_place place = {.of = LIST_CONNECTIONS};
    while (!place.end) {
        struct op *op = ask(closing, front, &place);
        if (!op)
            return false;
        place = op->place;
        closing->closed += op->messages;
        front_free_answer(op);
    }
    return true;
}

static void answer(struct closing *closing, FILE *out)
{
    for (unsigned i = 0; i < closing->gannetd->placement.fronts; i++)
        if (!close_at(closing, i)) {
            request_too_late(out);
            return;
        }
    if (!closing->connection)
        fprintf(out, "ok\nclosed#\n%u\n", closing->closed);
    else if (closing->closed)
        fputs("ok\n", out);
    else
        request_missing(out, "there is no connection ", closing->connection);
}

/* Takes what is to be closed, by the verb. False: it isn't there, and that is said. */
static bool take(struct closing *closing, const char *verb, char **rest, FILE *out)
{
    struct name vhost;
    if (strcmp(verb, "close_connection") == 0) {
        closing->connection = strsep(rest, "\t");
    } else if (strcmp(verb, "close_all_connections") == 0) {
        if (!request_name(rest, "the virtual host", &vhost, out))
            return false;
        closing->vhost = vhost.len ? access_vhost_id(name_span(&vhost)) : 0;
    } else {
        return request_name(rest, "the user", &closing->user, out);
    }
    return true;
}

bool connections_answer(struct gannetd *g, char *request, FILE *out)
{
    static const char *const verbs[] = {"close_connection", "close_all_user_connections",
                                        "close_all_connections"};
    size_t len = strcspn(request, "\t"), i = 0;
    char *rest = request[len] ? request + len + 1 : NULL;
    struct closing closing = {.gannetd = g};
    while (i < 3 && (strlen(verbs[i]) != len || memcmp(request, verbs[i], len) != 0))
        i++;
    if (i == 3)
        return false;
    if (!take(&closing, verbs[i], &rest, out))
        return true;
    closing.reason = rest;
    bool named = i == 0 ? closing.connection && *closing.connection : i == 1 ? closing.user.len : true;
    if (!rest || !named)
        request_error(out, verbs[i], " needs what is to be closed, and a reason");
    else
        answer(&closing, out);
    return true;
}
