/*
 * One direction of a simulated stream: what is on its way, in segments with a time of arrival, and what has
 * arrived and waits to be read. A segment may only point to its bytes, as a real network stack does: they are
 * then read on arrival, so that memory given back too early shows as a damaged stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct sim_segment;

struct sim_pipe {
    struct sim_segment *first, **end; /* on their way */
    size_t on_way, waiting;           /* bytes */
    uint8_t *arrived;                 /* waiting bytes, from `from` on */
    size_t from, room;
    size_t window;      /* most bytes on their way and waiting */
    uint64_t delivered; /* bytes that arrived, ever */
    uint64_t last_due_ns;
    bool ended;  /* its end is on its way: nothing can be written */
    bool at_end; /* and has arrived, behind what is waiting */
    bool cut;    /* the other side is out of reach: nothing arrives any more */
};

void sim_pipe_init(struct sim_pipe *pipe, size_t window);
void sim_pipe_free(struct sim_pipe *pipe);

/* Bytes that fit the window now. */
size_t sim_pipe_room(const struct sim_pipe *pipe);
/* bytes.len must fit. lend: keep only the pointer until arrival. */
void sim_pipe_write(struct sim_pipe *pipe, struct span bytes, uint64_t due_ns, bool lend);
void sim_pipe_end(struct sim_pipe *pipe, uint64_t due_ns);
/* What is due arrives. Returns whether anything did. */
bool sim_pipe_advance(struct sim_pipe *pipe, uint64_t now_ns);
/* Reads up to n bytes; to: NULL to throw them away. */
size_t sim_pipe_read(struct sim_pipe *pipe, void *to, size_t n);
/* All that is on its way is lost, and nothing is lent any more. */
void sim_pipe_lose(struct sim_pipe *pipe);
/* Nothing is lent any more: what is on its way is copied. */
void sim_pipe_own(struct sim_pipe *pipe);
/* When the next segment arrives; UINT64_MAX if none is on its way. */
uint64_t sim_pipe_due(const struct sim_pipe *pipe);
