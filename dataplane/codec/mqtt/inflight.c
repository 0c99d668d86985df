#include "codec/mqtt/inflight.h"

#include <stdlib.h>

#include "base/check.h"

void inflight_free(struct inflight *inflight)
{
    for (unsigned i = 0; inflight->pages && i < INFLIGHT_PAGES; i++)
        free(inflight->pages[i]);
    free(inflight->pages);
    free(inflight->spare);
    *inflight = (struct inflight){0};
}

static struct inflight_page *page_for(struct inflight *inflight, uint16_t id)
{
    if (!inflight->pages) {
        inflight->pages = calloc(INFLIGHT_PAGES, sizeof *inflight->pages);
        CHECK(inflight->pages);
    }
    struct inflight_page **page = &inflight->pages[id / INFLIGHT_PAGE];
    if (!*page) {
        *page = inflight->spare ? inflight->spare : calloc(1, sizeof **page);
        CHECK(*page);
        inflight->spare = NULL;
    }
    return *page;
}

struct sent *inflight_use(struct inflight *inflight, uint16_t id)
{
    struct inflight_page *page = page_for(inflight, id);
    struct sent *slot = &page->slot[id % INFLIGHT_PAGE];
    CHECK(slot->state == INFLIGHT_FREE);
    page->used++;
    inflight->count++;
    return slot;
}

struct sent *inflight_find(const struct inflight *inflight, uint16_t id)
{
    struct inflight_page *page = inflight->pages ? inflight->pages[id / INFLIGHT_PAGE] : NULL;
    struct sent *slot = page ? &page->slot[id % INFLIGHT_PAGE] : NULL;
    return slot && slot->state != INFLIGHT_FREE ? slot : NULL;
}

void inflight_remove(struct inflight *inflight, uint16_t id)
{
    struct inflight_page **page = &inflight->pages[id / INFLIGHT_PAGE];
    (*page)->slot[id % INFLIGHT_PAGE].state = INFLIGHT_FREE;
    inflight->count--;
    if (--(*page)->used)
        return;
    free(inflight->spare);
    inflight->spare = *page;
    *page = NULL;
}

void inflight_each(struct inflight *inflight, void (*visit)(void *owner, uint16_t id, struct sent *sent),
                   void *owner)
{
    for (unsigned id = 0; inflight->pages && id < 65536; id++) {
        struct sent *sent = inflight_find(inflight, (uint16_t)id);
        if (sent)
            visit(owner, (uint16_t)id, sent);
    }
}

const struct sent *inflight_walk(const struct inflight *inflight, uint64_t *at, unsigned *steps, uint16_t *id)
{
    while (inflight->count && *at < 65536 && *steps) {
        --*steps;
        if (!inflight->pages[*at / INFLIGHT_PAGE]) {
            *at = (*at / INFLIGHT_PAGE + 1) * INFLIGHT_PAGE;
            continue;
        }
        *id = (uint16_t)(*at)++;
        const struct sent *sent = inflight_find(inflight, *id);
        if (sent)
            return sent;
    }
    return NULL;
}
