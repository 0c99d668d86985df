#include "lists.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access.h"
#include "router/command.h"
#include "router/listing.h"

/* Who has a part of it. */
enum lister { REGISTRAR, EACH_ROUTER, EACH_FRONT };

static const struct list {
    const char *word;
    enum lister lister;
    bool by_vhost; /* it may be of one virtual host */
    const char *columns;
} lists[LISTS] = {
    [LIST_QUEUES] = {"queues", EACH_ROUTER, true, QUEUE_COLUMNS},
    [LIST_EXCHANGES] = {"exchanges", REGISTRAR, true, EXCHANGE_COLUMNS},
    [LIST_BINDINGS] = {"bindings", EACH_ROUTER, true, BINDING_COLUMNS},
    [LIST_CONNECTIONS] = {"connections", EACH_FRONT, false, CONNECTION_COLUMNS},
    [LIST_CHANNELS] = {"channels", EACH_FRONT, false, CHANNEL_COLUMNS},
    [LIST_CONSUMERS] = {"consumers", EACH_FRONT, true, CONSUMER_COLUMNS},
};

/* A list that is being made. */
struct listed {
    struct gannetd *gannetd;
    const struct list *list;
    struct name vhost; /* with by_vhost: the only one */
    bool of_one;
    bool begun; /* its columns are written */
    FILE *out;
};

static struct op *slice_op(const struct listed *listed, unsigned agent, const struct list_place *place)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = OP_LIST;
    op->router = listed->list->lister == EACH_ROUTER ? agent : 0;
    op->place = *place;
    op->other = listed->vhost;
    op->vhost = listed->of_one ? access_vhost_id(name_span(&listed->vhost)) : 0;
    return op;
}

/* What goes wrong behind the first rows is told behind the last. */
static bool fail(struct listed *listed, const char *what)
{
    if (listed->begun)
        fputc('\n', listed->out);
    request_error(listed->out, what, "");
    return false;
}

/* True: there is another slice. */
static bool put_slice(struct listed *listed, const struct op *op)
{
    if (!listed->begun)
        fprintf(listed->out, "ok\n%s\n", listed->list->columns);
    listed->begun = true;
    fputs(op->list ? op->list : "", listed->out);
    return !op->place.end && !ferror(listed->out);
}

/* All that one agent has of it. False: the answer ends here, and why is said. */
static bool put_part(struct listed *listed, unsigned agent)
{
    struct list_place place = {.of = (uint8_t)(listed->list - lists)};
    for (bool more = true; more;) {
        struct op *op = control_ask_front(listed->gannetd, listed->list->lister == EACH_FRONT ? agent : 0,
                                          slice_op(listed, agent, &place));
        if (!op)
            return fail(listed, "an agent of the broker does not answer");
        bool wrong = op->error != ERR_NONE;
        if (wrong)
            fail(listed, op->text);
        else
            more = put_slice(listed, op);
        place = op->place;
        front_free_answer(op);
        if (wrong)
            return false;
    }
    return !ferror(listed->out);
}

static void answer(struct listed *listed)
{
    const struct gannetd *g = listed->gannetd;
    enum lister lister = listed->list->lister;
    unsigned agents = lister == EACH_ROUTER  ? g->placement.routers
                      : lister == EACH_FRONT ? g->placement.fronts
                                             : 1;
    for (unsigned i = 0; i < agents; i++)
        if (!put_part(listed, i))
            return;
    fputc('\n', listed->out);
}

bool lists_answer(struct gannetd *g, const char *request, FILE *out)
{
    size_t len = strcspn(request, "\t");
    const struct list *list = lists;
    while (list < lists + LISTS && !(strlen(list->word) == len && memcmp(request, list->word, len) == 0))
        list++;
    if (list == lists + LISTS)
        return false;
    struct listed listed = {.gannetd = g, .list = list, .out = out, .of_one = request[len]};
    struct span vhost = span_str(request[len] ? request + len + 1 : "");
    if (listed.of_one && !list->by_vhost) {
        request_error(out, "this list is of all virtual hosts: ", list->word);
        return true;
    }
    if (vhost.len > NAME_MAX_BYTES) {
        request_error(out, "the virtual host is longer than 255 bytes", "");
        return true;
    }
    name_set(&listed.vhost, vhost);
    answer(&listed);
    return true;
}
