/*
 * Properties and arguments from hostile peers, to all in the router that reads them: what properties_read
 * lets through can be marked as a dead letter and annotated, again and again, and stays well-formed and the
 * same in what nobody changed; arguments are taken or refused with a text, and what was taken can be loaded
 * and merged.
 *
 * clang -fsanitize=fuzzer,address,undefined; corpus/properties: the first byte is the kind of input (even:
 * properties; odd: a table of arguments), the rest that.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "copy.h"
#include "router/death.h"
#include "router/history.h"
#include "router/own_headers.h"
#include "router/properties.h"
#include "router/settings.h"
#include "router/stream_offset.h"
#include "router/table_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- properties ---------------------------------------------------------------------------------- */

static bool same_rest(const struct properties *a, const struct properties *b)
{
    uint32_t kept = HAS_PRIORITY | HAS_MESSAGE_ID | HAS_USER_ID | HAS_REPLY_TO | HAS_TIMESTAMP;
    return (a->flags & kept) == (b->flags & kept) && a->priority == b->priority &&
           (!(a->flags & HAS_MESSAGE_ID) || span_equal(a->message_id, b->message_id)) &&
           (!(a->flags & HAS_USER_ID) || span_equal(a->user_id, b->user_id)) &&
           (!(a->flags & HAS_TIMESTAMP) || a->timestamp == b->timestamp);
}

/* One more death, by a queue whose name is made of the step, so that some come again. */
static struct span die(struct span properties, unsigned step)
{
    char name[2] = {(char)('a' + step % 3), 0};
    struct death death = {
        .queue = span_of(name, 1),
        .reason = (enum death_reason)(step % 4),
        .time_s = step,
        .exchange = span_of("x", 1),
        .key = span_of("key", 3),
        .rekeyed = step & 1,
    };
    struct properties before, after;
    uint8_t *marked = malloc(death_room(properties));
    size_t len = death_mark(marked, properties, &death);
    CHECK(len <= death_room(properties));
    CHECK(properties_read(properties, &before) && properties_read(span_of(marked, len), &after));
    CHECK(same_rest(&before, &after) && !(after.flags & HAS_EXPIRATION));
    CHECK(step % 4 == DEATH_REJECTED || death_circle(after.headers, death.queue));
    free_span(properties);
    struct span result = copy_of(span_of(marked, len));
    free(marked);
    return result;
}

static void annotate(struct span properties)
{
    uint8_t extra[64];
    size_t len = (size_t)(put_field_long(extra, "x-sequence", 7) - extra);
    uint8_t *to = malloc(properties.len + len + 6);
    struct properties before, after;
    struct field field;
    int64_t n;
    size_t all = properties_add(to, properties, span_of(extra, len));
    CHECK(properties_read(properties, &before) && properties_read(span_of(to, all), &after));
    CHECK(same_rest(&before, &after) && after.headers.len == before.headers.len + len);
    struct span added = span_of(after.headers.at + before.headers.len, len);
    CHECK(table_find(added, "x-sequence", &field) && field_int(&field, &n) && n == 7);
    free(to);
}

static void try_properties(struct span input)
{
    struct properties p;
    struct own_headers own;
    uint64_t ms;
    struct span properties = copy_of(input);
    if (properties_read(properties, &p)) {
        header_delay(p.headers);
        own_headers_read(p.headers, &own);
        if (p.flags & HAS_EXPIRATION)
            expiration_ms(p.expiration, &ms);
        for (unsigned step = 0; step < 5; step++) {
            annotate(properties);
            properties = die(properties, step);
        }
    }
    free_span(properties);
}

/* ---- arguments ----------------------------------------------------------------------------------- */

static void try_arguments(struct span input)
{
    struct span table = copy_of(input);
    struct declared declared = {.what = "queue 'q' in vhost '/'", .durable = true};
    struct settings s, loaded;
    struct stream_wish wish;
    struct stream_wrong wrong;
    char text[1024] = "";
    if (!table_check(table)) {
        free_span(table);
        return;
    }
    bool taken = settings_read(&s, table, &declared, text, sizeof text);
    CHECK(taken || text[0]);
    settings_load(&loaded, table);
    for (unsigned i = 0; taken && i < SETTINGS; i++)
        CHECK(s.value[i] == loaded.value[i]);
    CHECK(settings_equivalent(table, table, declared.what, text, sizeof text));
    if (settings_check_policy(table, text, sizeof text))
        settings_merge(&loaded, table);
    history_arguments_valid(table, text, sizeof text);
    if (stream_wish_read(&wish, table, &wrong))
        free(wish.filter);
    free_span(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > PROPERTIES_MAX)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    if (data[0] & 1)
        try_arguments(rest);
    else
        try_properties(rest);
    return 0;
}
