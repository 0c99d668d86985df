#include "transport/held.h"

#include <stdlib.h>

#include "base/check.h"

void held_add(struct held *held, struct held_row row)
{
    if (!held->rows || held->count > held->mask) {
        size_t room = held->rows ? 2 * (held->mask + 1) : 64;
        struct held_row *rows = malloc(room * sizeof *rows);
        CHECK(rows);
        for (size_t i = 0; i < held->count; i++)
            rows[i] = held->rows[(held->head + i) & held->mask];
        free(held->rows);
        *held = (struct held){.rows = rows, .mask = room - 1, .count = held->count};
    }
    held->rows[(held->head + held->count++) & held->mask] = row;
}

const struct held_row *held_oldest(const struct held *held)
{
    return held->count ? &held->rows[held->head & held->mask] : NULL;
}

void held_drop_oldest(struct held *held)
{
    held->head = (held->head + 1) & held->mask;
    held->count--;
}

void held_free(struct held *held)
{
    free(held->rows);
}
