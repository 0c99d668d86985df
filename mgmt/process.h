/* What the system knows of the broker's process and its disk. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Bytes of memory that it has. 0, as from the others: it can't be read. */
uint64_t process_memory(pid_t pid);
/* Descriptors that it has open; of another user's process Linux before 6.2 tells nothing: then there is one
 * for each of its connections. */
uint64_t process_descriptors(pid_t pid, uint64_t connections);
/* How many it may have. */
uint64_t process_descriptors_most(pid_t pid);
/* Bytes that are free on the disk of a directory. */
uint64_t disk_free_bytes(const char *directory);
