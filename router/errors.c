#include "router/errors.h"

#include "base/check.h"

enum { SOFT, HARD };

static const struct {
    const char *name;
    uint16_t code;
    uint8_t level;
} errors[ERRORS] = {
#define X(id, number, text, hard) [id] = {text, number, hard},
#include "router/errors.def"
#undef X
};

uint16_t error_code(enum error e)
{
    CHECK(e < ERRORS);
    return errors[e].code;
}

const char *error_name(enum error e)
{
    CHECK(e < ERRORS);
    return errors[e].name;
}

bool error_is_hard(enum error e)
{
    CHECK(e < ERRORS);
    return errors[e].level == HARD;
}
