#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "gannet: CHECK(%s) failed at %s:%d; this is a bug in Gannet, please report it\n", what,
            file, line);
    abort();
}
