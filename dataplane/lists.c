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
#include "router/pinned.h"

/* Who has a part of it. */
enum lister { REGISTRAR, EACH_ROUTER, ONE_ROUTER, EACH_FRONT };

enum { NUMBERS_MAX = 4 };

static const struct list {
    const char *word;
    enum lister lister;
    bool by_vhost;       /* it may be of one virtual host */
    unsigned by_numbers; /* so many must stand behind its name: the first is of a router */
    const char *columns;
} lists[LISTS] = {
    [LIST_QUEUES] = {"queues", EACH_ROUTER, true, 0, QUEUE_COLUMNS},
    [LIST_EXCHANGES] = {"exchanges", REGISTRAR, true, 0, EXCHANGE_COLUMNS},
    [LIST_BINDINGS] = {"bindings", EACH_ROUTER, true, 0, BINDING_COLUMNS},
    [LIST_SEGMENTS] = {"segments", EACH_ROUTER, false, 0, SEGMENT_COLUMNS},
    [LIST_PINS] = {"pins", ONE_ROUTER, false, 3, PIN_COLUMNS},
    [LIST_CONNECTIONS] = {"connections", EACH_FRONT, false, 0, CONNECTION_COLUMNS},
    [LIST_CHANNELS] = {"channels", EACH_FRONT, false, 0, CHANNEL_COLUMNS},
    [LIST_CONSUMERS] = {"consumers", EACH_FRONT, true, 0, CONSUMER_COLUMNS},
    [LIST_DELIVERIES] = {"deliveries", EACH_FRONT, false, 4, DELIVERY_COLUMNS},
};

/* What is asked for by its name. */
static const struct one {
    const char *word;
    enum list_of of;
    bool in_vhost;
} ones[] = {
    {"queue", LIST_QUEUES, true},
    {"exchange", LIST_EXCHANGES, true},
    {"connection", LIST_CONNECTIONS, false},
    {"channel", LIST_CHANNELS, false},
    {"channels_of_connection", LIST_CHANNELS, false},
};

enum { ONES = sizeof ones / sizeof *ones };

/* A list that is being made. */
struct listed {
    struct gannetd *gannetd;
    const struct list *list;
    struct name vhost; /* with by_vhost: the only one */
    bool of_one;
    const struct one *one;        /* NULL: all of them */
    struct name name;             /* in a virtual host */
    struct span connection;       /* the name of one, and */
    uint32_t channel;             /* the number of one of its channels; 0: any */
    uint64_t number[NUMBERS_MAX]; /* with by_numbers */
    bool begun;                   /* its columns are written */
    FILE *out;
};

static struct op *slice_op(const struct listed *listed, unsigned agent, const struct list_place *place)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = OP_LIST;
    op->router = listed->list->lister == EACH_ROUTER ? agent : (uint32_t)listed->number[0];
    memcpy(op->which, listed->number + 1, sizeof op->which);
    op->place = *place;
    op->other = listed->vhost;
    op->flags = listed->one ? OP_ONE : 0;
    op->name = listed->name;
    op->prefetch = listed->channel;
    if (listed->connection.len)
        op->arguments = span_of(strndup((const char *)listed->connection.at, listed->connection.len),
                                listed->connection.len);
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
    unsigned from = 0;
    if (listed->one && lister == EACH_ROUTER) {
        from = router_of_queue(access_vhost_id(name_span(&listed->vhost)), name_span(&listed->name), agents);
        agents = from + 1;
    }
    for (unsigned i = from; i < agents; i++)
        if (!put_part(listed, i))
            return;
    fputc('\n', listed->out);
}

/* "10.0.0.1:4711 -> 10.0.0.2:5672 (3)": a channel's name has its number behind its connection's. */
static void take_number(struct listed *listed)
{
    struct span *name = &listed->connection;
    const uint8_t *end = name->at + name->len, *open = memrchr(name->at, '(', name->len);
    if (!open || open == name->at || open[-1] != ' ' || end[-1] != ')')
        return; /* so no channel is called */
    listed->channel = (uint32_t)strtoul((const char *)open + 1, NULL, 10);
    name->len = (size_t)(open - 1 - name->at);
}

/* Takes the words behind. False: they aren't what they must be, and that is said. */
static bool take_one(struct listed *listed, const char *rest)
{
    const struct one *one = listed->one;
    size_t len = strcspn(rest, "\t");
    struct span vhost = span_of(rest, len), name = span_str(rest + len + (rest[len] != 0));
    if (one->in_vhost && (vhost.len > NAME_MAX_BYTES || name.len > NAME_MAX_BYTES || !rest[len])) {
        request_error(listed->out, one->word, " needs a virtual host and a name, of at most 255 bytes each");
        return false;
    }
    if (!one->in_vhost && !*rest) {
        request_error(listed->out, one->word, " needs a name");
        return false;
    }
    if (one->in_vhost) {
        name_set(&listed->vhost, vhost);
        name_set(&listed->name, name);
    } else {
        listed->connection = span_str(rest);
        if (strcmp(one->word, "channel") == 0)
            take_number(listed);
    }
    listed->of_one = one->in_vhost;
    return true;
}

static bool take_vhost(struct listed *listed, const char *rest)
{
    struct span vhost = span_str(rest ? rest : "");
    listed->of_one = rest;
    if (rest && !listed->list->by_vhost)
        request_error(listed->out, "this list is of all virtual hosts: ", listed->list->word);
    else if (vhost.len > NAME_MAX_BYTES)
        request_error(listed->out, "the virtual host is longer than 255 bytes", "");
    else
        name_set(&listed->vhost, vhost);
    return listed->vhost.len == vhost.len;
}

static bool is_word(const char *word, const char *request, size_t len)
{
    return strlen(word) == len && memcmp(request, word, len) == 0;
}

/* Numbers with tabs before them, as many as the list wants. */
static bool are_numbers(struct listed *listed, const char *at)
{
    const struct list *list = listed->list;
    char *end = (char *)(uintptr_t)at;
    for (unsigned i = 0; i < list->by_numbers; i++, at = end) {
        if (*at != '\t' || at[1] < '0' || at[1] > '9')
            return false;
        listed->number[i] = strtoull(at + 1, &end, 10);
    }
    return !*end && listed->number[0] < listed->gannetd->placement.routers;
}

static bool take_numbers(struct listed *listed, const char *at)
{
    if (are_numbers(listed, at))
        return true;
    request_error(listed->out,
                  "this list wants the number of a router that there is, and others: ", listed->list->word);
    return false;
}

bool lists_answer(struct gannetd *g, const char *request, FILE *out)
{
    size_t len = strcspn(request, "\t");
    const char *rest = request[len] ? request + len + 1 : NULL;
    struct listed listed = {.gannetd = g, .out = out};
    for (unsigned i = 0; i < LISTS; i++)
        if (is_word(lists[i].word, request, len))
            listed.list = &lists[i];
    for (unsigned i = 0; i < ONES; i++)
        if (is_word(ones[i].word, request, len)) {
            listed.one = &ones[i];
            listed.list = &lists[ones[i].of];
        }
    if (!listed.list)
        return false;
    if (listed.list->by_numbers ? take_numbers(&listed, request + len)
        : listed.one            ? take_one(&listed, rest ? rest : "")
                                : take_vhost(&listed, rest))
        answer(&listed);
    return true;
}
