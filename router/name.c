#include "base/check.h"
#include "router/command.h"

void name_set(struct name *n, struct span s)
{
    CHECK(s.len <= NAME_MAX_BYTES);
    n->len = (uint8_t)s.len;
    if (s.len)
        memcpy(n->bytes, s.at, s.len);
}
