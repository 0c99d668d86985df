/* The table of options: one row is one option, and the parser, the help and the checks of numbers come from
 * it. */
#ifndef BENCH_OPTION_ROWS_H
#define BENCH_OPTION_ROWS_H

#include <stddef.h>

enum kind {
    FLAG,
    COUNT,
    SIZE,
    NUMBER,
    TEXT,
    LONG_TEXT,
    URI,
    FLAGS,
    FIELDS,
    SURVIVE,
    TRANSPORT,
    VERSION,
    HELP
};

/* Of which protocols it is an option. */
enum { AMQP = 1, MQTT = 2, STOMP = 4 };

struct row {
    unsigned protocols;
    int letter; /* from 256 on: a long option only */
    const char *name, *argument;
    enum kind kind;
    size_t offset; /* of the member of struct options */
    double min, max;
    const char *help;
};

extern const struct row option_rows[];
extern const size_t option_rows_n;

#endif
