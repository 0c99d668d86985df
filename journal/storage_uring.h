/* The journal's files on a real disk: io_uring, O_DIRECT where the file system has it, RWF_DSYNC. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct storage;

/* Opens (and creates) data_dir/router-N. One thread uses what it returns; it starts one of its own for what
 * may block. NULL, and why in error (of error_size bytes). */
struct storage *storage_uring_new(const char *data_dir, uint32_t router, char *error, size_t error_size);
