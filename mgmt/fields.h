/* What a call's body must have and may have: a row for each field. */
#pragma once

#include "call.h"

enum field_kind {
    FIELD_TEXT,   /* const char * */
    FIELD_WORDS,  /* a text with commas, or a list of texts: char *, malloc'd, with commas */
    FIELD_WHOLE,  /* json_int_t; also as a text, as rabbitmqadmin has it; */
    FIELD_TRUTH,  /* bool; the same */
    FIELD_OBJECT, /* const json_t * */
    FIELD_LIST,   /* const json_t *, of texts */
    FIELD_ANY,    /* const json_t * */
};

struct field {
    const char *name;
    enum field_kind kind;
    bool needed;
    size_t offset; /* of where it goes */
};

#define FIELD(type, member, name, kind, needed)                                                              \
    {                                                                                                        \
        name, FIELD_##kind, needed, offsetof(type, member)                                                   \
    }

/* Reads them into a struct, of which what isn't there, or null, stays as it is. False: the reply says with
 * 400 which field is wrong, or missing. Fields that are no row are nobody's business. What was read into
 * FIELD_WORDS is to be freed either way. */
bool fields_read(const json_t *body, const struct field *fields, size_t count, void *into,
                 struct reply *reply);
