#include <criterion/criterion.h>
#include <stdio.h>

#include "base/prng.h"
#include "exchange_table.h"

enum { VHOSTS = 2, NAMES = 40 };

/* The naive twin: the row of each name in each virtual host, id 0 for none. */
struct twin {
    struct exchange_row rows[VHOSTS][NAMES];
};

static struct span name_of(unsigned n, char text[8])
{
    snprintf(text, 8, "e%u", n);
    return n ? span_str(text) : span_str(""); /* the default exchange */
}

static void apply(struct exchange_table *table, const struct exchange_row *row, unsigned name, bool gone)
{
    char text[8];
    struct span s = name_of(name, text);
    struct exchange_update update = {
        .id = row->id, .interest = row->interest, .vhost = row->vhost, .gone = gone};
    update.internal = row->internal;
    update.is_default = row->is_default;
    update.name_len = (uint8_t)s.len;
    memcpy(update.name, s.at, s.len);
    uint64_t version = table->version;
    exchange_table_apply(table, &update);
    cr_assert_neq(table->version, version, "whoever keeps a row sees that something has changed");
}

static void check(const struct exchange_table *table, const struct twin *twin)
{
    char text[8];
    for (unsigned v = 0; v < VHOSTS; v++)
        for (unsigned n = 0; n < NAMES; n++) {
            const struct exchange_row *is = exchange_table_find(table, v + 1, name_of(n, text));
            const struct exchange_row *wanted = &twin->rows[v][n];
            cr_assert_eq(is != NULL, wanted->id != 0);
            if (!is)
                continue;
            cr_assert(is->id == wanted->id && is->interest == wanted->interest && is->vhost == v + 1);
            cr_assert(is->internal == wanted->internal && is->is_default == wanted->is_default);
        }
    cr_assert_null(exchange_table_find(table, VHOSTS + 1, span_str("e1")));
    cr_assert_null(exchange_table_find(table, 1, span_str("e1x")));
}

Test(exchange_table, says_what_the_registrar_has_told)
{
    struct exchange_table table;
    struct twin twin = {0};
    struct prng prng;
    uint64_t next_id = 1;
    prng_seed(&prng, 1);
    exchange_table_init(&table);
    for (unsigned step = 0; step < 3000; step++) {
        unsigned v = (unsigned)prng_below(&prng, VHOSTS), n = (unsigned)prng_below(&prng, NAMES);
        struct exchange_row *row = &twin.rows[v][n];
        bool gone = row->id && prng_below(&prng, 3) == 0;
        if (!row->id)
            *row = (struct exchange_row){
                .id = next_id++, .vhost = v + 1, .internal = n % 3 == 0, .is_default = n == 0};
        row->interest = prng_next(&prng);
        apply(&table, row, n, gone);
        if (gone)
            row->id = 0;
        if (step % 50 == 0)
            check(&table, &twin);
    }
    check(&table, &twin);
    exchange_table_free(&table);
}

/* The row is where it was: a codec compares addresses. */
Test(exchange_table, an_update_leaves_the_row_in_its_place)
{
    struct exchange_table table;
    struct exchange_row row = {.id = 5, .vhost = 1, .interest = 1};
    exchange_table_init(&table);
    apply(&table, &row, 3, false);
    const struct exchange_row *found = exchange_table_find(&table, 1, span_str("e3"));
    cr_assert(found);
    row.interest = 7;
    apply(&table, &row, 3, false);
    cr_assert_eq(exchange_table_find(&table, 1, span_str("e3")), found);
    cr_assert_eq(found->interest, 7);
    exchange_table_free(&table);
}

Test(exchange_table, what_is_gone_twice_or_was_never_there_is_no_matter)
{
    struct exchange_table table;
    struct exchange_row row = {.id = 5, .vhost = 1};
    exchange_table_init(&table);
    apply(&table, &row, 3, true);
    apply(&table, &row, 3, false);
    apply(&table, &row, 3, true);
    apply(&table, &row, 3, true);
    cr_assert_null(exchange_table_find(&table, 1, span_str("e3")));
    exchange_table_free(&table);
}
