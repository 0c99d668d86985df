/*
 * The io_uring as an event loop for sockets: it accepts, says when a socket can be read or written, and
 * ticks. One thread: the one that first calls loop_hear.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* Something asked for has happened. */
struct loop_event {
    uint64_t name; /* as given when it was asked for */
    int result;    /* a descriptor accepted, poll(2) events, or a negative errno */
    bool more;     /* further events come without asking again */
};

/* Returns NULL with one sentence in error if the kernel gives no io_uring. */
struct loop *loop_new(char *error, size_t error_size);
void loop_free(struct loop *loop);

/* Requests; each goes to the kernel at the next loop_submit at the latest. */
void loop_accept(struct loop *loop, int fd, uint64_t name);
/* Reports once that the descriptor has one of these events (of poll(2); POLLERR and POLLHUP always). Asked
 * for anew each time, so that a socket nobody reads from now causes no events. */
void loop_watch(struct loop *loop, int fd, int events, uint64_t name);
void loop_after(struct loop *loop, unsigned ms, uint64_t name);
/* An event at once. */
void loop_kick(struct loop *loop, uint64_t name);
/* The named request ends; its last event has more == false. An event of name `own` tells that this was done.
 */
void loop_cancel(struct loop *loop, uint64_t name, uint64_t own);
void loop_submit(struct loop *loop);

/* Takes what has happened, at most max events, without waiting. */
unsigned loop_hear(struct loop *loop, struct loop_event *events, unsigned max);
/* Readable while there is something to hear. */
int loop_fd(const struct loop *loop);
