/* gannetd's command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

struct command_line {
    const char *file;     /* -c, or NULL */
    const char *data_dir; /* -D, or NULL */
    char **set;           /* KEY=VALUE, in the order given; the array is malloc'd */
    unsigned set_count;
    bool check;
};

/* Reads it. Prints what --help and the like ask for. Returns -1, or the status to exit with. */
int command_line_read(struct command_line *line, int argc, char **argv);
/* Defaults, then the file, then -D and --set. Says on stderr what is wrong; returns false then. The config is
 * to be freed in any case. memory: of the machine, in bytes. */
bool command_line_config(const struct command_line *line, struct config *config, uint64_t memory);
