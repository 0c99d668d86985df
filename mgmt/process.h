/* What the system knows of the broker's process and its disk. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Bytes of memory that it has. 0, as from the others: it can't be read. */
uint64_t process_memory(pid_t pid);
/* Descriptors that it has open, and how many it may have. */
uint64_t process_descriptors(pid_t pid);
uint64_t process_descriptors_most(pid_t pid);
/* Bytes of the machine's memory. */
uint64_t machine_memory_bytes(void);
/* Bytes that are free on the disk of a directory. */
uint64_t disk_free_bytes(const char *directory);
