#include "router/settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "router/arguments.h"
#include "router/properties.h"
#include "router/table.h"

/* ---- the rows ------------------------------------------------------------------------------------ */

enum kind { NUMBER, LIMIT, FLAG, TEXT, AGE, WORD };
enum merge { FIRST, LOWER };
enum { CLASSIC = 1 << TYPE_CLASSIC, QUORUM = 1 << TYPE_QUORUM, STREAM = 1 << TYPE_STREAM };
enum { ANY = CLASSIC | QUORUM | STREAM };

static const struct row {
    const char *argument, *key;
    enum kind kind;
    int64_t least, most;
    unsigned types;
    enum merge merge;
} rows[SETTINGS] = {
#define X(name, argument, key, kind, least, most, types, merge)                                              \
    [name] = {argument, key, kind, least, most, types, merge},
#include "router/settings.def"
#undef X
};

/* RabbitMQ's name of what implements a type, which its texts have. */
static const char *const type_texts[] = {"rabbit_classic_queue", "rabbit_quorum_queue",
                                         "rabbit_stream_queue"};

const char *settings_type_text(enum queue_type type)
{
    return type_texts[type];
}

static const char *const types[] = {"classic", "quorum", "stream", NULL};
static const char *const overflows[] = {"drop-head", "reject-publish", "reject-publish-dlx", NULL};
static const char *const strategies[] = {"at-most-once", "at-least-once", NULL};
static const char *const levels[] = {"ram", "disk", NULL};
static const char *const modes[] = {"default", "lazy", NULL};
static const char *const locators[] = {"client-local", "balanced", "random", "least-leaders", NULL};
static const char *const masters[] = {"min-masters", "client-local", "random", NULL};

/* A setting's words, in the order of their enum, and what is said to another: with %s for that one. */
static const struct words {
    const char *const *list;
    const char *wrong;
} words[SETTINGS] = {
    [SETTING_TYPE] = {types, "\"unsupported queue type '%.*s'\""},
    [SETTING_OVERFLOW] = {overflows, "invalid_overflow"},
    [SETTING_DEAD_STRATEGY] = {strategies, "invalid_dlx_strategy"},
    [SETTING_CONFIRM] = {levels, "\"unsupported level of confirms '%.*s'\""},
    [SETTING_MODE] = {modes, "\"unsupported queue mode '%.*s'\""},
    [SETTING_LOCATOR] = {locators, "invalid_queue_locator_arg"},
    [SETTING_MASTER] = {masters, "\"unsupported queue master locator '%.*s'\""},
};

/* ---- values -------------------------------------------------------------------------------------- */

struct why {
    char *text;
    size_t size;
};

static bool wrong(struct why why, const char *text)
{
    snprintf(why.text, why.size, "%s", text);
    return false;
}

static bool wrong_type(struct why why, const struct field *field)
{
    snprintf(why.text, why.size, "{unacceptable_type,%s}", field_type_name(field->type));
    return false;
}

static bool out_of_range(enum setting setting, int64_t number, struct why why)
{
    const char *reason = "value_too_large";
    if (number >= 0 && setting == SETTING_VERSION) {
        snprintf(why.text, why.size, "\"unsupported queue version '%" PRId64 "'\"", number);
        return false;
    }
    if (number < 0)
        reason = "value_negative";
    else if (number < rows[setting].least)
        reason = number ? "value_too_small" : "value_zero";
    else if (setting == SETTING_PRIORITY)
        reason = "max_value_exceeded";
    snprintf(why.text, why.size, "{%s,%" PRId64 "}", reason, number);
    return false;
}

static bool read_number(enum setting setting, const struct field *field, uint64_t *value, struct why why)
{
    const struct row *row = &rows[setting];
    int64_t number;
    if (!field_int(field, &number)) {
        snprintf(why.text, why.size, "\"expected integer, got %s\"", field_type_name(field->type));
        return false;
    }
    if (row->kind == LIMIT && number == -1) {
        *value = NO_LIMIT - 1; /* said, and more than there will ever be */
        return true;
    }
    *value = (uint64_t)number;
    return (number >= row->least && number <= row->most) || out_of_range(setting, number, why);
}

static bool read_word(enum setting setting, const struct field *field, uint64_t *value, struct why why)
{
    const struct words *w = &words[setting];
    if (field->type != 'S')
        return wrong_type(why, field);
    for (*value = 0; w->list[*value]; ++*value)
        if (span_is(field->value, w->list[*value]))
            return true;
    int len = (int)(field->value.len < NAME_MAX_BYTES ? field->value.len : NAME_MAX_BYTES);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(why.text, why.size, w->wrong, len, (const char *)field->value.at);
#pragma GCC diagnostic pop
    return false;
}

bool settings_age(struct span text, uint64_t *ms)
{
    static const char units[] = "YMDhms";
    static const uint32_t seconds[] = {365 * 86400, 30 * 86400, 86400, 3600, 60, 1};
    uint64_t n = 0;
    size_t digits = 0;
    for (; digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9' && n < 1000000000; digits++)
        n = n * 10 + (text.at[digits] - '0');
    const char *unit = digits && digits + 1 == text.len ? strchr(units, text.at[digits]) : NULL;
    if (!unit || !*unit || !n)
        return false;
    uint32_t each = seconds[unit - units];
    *ms = n < AGE_MAX / 1000 / each ? n * each * 1000 : AGE_MAX;
    return true;
}

static bool read_value(struct settings *s, enum setting setting, const struct field *field, struct why why)
{
    uint64_t *value = &s->value[setting];
    bool flag;
    switch (rows[setting].kind) {
    case NUMBER:
    case LIMIT:
        return read_number(setting, field, value, why);
    case FLAG:
        *value = field_bool(field, &flag) && flag;
        return field->type == 't' || wrong_type(why, field);
    case TEXT:
        *value = 1;
        s->text[setting] = field->value;
        if (field->type != 'S')
            return wrong_type(why, field);
        return field->value.len <= NAME_MAX_BYTES || wrong(why, "\"longer than 255 bytes\"");
    case AGE:
        if (field->type != 'S')
            return wrong_type(why, field);
        return settings_age(field->value, value) || wrong(why, "invalid_max_age");
    case WORD:
        return read_word(setting, field, value, why);
    }
    UNREACHABLE();
}

/* ---- declarations -------------------------------------------------------------------------------- */

static void clear(struct settings *s)
{
    *s = (struct settings){0};
    for (unsigned i = 0; i < SETTINGS; i++)
        s->value[i] = NO_LIMIT;
}

/* Everything before MODE makes a queue that is not plain, when it says anything. */
static void look_for_any(struct settings *s)
{
    s->any = settings_type(s) != TYPE_CLASSIC;
    for (unsigned i = SETTING_TYPE + 1; i < SETTING_MODE; i++)
        s->any |= s->value[i] != NO_LIMIT;
}

static enum setting find(struct span name, bool policy)
{
    unsigned i = 0;
    while (i < SETTINGS &&
           !(policy ? *rows[i].key && span_is(name, rows[i].key) : span_is(name, rows[i].argument)))
        i++;
    return (enum setting)i;
}

static bool refuse(const char *name, const char *what, const char *reason, char *text, size_t size)
{
    snprintf(text, size, "invalid arg '%s' for %s%s", name, what, reason);
    return false;
}

/* What a type doesn't take comes before what is wrong with it. */
static bool read_argument(struct settings *s, enum setting setting, const struct field *field,
                          const struct declared *d, char *text, size_t size)
{
    char reason[NAME_MAX_BYTES + 64];
    if (!(rows[setting].types & 1u << settings_type(s))) {
        snprintf(reason, sizeof reason, " of queue type %s", type_texts[settings_type(s)]);
        return refuse(rows[setting].argument, d->what, reason, text, size);
    }
    if (setting == SETTING_DEAD_EXCHANGE && field->type != 'S') {
        snprintf(text, size, "invalid type '%s' for arg '%s' in %s", field_type_name(field->type),
                 rows[setting].argument, d->what);
        return false;
    }
    if (setting == SETTING_DEAD_KEY && field->type == 'S' && !settings_has(s, SETTING_DEAD_EXCHANGE))
        return refuse(rows[setting].argument, d->what, ": routing_key_but_no_dlx_defined", text, size);
    reason[0] = ':', reason[1] = ' ';
    if (read_value(s, setting, field, (struct why){reason + 2, sizeof reason - 2}))
        return true;
    if (setting == SETTING_SEGMENT && (int64_t)s->value[setting] > rows[setting].most) {
        snprintf(text, size, "Exceeded max value for %s", rows[setting].argument);
        return false;
    }
    return refuse(rows[setting].argument, d->what, reason, text, size);
}

/* What keeps its messages in any case isn't for a connection or a consumer only. */
static bool property_fits(const struct settings *s, const struct declared *d, char *text, size_t size)
{
    if (settings_type(s) != TYPE_CLASSIC && d->unnamed) {
        snprintf(text, size, "Cannot declare a server-named queue for type %s", type_texts[settings_type(s)]);
        return false;
    }
    const char *property = d->auto_delete ? "auto-delete" : d->exclusive ? "exclusive-owner" : "non-durable";
    if (settings_type(s) == TYPE_CLASSIC || (d->durable && !d->exclusive && !d->auto_delete))
        return true;
    snprintf(text, size, "invalid property '%s' for %s", property, d->what);
    return false;
}

/* A last-value queue has one value for each key and as many consumers as there are: what would take values
 * away, or keep consumers from them, can't be asked for with it, and what policies say of it is passed over.
 */
static const enum setting not_last_value[] = {
    SETTING_TTL,      SETTING_DEAD_EXCHANGE, SETTING_LENGTH,        SETTING_BYTES,
    SETTING_OVERFLOW, SETTING_PRIORITY,      SETTING_SINGLE_ACTIVE, SETTING_CONSUMER_TIMEOUT};

static bool last_value_fits(const struct settings *s, const struct declared *d, char *text, size_t size)
{
    char reason[128];
    if (!settings_has(s, SETTING_LAST_VALUE)) {
        if (!settings_has(s, SETTING_CONFLATION))
            return true;
        return refuse(rows[SETTING_CONFLATION].argument, d->what, ": it goes with 'x-last-value-key'", text,
                      size);
    }
    for (unsigned i = 0; i < sizeof not_last_value / sizeof *not_last_value; i++) {
        if (!settings_has(s, not_last_value[i]))
            continue;
        snprintf(reason, sizeof reason, ": it can't be with '%s'", rows[SETTING_LAST_VALUE].argument);
        return refuse(rows[not_last_value[i]].argument, d->what, reason, text, size);
    }
    return true;
}

/* The type decides what else there may be, so it is read first. */
static bool read_type(struct settings *s, struct span arguments, const struct declared *d, char *text,
                      size_t size)
{
    struct field field;
    uint64_t type;
    if (!table_find(arguments, rows[SETTING_TYPE].argument, &field))
        return true;
    char reason[NAME_MAX_BYTES + 64] = ": ";
    if (!read_word(SETTING_TYPE, &field, &type, (struct why){reason + 2, sizeof reason - 2}))
        return refuse(rows[SETTING_TYPE].argument, d->what, reason, text, size);
    s->value[SETTING_TYPE] = type;
    return true;
}

bool settings_type_named(struct span name, enum queue_type *type)
{
    for (unsigned i = 0; types[i]; i++)
        if (span_is(name, types[i])) {
            *type = (enum queue_type)i;
            return true;
        }
    return false;
}

const char *settings_type_name(enum queue_type type)
{
    return types[type];
}

bool settings_read(struct settings *s, struct span arguments, const struct declared *d, char *text,
                   size_t text_size)
{
    struct field field;
    clear(s);
    if (!read_type(s, arguments, d, text, text_size))
        return false;
    for (unsigned i = SETTING_TYPE + 1; i < SETTINGS; i++)
        if (table_find(arguments, rows[i].argument, &field) &&
            !read_argument(s, (enum setting)i, &field, d, text, text_size))
            return false;
    look_for_any(s);
    if (settings_has(s, SETTING_RESERVATION) && (!d->durable || d->exclusive))
        return refuse(rows[SETTING_RESERVATION].argument, d->what,
                      ": it needs a durable queue that isn't exclusive", text, text_size);
    return last_value_fits(s, d, text, text_size) && property_fits(s, d, text, text_size);
}

bool settings_read_number(enum setting setting, struct span arguments, const char *what, uint64_t *value,
                          char *text, size_t text_size)
{
    char reason[NAME_MAX_BYTES + 64] = ": ";
    struct field field;
    return !table_find(arguments, rows[setting].argument, &field) ||
           read_number(setting, &field, value, (struct why){reason + 2, sizeof reason - 2}) ||
           refuse(rows[setting].argument, what, reason, text, text_size);
}

bool settings_equivalent(struct span received, struct span current, const char *what, char *text,
                         size_t text_size)
{
    struct field one, other;
    for (unsigned i = 0; i < SETTINGS; i++) {
        bool a = table_find(received, rows[i].argument, &one),
             b = table_find(current, rows[i].argument, &other);
        bool is_default =
            i == SETTING_TYPE && a != b && span_is(a ? one.value : other.value, types[TYPE_CLASSIC]);
        if (!is_default && !argument_equivalent(span_str(rows[i].argument), a ? &one : NULL,
                                                b ? &other : NULL, what, text, text_size))
            return false;
    }
    return true;
}

void settings_load(struct settings *s, struct span arguments)
{
    char text[2 * NAME_MAX_BYTES];
    struct field field;
    clear(s);
    while (table_next(&arguments, &field)) { /* of two of one name the first counts, as in settings_read */
        enum setting setting = find(field.name, false);
        if (setting != SETTINGS && s->value[setting] == NO_LIMIT &&
            !read_value(s, setting, &field, (struct why){text, sizeof text}))
            s->value[setting] = NO_LIMIT; /* an older broker didn't look at it */
    }
    look_for_any(s);
}

/* ---- policies ------------------------------------------------------------------------------------ */

bool settings_check_policy(struct span definition, char *text, size_t text_size)
{
    struct settings s;
    struct field field;
    char reason[NAME_MAX_BYTES + 64];
    clear(&s);
    while (table_next(&definition, &field)) {
        enum setting setting = find(field.name, true);
        if (setting == SETTINGS) {
            snprintf(text, text_size, "'%.*s' is not something a policy can say", (int)field.name.len,
                     (const char *)field.name.at);
            return false;
        }
        if (!read_value(&s, setting, &field, (struct why){reason, sizeof reason})) {
            snprintf(text, text_size, "invalid value for '%s': %s", rows[setting].key, reason);
            return false;
        }
    }
    return true;
}

bool settings_policy_fits(const struct settings *s, struct span definition)
{
    struct field field;
    while (table_next(&definition, &field)) {
        enum setting setting = find(field.name, true);
        bool idle = setting == SETTINGS || setting == SETTING_VERSION || setting == SETTING_MEMORY_LENGTH ||
                    setting == SETTING_MEMORY_BYTES;
        if (!idle && !(rows[setting].types & 1u << settings_type(s)))
            return false;
    }
    return true;
}

static bool is_passed_over(const struct settings *s, enum setting setting)
{
    if (!(rows[setting].types & 1u << settings_type(s)))
        return true;
    for (unsigned i = 0; i < sizeof not_last_value / sizeof *not_last_value; i++)
        if (not_last_value[i] == setting)
            return settings_has(s, SETTING_LAST_VALUE);
    return false;
}

/* What a queue of its kind doesn't take is passed over. */
void settings_merge(struct settings *s, struct span definition)
{
    char reason[NAME_MAX_BYTES + 64];
    struct settings said;
    struct field field;
    clear(&said);
    while (table_next(&definition, &field)) {
        enum setting setting = find(field.name, true);
        if (setting == SETTINGS || is_passed_over(s, setting) ||
            !read_value(&said, setting, &field, (struct why){reason, sizeof reason}))
            continue;
        bool lower = rows[setting].merge == LOWER && said.value[setting] < s->value[setting];
        if (s->value[setting] != NO_LIMIT && !lower)
            continue;
        s->value[setting] = said.value[setting];
        s->text[setting] = said.text[setting];
    }
    look_for_any(s);
}
