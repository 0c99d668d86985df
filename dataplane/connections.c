#include "connections.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/command.h"

/* What is to be closed, and why. */
struct closing {
    struct gannetd *gannetd;
    const char *connection; /* NULL: all of the user */
    struct name user;
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

bool connections_answer(struct gannetd *g, char *request, FILE *out)
{
    static const char one[] = "close_connection", all[] = "close_all_user_connections";
    size_t len = strcspn(request, "\t");
    char *rest = request[len] ? request + len + 1 : NULL;
    struct closing closing = {.gannetd = g};
    bool of_user = len == sizeof all - 1 && memcmp(request, all, len) == 0;
    if (!of_user && (len != sizeof one - 1 || memcmp(request, one, len) != 0))
        return false;
    if (of_user && !request_name(&rest, "the user", &closing.user, out))
        return true;
    if (!of_user)
        closing.connection = strsep(&rest, "\t");
    closing.reason = rest;
    if (!rest || (closing.connection ? !*closing.connection : !closing.user.len))
        request_error(out, of_user ? all : one, " needs what is to be closed, and a reason");
    else
        answer(&closing, out);
    return true;
}
