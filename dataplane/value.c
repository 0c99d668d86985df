#include "value.h"

#include <assert.h>
#include <ctype.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "config.h"
#include "tcp/ip.h"
#include "transport/address.h"

/* Where an error goes, and what it is about. */
struct parse {
    const char *text;
    const struct value_bounds *bounds;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 2, 3))) static bool wrong(const struct parse *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->error, p->error_size, format, args);
    va_end(args);
    return false;
}

/* ---- numbers with units --------------------------------------------------------------------------- */

struct unit {
    const char *name;
    uint64_t factor;
};

/* The first unit is that of a number without one; the largest come last. */
static const struct unit no_units[] = {{"", 1}, {0}};
static const struct unit size_units[] = {
    {"B", 1}, {"KiB", 1ull << 10}, {"MiB", 1ull << 20}, {"GiB", 1ull << 30}, {"TiB", 1ull << 40}, {0}};
static const struct unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {0}};

static const struct unit *units_of(enum value_type type)
{
    if (type == VALUE_SIZE || type == VALUE_SHARE)
        return size_units;
    return type == VALUE_DURATION ? duration_units : no_units;
}

/* Digits, blanks, a unit. A number without a unit is in the smallest one. */
static bool parse_number(const char *text, const struct unit *units, uint64_t *value)
{
    char *rest;
    if (!isdigit((unsigned char)*text))
        return false;
    unsigned long long number = strtoull(text, &rest, 10);
    rest += strspn(rest, " ");
    for (const struct unit *unit = units; unit->name; unit++)
        if ((!*rest && unit == units) || (*unit->name && strcasecmp(rest, unit->name) == 0))
            return !__builtin_mul_overflow((uint64_t)number, unit->factor, value);
    return false;
}

static bool parse_percent(const char *text, uint64_t memory, uint64_t *value)
{
    char *rest;
    if (!isdigit((unsigned char)*text))
        return false;
    unsigned long long percent = strtoull(text, &rest, 10);
    rest += strspn(rest, " ");
    if (strcmp(rest, "%") != 0 || percent > 100)
        return false;
    *value = memory / 100 * percent;
    return true;
}

static bool number(const struct parse *p, enum value_type type, uint64_t *to)
{
    uint64_t value;
    if (type == VALUE_SHARE && parse_percent(p->text, p->bounds->memory, &value)) {
        *to = value < p->bounds->least ? p->bounds->least : value;
        return true;
    }
    if (!parse_number(p->text, units_of(type), &value))
        return wrong(p, "'%s' is not %s", p->text, value_type_name(type));
    if (value < p->bounds->least || value > p->bounds->most) {
        char least[64], most[64];
        value_text(type, p->bounds->least, least, sizeof least);
        value_text(type, p->bounds->most, most, sizeof most);
        return wrong(p, "'%s' is not between %s and %s", p->text, least, most);
    }
    *to = value;
    return true;
}

/* ---- words ---------------------------------------------------------------------------------------- */

static bool boolean(const struct parse *p, bool *to)
{
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(p->text, words[i]) == 0) {
            *to = i % 2;
            return true;
        }
    return wrong(p, "'%s' is neither true nor false", p->text);
}

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const transports[] = {"sockets", "dpdk", NULL};
static const char *const congestions[] = {"cubic", "newreno", NULL};

static int find_word(const char *const *words, const char *text, size_t len)
{
    for (int i = 0; words[i]; i++)
        if (strlen(words[i]) == len && strncasecmp(words[i], text, len) == 0)
            return i;
    return -1;
}

/* An enum whose names are the words: they are as large as an int. */
static bool word(const struct parse *p, const char *const *words, void *to)
{
    char list[128] = "";
    size_t n = 0;
    int found = find_word(words, p->text, strlen(p->text));
    for (int i = 0; words[i]; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s",
                              !i             ? ""
                              : words[i + 1] ? ", "
                                             : " and ",
                              words[i]);
    if (found < 0)
        return wrong(p, "'%s' is none of %s", p->text, list);
    memcpy(to, &found, sizeof found);
    return true;
}

static_assert(sizeof(enum log_level) == sizeof(int) && sizeof(enum net_transport) == sizeof(int) &&
                  sizeof(enum congestion) == sizeof(int),
              "word() writes an int");

const char *value_plain_address(const char *item, int *transport)
{
    const char *colon = strchr(item, ':');
    int found = colon ? find_word(transports, item, (size_t)(colon - item)) : -1;
    if (found < 0)
        return item;
    *transport = found;
    return colon + 1;
}

static bool text(const struct parse *p, char **to)
{
    size_t len = strlen(p->text);
    if (len < p->bounds->least || len > p->bounds->most)
        return wrong(p, "a text of %zu bytes; %llu to %llu are allowed", len,
                     (unsigned long long)p->bounds->least, (unsigned long long)p->bounds->most);
    free(*to);
    *to = strdup(p->text);
    CHECK(*to);
    return true;
}

/* ---- lists ---------------------------------------------------------------------------------------- */

static void list_free(struct text_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        free(list->item[i]);
    free(list->item);
    *list = (struct text_list){0};
}

static void list_add(struct text_list *list, const char *item, size_t len)
{
    list->item = realloc(list->item, (list->count + 1) * sizeof *list->item);
    CHECK(list->item);
    CHECK(list->item[list->count] = strndup(item, len));
    list->count++;
}

/* Takes the next item off a text with commas; blanks around it do not count. *rest: NULL behind the last. */
static const char *next_item(const char **rest, size_t *len)
{
    const char *from = *rest + strspn(*rest, " \t");
    size_t n = strcspn(from, ",");
    *rest = from[n] ? from + n + 1 : NULL;
    while (n && (from[n - 1] == ' ' || from[n - 1] == '\t'))
        n--;
    *len = n;
    return from;
}

static bool good_item(const struct parse *p, const struct text_list *list, enum value_type type)
{
    const char *item = list->item[list->count - 1];
    struct address address;
    struct ip_prefix prefix;
    int transport;
    if (!*item)
        return wrong(p, "an item of the list is empty");
    for (unsigned i = 0; i + 1 < list->count; i++)
        if (strcmp(list->item[i], item) == 0)
            return wrong(p, "'%s' stands there twice", item);
    if (type == VALUE_ADDRESSES)
        return address_parse(&address, value_plain_address(item, &transport), p->error, p->error_size);
    if (type == VALUE_PREFIXES && !ip_prefix_parse(item, &prefix))
        return wrong(p, "'%s' is not ADDRESS/BITS, such as 10.0.0.2/24 or 2001:db8::2/64", item);
    if (type == VALUE_IPS && !ip_address_parse(item, &prefix.address))
        return wrong(p, "'%s' is not an IPv4 or IPv6 address", item);
    return strlen(item) <= NAME_MAX_BYTES || wrong(p, "an item of more than %u bytes", NAME_MAX_BYTES);
}

static bool list(const struct parse *p, enum value_type type, struct text_list *to)
{
    struct text_list found = {0};
    for (const char *rest = *p->text ? p->text : NULL; rest;) {
        size_t len;
        const char *item = next_item(&rest, &len);
        list_add(&found, item, len);
        if (!good_item(p, &found, type)) {
            list_free(&found);
            return false;
        }
    }
    if (found.count < p->bounds->least || found.count > p->bounds->most) {
        wrong(p, "%u items; %llu to %llu are allowed", found.count, (unsigned long long)p->bounds->least,
              (unsigned long long)p->bounds->most);
        list_free(&found);
        return false;
    }
    list_free(to);
    *to = found;
    return true;
}

/* "3" or "2-5" (first and last the same, or not). */
static bool core_range(const char *item, size_t len, unsigned long *first, unsigned long *last)
{
    char *rest;
    if (!isdigit((unsigned char)*item))
        return false;
    *first = *last = strtoul(item, &rest, 10);
    if (*rest == '-' && isdigit((unsigned char)rest[1]))
        *last = strtoul(rest + 1, &rest, 10);
    return rest == item + len && *first <= *last && *last < CPU_SETSIZE;
}

static bool cores(const struct parse *p, struct core_list *to)
{
    struct core_list found = {0};
    if (strcasecmp(p->text, "auto") == 0) {
        *to = found;
        return true;
    }
    const char *rest = p->text;
    do {
        size_t len;
        unsigned long first, last;
        const char *item = next_item(&rest, &len);
        if (!core_range(item, len, &first, &last))
            return wrong(p, "'%s' is neither auto nor a list of cores such as 2-5,8", p->text);
        for (; first <= last; first++) {
            if (found.count == p->bounds->most)
                return wrong(p, "%llu cores are the most", (unsigned long long)p->bounds->most);
            found.core[found.count++] = (uint16_t)first;
        }
    } while (rest);
    *to = found;
    return true;
}

/* ---- all types ------------------------------------------------------------------------------------- */

bool value_parse(enum value_type type, const char *from, const struct value_bounds *bounds, void *to,
                 char *error, size_t error_size)
{
    const struct parse p = {from, bounds, error, error_size};
    switch (type) {
    case VALUE_SIZE:
    case VALUE_SHARE:
    case VALUE_COUNT:
    case VALUE_DURATION:
        return number(&p, type, to);
    case VALUE_BOOL:
        return boolean(&p, to);
    case VALUE_TEXT:
        return text(&p, to);
    case VALUE_LIST:
    case VALUE_ADDRESSES:
    case VALUE_PREFIXES:
    case VALUE_IPS:
        return list(&p, type, to);
    case VALUE_CORES:
        return cores(&p, to);
    case VALUE_LEVEL:
        return word(&p, levels, to);
    case VALUE_TRANSPORT:
        return word(&p, transports, to);
    case VALUE_CONGESTION:
        return word(&p, congestions, to);
    }
    UNREACHABLE();
}

void value_free(enum value_type type, void *field)
{
    if (type == VALUE_TEXT)
        free(*(char **)field);
    if (type == VALUE_LIST || type == VALUE_ADDRESSES || type == VALUE_PREFIXES || type == VALUE_IPS)
        list_free(field);
}

bool value_has_bounds(enum value_type type)
{
    return type == VALUE_SIZE || type == VALUE_SHARE || type == VALUE_COUNT || type == VALUE_DURATION;
}

const char *value_type_name(enum value_type type)
{
    static const char *const names[] = {
        [VALUE_SIZE] = "a size in bytes, such as 16 MiB",
        [VALUE_SHARE] = "a size in bytes or a share of the memory, such as 40 %",
        [VALUE_COUNT] = "a whole number",
        [VALUE_DURATION] = "a duration, such as 60 s",
        [VALUE_BOOL] = "true or false",
        [VALUE_TEXT] = "a text",
        [VALUE_LIST] = "a list with commas",
        [VALUE_ADDRESSES] = "a list of ADDRESS:PORT with commas",
        [VALUE_PREFIXES] = "a list of ADDRESS/BITS with commas",
        [VALUE_IPS] = "a list of addresses with commas",
        [VALUE_CORES] = "auto, or cores such as 2-5,8",
        [VALUE_LEVEL] = "a level",
        [VALUE_TRANSPORT] = "sockets or dpdk",
        [VALUE_CONGESTION] = "cubic or newreno",
    };
    return names[type];
}

void value_text(enum value_type type, uint64_t value, char *out, size_t size)
{
    const struct unit *units = units_of(type), *best = units;
    for (const struct unit *unit = units; unit->name; unit++)
        if (value % unit->factor == 0 && value >= unit->factor)
            best = unit;
    snprintf(out, size, "%llu%s%s", (unsigned long long)(value / best->factor), *best->name ? " " : "",
             best->name);
}
