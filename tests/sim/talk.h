/*
 * One direction of one connection, taken apart: bytes in any pieces become whole methods, with their content.
 * Knows nothing of what they mean. Used by the clients for what they read, and by the tap for both ways.
 */
#pragma once

#include "wire.h"

/* What was said; everything in it is valid during the call. */
struct said {
    uint16_t channel;
    uint32_t method;    /* 0: a heartbeat */
    struct reader args; /* behind the ids */
    struct reader properties, body;
};

struct talk_user {
    void *owner;
    /* A whole method, with its content if it has one. */
    void (*said)(void *owner, const struct said *said);
    /* The method of one with content, which is still to come. */
    void (*begun)(void *owner, const struct said *said);
    /* This is no AMQP; nothing more is looked at. */
    void (*broken)(void *owner, const char *why);
};

/* A method whose content isn't complete. */
struct half {
    uint32_t method; /* 0: none */
    bool header;     /* is there */
    uint64_t size;   /* of the body */
    struct buffer args, properties, body;
};

enum { TALK_CHANNELS = 16 }; /* numbers of them; more than the tiny limit */

struct talk {
    struct talk_user user;
    struct buffer in; /* an incomplete frame */
    bool opening;     /* the protocol header is still to come */
    bool broken;
    struct half half[TALK_CHANNELS];
};

void talk_init(struct talk *talk, struct talk_user user, bool opening);
void talk_free(struct talk *talk);
void talk_feed(struct talk *talk, const void *bytes, size_t n);
