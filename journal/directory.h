/* The directory of a router's segment files, and what may block in it: for the start. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "journal/storage.h"

/* Owned by a storage_uring. */
struct directory {
    int fd;
    int scratch;    /* the scratch file: it has no name, so it is gone after a crash */
    int open_flags; /* for files: with O_DIRECT where the file system has it */
    char path[STORAGE_PATH_BYTES - 32];
};

/* Makes data_dir/router-N if there is none. 0, or -1 and why in error. */
int directory_open(struct directory *directory, const char *data_dir, uint32_t router, char *error,
                   size_t error_size);
void directory_close(struct directory *directory);
/* As in storage.h. */
int directory_list(const struct directory *directory, uint64_t *segments, unsigned max);
int directory_sync(const struct directory *directory, uint64_t segment);
uint64_t directory_room(const struct directory *directory);
void directory_path(const struct directory *directory, uint64_t segment, char path[STORAGE_PATH_BYTES]);
