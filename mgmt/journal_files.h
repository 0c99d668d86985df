/* The segment files of one router's journal, for who only looks at them: journal/storage.h's table over
 * reads, and nothing else. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct storage;

/* path: the directory of the files, which stay as they are. NULL, with one sentence in error. table->close
 * frees it. */
struct storage *journal_files_open(const char *path, char *error, size_t error_size);
/* From now on there are no others than those from number `first` to `last`. */
void journal_files_only(struct storage *storage, uint64_t first, uint64_t last);
