/* What stands in a call's Authorization header: HTTP's basic authentication (RFC 7617). */
#pragma once

#include <stdbool.h>

#include "call.h"

struct basic {
    char user[PATH_NAME_BYTES + 1], password[CALLER_PASSWORD_BYTES + 1];
};

/* False: it is none, or too long, or of what no user's name is made. */
bool basic_read(struct basic *basic, const char *header);
/* Forgets the password. */
void basic_clear(struct basic *basic);
