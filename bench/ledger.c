#include "ledger.h"
#include "buffer.h"

#include <err.h>
#include <stdlib.h>

static uint32_t ledger_append(struct ledger *l, uint32_t producer, uint32_t run)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 4;
        l->sources = reallocarray(l->sources, l->cap, sizeof *l->sources);
        if (!l->sources)
            errx(2, "out of memory: %u sources were refused; use fewer producers or queues", l->cap);
    }
    l->sources[l->n] = (struct source){.producer = producer, .run = run};
    return l->n++;
}

uint32_t ledger_find_slow(struct ledger *l, uint32_t producer, uint32_t run)
{
    if (!l->by_producer)
        l->by_producer = zalloc(BODY_PRODUCERS_MAX, sizeof *l->by_producer);
    uint32_t at = 0;
    while (at < l->n && (l->sources[at].producer != producer || l->sources[at].run != run))
        at++;
    if (at == l->n)
        at = ledger_append(l, producer, run);
    l->by_producer[producer] = at + 1;
    return at;
}

const struct source *ledger_look(const struct ledger *l, uint32_t producer, uint32_t run)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (l->sources[i].producer == producer && l->sources[i].run == run)
            return &l->sources[i];
    return NULL;
}

void ledger_free(struct ledger *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        seen_free(&l->sources[i].seen);
    free(l->sources);
    free(l->by_producer);
    *l = (struct ledger){0};
}
