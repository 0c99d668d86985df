/* The words of the user's side of a script. */
#pragma once

#include "base/span.h"
#include "play.h"

struct when {
    bool given;
    uint64_t from_ns, to_ns;
};

/* lines.c */
void arrive_at(struct play *p, const struct when *w);
void handshake(struct play *p, struct flow *f, bool active, const char *rest);

/* words.c */
void word_run(struct play *p, struct flow *f, const char *text, const struct when *w);
/* option KEY=VALUE; before the stack is made. */
void option_run(struct play *p, const char *text);
