#include "meter.h"

void tally_add(struct tally *to, const struct tally *from)
{
#define X(name) to->name += __atomic_load_n(&from->name, __ATOMIC_RELAXED);
    METER_COUNTERS(X)
#undef X
}

void tally_subtract(struct tally *to, const struct tally *what)
{
#define X(name) to->name -= what->name;
    METER_COUNTERS(X)
#undef X
}
