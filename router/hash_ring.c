#include "router/hash_ring.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/limits.h"
#include "router/properties.h"
#include "router/table.h"

/* Seeds of what is hashed: they never change, or keys would go elsewhere after an update. */
enum { SEED_TEXT = 11, SEED_NUMBER = 12, SEED_OTHER = 13, SEED_MISSING = 14 };

#define STEP UINT64_C(0x9e3779b97f4a7c15)

/* ---- what is declared ----------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum hash_source source;
} properties[] = {
    {"message_id", HASH_MESSAGE_ID},
    {"correlation_id", HASH_CORRELATION_ID},
    {"timestamp", HASH_TIMESTAMP},
};

/* HASH_KEY: there is no such property. */
static enum hash_source property_of(struct span name)
{
    for (unsigned i = 0; i < sizeof properties / sizeof *properties; i++)
        if (span_is(name, properties[i].name))
            return properties[i].source;
    return HASH_KEY;
}

static bool is_text(const char *name, const struct field *field, char *text, size_t size)
{
    if (field->type == 'S')
        return true;
    snprintf(text, size, "Invalid %s type %s; expected longstr", name, field_type_name(field->type));
    return false;
}

bool hash_arguments_valid(struct span arguments, char *text, size_t size)
{
    struct field header, property;
    bool by_header = table_find(arguments, "hash-header", &header);
    bool by_property = table_find(arguments, "hash-property", &property);
    if (by_header && by_property) {
        snprintf(text, size, "hash-header and hash-property are mutually exclusive");
        return false;
    }
    if (by_header)
        return is_text("hash-header", &header, text, size);
    if (!by_property)
        return true;
    if (!is_text("hash-property", &property, text, size))
        return false;
    if (property_of(property.value) != HASH_KEY)
        return true;
    int len = (int)(property.value.len < NAME_MAX_BYTES ? property.value.len : NAME_MAX_BYTES);
    snprintf(text, size, "Unsupported property: %.*s", len, (const char *)property.value.at);
    return false;
}

void hash_ring_init(struct hash_ring *ring, const struct exchange *exchange)
{
    struct span arguments = exchange->arguments;
    struct field field;
    if (table_find(arguments, "hash-header", &field)) {
        ring->source = HASH_HEADER;
        ring->header = field.value;
    } else if (table_find(arguments, "hash-property", &field)) {
        ring->source = property_of(field.value);
    }
}

/* ---- weights -------------------------------------------------------------------------------------- */

/* Digits, perhaps behind a sign. False if it is anything else; more than the largest weight is one more. */
static bool read_weight(struct span key, int32_t *weight)
{
    bool negative = key.len && key.at[0] == '-';
    size_t i = negative || (key.len && key.at[0] == '+');
    int32_t n = 0;
    if (i == key.len)
        return false;
    for (; i < key.len; i++) {
        if (key.at[i] < '0' || key.at[i] > '9')
            return false;
        n = n * 10 + (key.at[i] - '0');
        n = n > (int32_t)HASH_WEIGHT_MAX ? (int32_t)HASH_WEIGHT_MAX + 1 : n;
    }
    *weight = negative ? -n : n;
    return true;
}

bool hash_weight_valid(struct span key, char *text, size_t size)
{
    int32_t weight;
    if (!read_weight(key, &weight))
        snprintf(text, size, "The binding key must be an integer: <<%s%.*s%s>>", key.len ? "\"" : "",
                 (int)key.len, (const char *)key.at, key.len ? "\"" : "");
    else if (weight <= 0)
        snprintf(text, size, "The binding key must be greater than 0");
    else if (weight > (int32_t)HASH_WEIGHT_MAX)
        snprintf(text, size, "The binding key must not be greater than %u", HASH_WEIGHT_MAX);
    else
        return true;
    return false;
}

static uint64_t point_at(const struct binding *binding, uint32_t i)
{
    return hash_id(binding->destination->identity + i * STEP);
}

void hash_ring_add(struct hash_ring *ring, struct binding *binding)
{
    int32_t weight;
    if (!read_weight(binding->key, &weight) || weight <= 0 || weight > (int32_t)HASH_WEIGHT_MAX)
        weight = 1;
    sorted_add(&ring->points, binding, (uint32_t)weight * HASH_POINTS, point_at);
}

void hash_ring_remove(struct hash_ring *ring, struct binding *binding)
{
    sorted_remove(&ring->points, binding);
}

/* ---- matching ------------------------------------------------------------------------------------- */

static uint64_t hash_number(uint64_t number)
{
    return hash_id(number ^ (uint64_t)SEED_NUMBER << 56);
}

/* By value, whatever the type of number or text. */
static uint64_t hash_field(const struct field *field)
{
    int64_t number;
    bool flag;
    if (field_int(field, &number))
        return hash_number((uint64_t)number);
    if (field->type == 'T')
        return hash_number(get_be64(field->value.at));
    if (field->type == 'S' || field->type == 'x')
        return hash_bytes(field->value, SEED_TEXT);
    if (field_bool(field, &flag))
        return hash_bytes(span_of(flag ? "\1" : "\0", 1), SEED_OTHER);
    return hash_bytes(field->value, SEED_OTHER + ((uint64_t)(uint8_t)field->type << 8));
}

static uint64_t hash_missing(void)
{
    return hash_id(SEED_MISSING);
}

static uint64_t hash_header(struct span headers, struct span name)
{
    struct field field;
    while (table_next(&headers, &field))
        if (span_equal(field.name, name))
            return hash_field(&field);
    return hash_missing();
}

static uint64_t hash_property(struct span bytes, enum hash_source source)
{
    struct properties p;
    if (!properties_read(bytes, &p))
        return hash_missing();
    if (source == HASH_MESSAGE_ID && p.flags & HAS_MESSAGE_ID)
        return hash_bytes(p.message_id, SEED_TEXT);
    if (source == HASH_CORRELATION_ID && p.flags & HAS_CORRELATION_ID)
        return hash_bytes(p.correlation_id, SEED_TEXT);
    if (source == HASH_TIMESTAMP && p.flags & HAS_TIMESTAMP)
        return hash_number(p.timestamp);
    return hash_missing();
}

static uint64_t hash_facts(const struct hash_ring *ring, const struct message_facts *facts)
{
    if (ring->source == HASH_KEY)
        return hash_bytes(facts->key, SEED_TEXT);
    if (ring->source == HASH_HEADER)
        return hash_header(facts->headers, ring->header);
    return hash_property(facts->properties, ring->source);
}

void hash_ring_match(const struct hash_ring *ring, const struct message_facts *facts, struct match *match)
{
    uint64_t hash = hash_facts(ring, facts), nearest = UINT64_MAX;
    struct destination *found = NULL;
    for (unsigned i = 0; i < HASH_PROBES; i++) {
        uint64_t from = hash_id(hash + i * STEP);
        const struct place *p = sorted_next(&ring->points, from);
        if (!found || p->at - from < nearest) {
            found = p->destination;
            nearest = p->at - from;
        }
    }
    match_picked(match, found);
}
