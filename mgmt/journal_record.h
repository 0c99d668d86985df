/* What a record of the journal says (router/persist.h, router/message.h), for people and programs. Its sum is
 * right; what it says needn't be. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct record;

/* "message"; "kind-N" is put into text (of 16 bytes) for what this program doesn't know. */
const char *journal_record_name(uint8_t type, char text[16]);

struct record_form {
    bool json;   /* an object on a line; else words key=value, with JSON's values, on a line */
    bool bodies; /* with the bodies of messages, and with properties, which have headers */
};

/* A line on out. Passwords' hashes are left out. */
void journal_record_write(FILE *out, const struct record *record, uint64_t lsn,
                          const struct record_form *form);
