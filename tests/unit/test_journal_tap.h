/* A storage that counts, and holds back, what goes through it to another: the shape of what it wraps. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "journal/storage.h"

struct tap {
    struct storage storage;
    struct storage *below;
    unsigned writes, pieces;
    size_t bytes;
    bool hold;        /* answers nothing */
    bool hold_writes; /* does not even begin them */
    unsigned held;
    struct {
        uint64_t segment, offset, token;
        struct iovec iov[STORAGE_IOVS];
        unsigned iovs;
    } writes_held[WRITES_IN_FLIGHT];
};

/* There is one. */
extern struct tap tap;

/* Puts the tap in front of a storage, which it closes when it is closed. */
struct storage *tap_new(struct storage *below);
/* Begins the writes that were held, and holds no more. */
void tap_let_writes_go(void);
