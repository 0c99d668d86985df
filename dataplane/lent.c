#include "lent.h"

#include <stdlib.h>

#include "base/check.h"

void lent_free(struct lent *lent)
{
    free(lent->rows);
}

struct lent_row *lent_add(struct lent *lent)
{
    if (!lent->rows || lent->count > lent->mask) {
        size_t room = lent->rows ? 2 * (lent->mask + 1) : 16;
        struct lent_row *rows = malloc(room * sizeof *rows);
        CHECK(rows);
        for (size_t i = 0; i < lent->count; i++)
            rows[i] = lent->rows[(lent->head + i) & lent->mask];
        free(lent->rows);
        *lent = (struct lent){.rows = rows, .mask = room - 1, .count = lent->count};
    }
    struct lent_row *row = &lent->rows[(lent->head + lent->count++) & lent->mask];
    row->buffer = NULL;
    row->port = 0;
    row->epoch = 0;
    return row;
}

struct lent_row *lent_oldest(struct lent *lent)
{
    return lent->count ? &lent->rows[lent->head & lent->mask] : NULL;
}

void lent_drop_oldest(struct lent *lent)
{
    lent->head = (lent->head + 1) & lent->mask;
    lent->count--;
}
