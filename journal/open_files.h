/* Segment files that a storage_uring has open, by number; those not used for longest are closed for others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "journal/segment.h"
#include "journal/storage.h"

#define OPEN_FILES (2 * STORAGE_REQUESTS) /* more than requests, so that one can always be closed */

struct keeper;
struct request;

struct open_file {
    uint64_t segment;
    int fd; /* -1: free, or being opened */
    bool opening;
    unsigned users;          /* requests */
    uint64_t used;           /* time of last use, in uses */
    struct request *waiting; /* until it is open */
    char name[SEGMENT_NAME_BYTES];
};

struct open_files {
    struct keeper *keeper; /* closes them */
    uint64_t uses;
    struct open_file files[OPEN_FILES];
};

void open_files_init(struct open_files *files);
/* NULL if it is not open, nor being opened. */
struct open_file *open_files_find(struct open_files *files, uint64_t segment);
/* fd: -1 if it is still to be opened (the caller says so in opening). */
struct open_file *open_files_add(struct open_files *files, uint64_t segment, int fd);
/* The name no longer stands for this file. Who still reads from it, reads the old content. */
void open_files_forget(struct open_files *files, uint64_t segment);
/* A request is done with the file. */
void open_files_release(struct open_files *files, struct open_file *file);
/* At the end, when nobody uses any. */
void open_files_close(struct open_files *files);
