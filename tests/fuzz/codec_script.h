/*
 * A codec's fuzzer: the fuzzer's bytes are a script of what a client's bytes do and what routers and the
 * front say, to a codec over a fake host (../unit/fake_host.h). Here is what any codec's script has; what its
 * client says, and what must hold of what is written, is the fuzzer's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "codec/codec.h"
#include "fake_host.h"
#include "router/message.h"

struct script_message;

struct script {
    const struct codec *codec;
    struct host *host;
    void *state;
    struct span bytes;               /* what is left of it */
    struct fake_bytes input;         /* on its way */
    size_t shown;                    /* of the input: the codec has seen it, and left it */
    uint64_t handle;                 /* of the last consumer that was accepted */
    uint64_t seq;                    /* of the last delivery */
    size_t pages;                    /* uses of pages that came with messages */
    struct script_message *messages; /* pages are pinned until DONE: to the end, here */
};

/* A client that is held back sends no more for long. */
#define SCRIPT_INPUT_MAX (512 * KIB)

/* Makes the host; the options are the caller's to set before script_open. */
void script_begin(struct script *s, const struct codec *codec, const uint8_t *data, size_t size);
void script_open(struct script *s);
/* The connection is gone; checks that the codec has kept nothing. */
void script_end(struct script *s);

/* 0 at the script's end. */
uint8_t script_next(struct script *s);
struct span script_take(struct script *s, size_t n);

/* What the client sends; it arrives by script_show: so much more of it, in memory of exactly that size. */
void script_append(struct script *s, struct span bytes);
void script_show(struct script *s, size_t more);

/* The oldest op that waits, NULL if none does, answered as the script says: refused if its byte, which goes
 * to *how, is `refused` or more. The caller may say more in it, and sends it. */
struct op *script_op(struct script *s, uint8_t refused, uint8_t *how, unsigned *router);
void script_op_back(struct script *s, struct op *op, unsigned router);
/* The message of an event, with so many bytes behind it, all zero. */
struct message *script_message(struct script *s, size_t bytes);
struct parts *script_parts(struct script *s);
void script_deliver(struct script *s, unsigned router, const struct event_deliver *event);
void script_confirm(struct script *s);
/* One of eight things that a front does. False: it is number 5 or 6, which are the fuzzer's own. */
bool script_front(struct script *s, uint8_t what);
