/* Whoever waits for a page to be read back: embedded in what waits, on one list at a time. */
#pragma once

struct router;

struct waiter {
    struct waiter *next;
    void (*wake)(struct router *router, struct waiter *waiter);
};
