/* AMQP's tables and properties as JSON, and back. */
#pragma once

#include <amqp.h>
#include <amqp_framing.h>
#include <jansson.h>
#include <stdbool.h>

/* A table in the pool's memory; strings stay the object's. NULL object: an empty one. False: something in it
 * can't be in one, and *wrong says what. */
bool amqp_table_of(const json_t *object, amqp_table_t *table, amqp_pool_t *pool, const char **wrong);
/* What isn't UTF-8 is null. */
json_t *amqp_table_json(const amqp_table_t *table);

/* The properties of a message, likewise; members that are none are nobody's business. */
bool amqp_properties_of(const json_t *object, amqp_basic_properties_t *properties, amqp_pool_t *pool,
                        const char **wrong);
json_t *amqp_properties_json(const amqp_basic_properties_t *properties);
