#include "amqp_json.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

/* ---- from JSON ----------------------------------------------------------------------------------------- */

static bool value_of(const json_t *value, amqp_field_value_t *to, amqp_pool_t *pool, unsigned depth,
                     const char **wrong);

static bool table_of(const json_t *object, amqp_table_t *table, amqp_pool_t *pool, unsigned depth,
                     const char **wrong)
{
    size_t room = json_object_size(object);
    const char *key;
    json_t *value;
    *table = (amqp_table_t){0};
    if (!room)
        return true;
    table->entries = amqp_pool_alloc(pool, room * sizeof *table->entries);
    *wrong = "there is no memory for a table";
    if (!table->entries)
        return false;
    json_object_foreach((json_t *)object, key, value)
    {
        amqp_table_entry_t *entry = &table->entries[table->num_entries++];
        *wrong = "a name in a table is longer than 255 bytes";
        if (strlen(key) > 255)
            return false;
        entry->key = amqp_cstring_bytes(key);
        if (!value_of(value, &entry->value, pool, depth, wrong))
            return false;
    }
    return true;
}

static bool array_of(const json_t *list, amqp_array_t *array, amqp_pool_t *pool, unsigned depth,
                     const char **wrong)
{
    size_t room = json_array_size(list);
    *array = (amqp_array_t){0};
    if (!room)
        return true;
    array->entries = amqp_pool_alloc(pool, room * sizeof *array->entries);
    *wrong = "there is no memory for a list";
    if (!array->entries)
        return false;
    for (size_t i = 0; i < room; i++)
        if (!value_of(json_array_get(list, i), &array->entries[array->num_entries++], pool, depth, wrong))
            return false;
    return true;
}

static bool value_of(const json_t *value, amqp_field_value_t *to, amqp_pool_t *pool, unsigned depth,
                     const char **wrong)
{
    if (depth >= DEPTH_MAX) {
        *wrong = "tables are too deep in one another";
        return false;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        to->kind = AMQP_FIELD_KIND_TABLE;
        return table_of(value, &to->value.table, pool, depth + 1, wrong);
    case JSON_ARRAY:
        to->kind = AMQP_FIELD_KIND_ARRAY;
        return array_of(value, &to->value.array, pool, depth + 1, wrong);
    case JSON_STRING:
        to->kind = AMQP_FIELD_KIND_UTF8;
        to->value.bytes = amqp_cstring_bytes(json_string_value(value));
        return true;
    case JSON_INTEGER:
        to->kind = AMQP_FIELD_KIND_I64;
        to->value.i64 = json_integer_value(value);
        return true;
    case JSON_REAL:
        to->kind = AMQP_FIELD_KIND_F64;
        to->value.f64 = json_real_value(value);
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        to->kind = AMQP_FIELD_KIND_BOOLEAN;
        to->value.boolean = json_is_true(value);
        return true;
    case JSON_NULL:
        break;
    }
    *wrong = "null_not_allowed";
    return false;
}

bool amqp_table_of(const json_t *object, amqp_table_t *table, amqp_pool_t *pool, const char **wrong)
{
    return table_of(object, table, pool, 0, wrong);
}

/* ---- to JSON ------------------------------------------------------------------------------------------- */

static json_t *text_of(amqp_bytes_t bytes)
{
    json_t *text = json_stringn(bytes.len ? bytes.bytes : "", bytes.len);
    return text ? text : json_null();
}

static json_t *json_of(const amqp_field_value_t *value)
{
    switch (value->kind) {
    case AMQP_FIELD_KIND_BOOLEAN:
        return json_boolean(value->value.boolean);
    case AMQP_FIELD_KIND_I8:
        return json_integer(value->value.i8);
    case AMQP_FIELD_KIND_U8:
        return json_integer(value->value.u8);
    case AMQP_FIELD_KIND_I16:
        return json_integer(value->value.i16);
    case AMQP_FIELD_KIND_U16:
        return json_integer(value->value.u16);
    case AMQP_FIELD_KIND_I32:
        return json_integer(value->value.i32);
    case AMQP_FIELD_KIND_U32:
        return json_integer(value->value.u32);
    case AMQP_FIELD_KIND_I64:
        return json_integer(value->value.i64);
    case AMQP_FIELD_KIND_U64:
    case AMQP_FIELD_KIND_TIMESTAMP:
        return json_integer((json_int_t)value->value.u64);
    case AMQP_FIELD_KIND_F32:
        return json_real((double)value->value.f32);
    case AMQP_FIELD_KIND_F64:
        return json_real(value->value.f64);
    case AMQP_FIELD_KIND_UTF8:
    case AMQP_FIELD_KIND_BYTES:
        return text_of(value->value.bytes);
    case AMQP_FIELD_KIND_TABLE:
        return amqp_table_json(&value->value.table);
    case AMQP_FIELD_KIND_ARRAY: {
        json_t *list = json_array();
        for (int i = 0; i < value->value.array.num_entries; i++)
            json_array_append_new(list, json_of(&value->value.array.entries[i]));
        return list;
    }
    default:
        return json_null();
    }
}

json_t *amqp_table_json(const amqp_table_t *table)
{
    json_t *object = json_object();
    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];
        json_t *value = json_of(&entry->value);
        char key[256];
        size_t len = entry->key.len < sizeof key ? entry->key.len : sizeof key - 1;
        memcpy(key, entry->key.bytes, len);
        key[len] = '\0';
        json_object_set_new(object, key, value ? value : json_null());
    }
    return object;
}

/* ---- properties ---------------------------------------------------------------------------------------- */

static const struct property {
    const char *name;
    amqp_flags_t flag;
    enum { OF_BYTES, OF_U8, OF_U64, OF_TABLE } kind;
    size_t offset;
} property[] = {
#define PROPERTY(name, flag, kind)                                                                           \
    {                                                                                                        \
#name, AMQP_BASIC_##flag##_FLAG, kind, offsetof(amqp_basic_properties_t, name)                       \
    }
    PROPERTY(content_type, CONTENT_TYPE, OF_BYTES),
    PROPERTY(content_encoding, CONTENT_ENCODING, OF_BYTES),
    PROPERTY(headers, HEADERS, OF_TABLE),
    PROPERTY(delivery_mode, DELIVERY_MODE, OF_U8),
    PROPERTY(priority, PRIORITY, OF_U8),
    PROPERTY(correlation_id, CORRELATION_ID, OF_BYTES),
    PROPERTY(reply_to, REPLY_TO, OF_BYTES),
    PROPERTY(expiration, EXPIRATION, OF_BYTES),
    PROPERTY(message_id, MESSAGE_ID, OF_BYTES),
    PROPERTY(timestamp, TIMESTAMP, OF_U64),
    PROPERTY(type, TYPE, OF_BYTES),
    PROPERTY(user_id, USER_ID, OF_BYTES),
    PROPERTY(app_id, APP_ID, OF_BYTES),
    PROPERTY(cluster_id, CLUSTER_ID, OF_BYTES),
};

enum { PROPERTY_COUNT = sizeof property / sizeof *property };

static bool take(const struct property *p, const json_t *value, void *to, amqp_pool_t *pool,
                 const char **wrong)
{
    json_int_t number = json_integer_value(value);
    switch (p->kind) {
    case OF_TABLE:
        return json_is_object(value) && amqp_table_of(value, to, pool, wrong);
    case OF_BYTES:
        *(amqp_bytes_t *)to = amqp_cstring_bytes(json_is_string(value) ? json_string_value(value) : "");
        return json_is_string(value) && json_string_length(value) <= 255;
    case OF_U8:
        *(uint8_t *)to = (uint8_t)number;
        return json_is_integer(value) && number >= 0 && number <= 255;
    case OF_U64:
        *(uint64_t *)to = (uint64_t)number;
        return json_is_integer(value) && number >= 0;
    }
    return false;
}

bool amqp_properties_of(const json_t *object, amqp_basic_properties_t *properties, amqp_pool_t *pool,
                        const char **wrong)
{
    *properties = (amqp_basic_properties_t){0};
    for (unsigned i = 0; i < PROPERTY_COUNT; i++) {
        const struct property *p = &property[i];
        const json_t *value = json_object_get(object, p->name);
        *wrong = p->name;
        if (!value || json_is_null(value))
            continue;
        if (!take(p, value, (char *)properties + p->offset, pool, wrong))
            return false;
        properties->_flags |= p->flag;
    }
    return true;
}

json_t *amqp_properties_json(const amqp_basic_properties_t *properties)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < PROPERTY_COUNT; i++) {
        const struct property *p = &property[i];
        const void *from = (const char *)properties + p->offset;
        if (!(properties->_flags & p->flag))
            continue;
        json_t *value = p->kind == OF_TABLE   ? amqp_table_json(from)
                        : p->kind == OF_BYTES ? text_of(*(const amqp_bytes_t *)from)
                        : p->kind == OF_U8    ? json_integer(*(const uint8_t *)from)
                                              : json_integer((json_int_t) * (const uint64_t *)from);
        json_object_set_new(object, p->name, value);
    }
    return object;
}
