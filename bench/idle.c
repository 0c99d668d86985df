#include "idle.h"

#include <stdio.h>
#include <stdlib.h>

/* Its share of the subscriptions: the first ones have one more. */
static int subscribe(struct conn *c, uint64_t index)
{
    const struct options *o = c->o;
    uint64_t each = o->filters / o->idle, more = o->filters % o->idle;
    uint64_t first = index * each + (index < more ? index : more), n = each + (index < more);
    return n ? c->protocol->filters(c, first + 1, n) : 0;
}

static int open_one(struct conn *c, uint64_t index)
{
    if (conn_open(c) || subscribe(c, index))
        return -1;
    conn_adopt(c);
    if (!c->in.len)
        buffer_free(&c->in);
    buffer_free(&c->out);
    if (c->carrier->ops->watch)
        c->carrier->ops->watch(c);
    return 0;
}

int idle_open(struct idle *idle, const struct options *o, struct worker **workers, char *why, size_t why_size)
{
    *idle = (struct idle){.conns = zalloc(o->idle, sizeof *idle->conns)};
    for (; idle->n < o->idle; idle->n++, idle->up++) {
        struct conn *c = &idle->conns[idle->n];
        conn_init(c, o, CONN_IDLE, (uint32_t)idle->n + 1, workers[idle->n % o->threads]->carrier);
        if (open_one(c, idle->n)) {
            snprintf(why, why_size, "%s (%llu were up)", c->why, (unsigned long long)idle->up);
            idle->n++;
            return -1;
        }
    }
    if (o->idle)
        fprintf(stderr, "gannet-bench: %llu idle connections up, %llu filters\n",
                (unsigned long long)idle->up, (unsigned long long)o->filters);
    return 0;
}

int64_t idle_input(struct conn *c, const uint8_t *bytes, size_t n)
{
    struct incoming in;
    size_t used = 0;
    for (int64_t step; used < n; used += (size_t)step) {
        step = c->protocol->read(c, bytes + used, n - used, &in);
        if (step < 0)
            return -1;
        if (step == 0)
            break;
    }
    return (int64_t)used;
}

void idle_free(struct idle *idle)
{
    for (uint64_t i = 0; i < idle->n; i++)
        conn_free(&idle->conns[i]);
    free(idle->conns);
}
