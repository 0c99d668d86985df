/* What status commands ask of a router. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/delay.h"

/* Clients choose the name: a line stays a line, and a column a column. */
static void put_name(FILE *out, const struct name *name)
{
    for (unsigned i = 0; i < name->len; i++) {
        unsigned char c = (unsigned char)name->bytes[i];
        fputc(c < ' ' || c == 127 ? '?' : c, out);
    }
}

static void one_line(struct map_node *node, void *owner)
{
    FILE *out = owner;
    const struct queue *q = container_of(node, struct queue, by_name);
    if (delay_is_queue(q->vhost))
        return;
    fprintf(out, "%u\t", q->vhost);
    put_name(out, &q->name);
    fprintf(out, "\t%llu\t%llu\t%u\t%llu\t%s%s%s\n", (unsigned long long)q->index.ready,
            (unsigned long long)q->index.out, q->consumers, (unsigned long long)q->index.bytes,
            q->durable ? "durable" : "transient", q->exclusive ? " exclusive" : "",
            q->auto_delete ? " auto-delete" : "");
}

void list_queues(struct router *router, struct op *op)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    map_each(&router->catalog.queues, one_line, out);
    fclose(out);
    op->list = text;
    router_answer_now(router, op);
}
