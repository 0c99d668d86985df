/*
 * AMQP field tables (AMQP 0-9-1 section 4.2.5.5, with the types RabbitMQ really uses): the form in which
 * arguments and headers are kept everywhere in the broker. A table here is the bytes behind its length.
 * Reading never fails on a checked table: table_check is called once, where bytes come in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* Tables and arrays nested deeper than this are refused. */
#define TABLE_DEPTH_MAX 16

struct field {
    struct span name;
    char type;         /* 't' 'b' 'B' 's' 'u' 'I' 'i' 'l' 'L' 'f' 'd' 'D' 'S' 'A' 'T' 'F' 'V' 'x' */
    struct span value; /* its bytes on the wire, without the type; of S, A, F and x without the length */
};

/* Whether the bytes are a well-formed table. */
bool table_check(struct span table);
/* Takes the first field off a table that isn't checked; false if it is malformed, or there is none. A table
 * of which this takes all is a checked one. */
bool table_take(struct span *table, struct field *field);
/* Takes the first field off *table; false at the end. */
bool table_next(struct span *table, struct field *field);
/* The field of that name, if there is one. */
bool table_find(struct span table, const char *name, struct field *field);
/* Takes the first value off *array, the bytes of an 'A'; its name is not set. False at the end. */
bool array_next(struct span *array, struct field *field);
/* What RabbitMQ calls a type in its texts. */
const char *field_type_name(char type);
/* A whole number of any integer type; false for anything else. */
bool field_int(const struct field *field, int64_t *value);
bool field_bool(const struct field *field, bool *value);
/* Whether two values are equal as RabbitMQ's equivalence checks see it: by kind (all integers are one kind,
 * both floats another) and value. Names are not looked at. */
bool field_equal(const struct field *a, const struct field *b);
/* Whether a headers exchange of RabbitMQ takes them for equal: it compares values without their types, so
 * 1, 1.0 and the timestamp 1 are one, and so are a string and a byte array of the same bytes. */
bool field_matches(const struct field *a, const struct field *b);
/* Of name and value; the same for two fields of one name that are equal by either comparison. */
uint64_t field_hash(const struct field *field);
/* Whether two tables hold the same fields, in any order. */
bool table_equal(struct span a, struct span b);
/* The same for equal tables. */
uint64_t table_hash(struct span table);
