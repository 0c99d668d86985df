/*
 * What status commands ask of a front: its connections, and (of any front) the queues of all routers, and the
 * policies. Asked from another thread by a flag or a pointer, answered by a pointer; the front itself never
 * waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "front_inside.h"

void front_want_list(struct front *front, enum front_list what)
{
    front->listing.wanted[what] = true;
}

char *front_take_list(struct front *front, enum front_list what)
{
    return atomic_exchange(&front->listing.list[what], NULL);
}

static void hand_out(struct front *front, enum front_list what, char *text)
{
    free(atomic_exchange(&front->listing.list[what], text));
}

static void list_connections(struct front *front)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    for (uint32_t i = 0; i < front->conns.count; i++) {
        const struct host *h = front->conns.slot[i].thing;
        if (!h)
            continue;
        const char *state = h->waits ? "blocked" : h->closing ? "closing" : "running";
        if (h->about)
            fprintf(out, "%s\t%s%s\n", h->peer, h->about, state);
        else
            fprintf(out, "%s\t%s\t\t\t\t%s\n", h->peer, h->codec->name, state);
    }
    fclose(out);
    hand_out(front, LIST_CONNECTIONS, text);
}

/* One op to each router; they come back one by one. */
static void ask_for_queues(struct front *front)
{
    struct listing *listing = &front->listing;
    if (listing->left)
        return; /* an earlier request's answers will do */
    listing->left = front->options.routers;
    for (unsigned r = 0; r < front->options.routers; r++) {
        struct op *op = calloc(1, sizeof *op);
        CHECK(op);
        op->kind = OP_LIST_QUEUES;
        op->front = front->options.index;
        front_command(front, r)->op = (struct command_op){.kind = COMMAND_OP, .op = op};
    }
}

void listing_take(struct front *front, struct op *op)
{
    struct listing *listing = &front->listing;
    size_t more = op->list ? strlen(op->list) : 0;
    char *text = realloc(listing->queues, listing->queues_len + more + 1);
    CHECK(text);
    memcpy(text + listing->queues_len, op->list ? op->list : "", more + 1);
    listing->queues = text;
    listing->queues_len += more;
    front_free_op(front, op);
    if (--listing->left)
        return;
    hand_out(front, LIST_QUEUES, text);
    listing->queues = NULL;
    listing->queues_len = 0;
}

/* ---- ops of the control thread ------------------------------------------------------------------- */

void front_free_answer(struct op *op)
{
    if (!op)
        return;
    free((void *)(uintptr_t)op->arguments.at);
    free(op->list);
    free(op);
}

void front_ask(struct front *front, struct op *op)
{
    front_free_answer(atomic_exchange(&front->listing.asked, op));
}

struct op *front_take_answer(struct front *front)
{
    return atomic_exchange(&front->listing.answered, NULL);
}

void listing_answer(struct front *front, struct op *op)
{
    front_free_answer(atomic_exchange(&front->listing.answered, op));
}

static unsigned send_asked(struct front *front)
{
    struct op *op = front->listing.asked ? atomic_exchange(&front->listing.asked, NULL) : NULL;
    if (!op)
        return 0;
    op->front = front->options.index;
    front_command(front, 0)->op = (struct command_op){.kind = COMMAND_OP, .op = op};
    return 1;
}

/* ---- the turn ------------------------------------------------------------------------------------ */

unsigned listing_poll(struct front *front)
{
    struct listing *listing = &front->listing;
    unsigned sent = send_asked(front);
    if (listing->wanted[LIST_CONNECTIONS] && atomic_exchange(&listing->wanted[LIST_CONNECTIONS], false))
        list_connections(front);
    if (!listing->wanted[LIST_QUEUES] || !atomic_exchange(&listing->wanted[LIST_QUEUES], false))
        return sent;
    ask_for_queues(front);
    return sent + 1;
}

void listing_free(struct front *front)
{
    free(front->listing.queues);
    front_free_answer(front->listing.asked);
    front_free_answer(front->listing.answered);
    for (unsigned i = 0; i < LISTS; i++)
        free(front->listing.list[i]);
}
