/*
 * The judge of permissions: what each guarded user might do at which time. A permission is a set of names
 * here, not a pattern. What an operator asks for may hold from then on, and what was before holds no more
 * once he is answered; in between either may be met. Times are counts of what has happened.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUARD_USERS = 2, GUARD_QUEUES = 3 };

/* What permissions are about: queues, and two exchanges. */
enum guard_thing { GUARD_DEFAULT = GUARD_QUEUES, GUARD_DIRECT, GUARD_THINGS };
enum guard_right { GUARD_CONFIGURE, GUARD_WRITE, GUARD_READ, GUARD_RIGHTS };

/* What is said of a user. */
struct guard_say {
    bool there, entered;          /* there is such a user; he may use the virtual host, */
    uint8_t things[GUARD_RIGHTS]; /* and these things in it, a bit each */
};

struct guard_version {
    struct guard_say say;
    uint64_t asked, answered; /* 0: not yet */
};

struct guard_user {
    struct guard_version *versions;
    size_t count;
};

struct guard_model {
    uint64_t clock;
    struct guard_user users[GUARD_USERS];
    unsigned judged, refused, changes;
};

struct guard_model *guard_model_new(void);
void guard_model_free(struct guard_model *model);

const char *guard_thing_name(unsigned thing);
/* The pattern of a set. */
void guard_pattern(uint8_t things, char *to, size_t size);

/* The operator asks for that to be said of the user; is answered. One at a time. */
void guard_asked(struct guard_model *model, unsigned user, const struct guard_say *say);
void guard_answered(struct guard_model *model, unsigned user);
/* What is said last; and whether nothing else can be met. */
const struct guard_say *guard_now(const struct guard_model *model, unsigned user);
bool guard_sure(const struct guard_model *model, unsigned user);

/* Whether the user was deleted since, whatever came then. */
bool guard_deleted_since(const struct guard_model *model, unsigned user, uint64_t since);

/* What is asked of a user's permissions: that he is there; may enter; has all rights that are named. */
struct guard_question {
    enum { GUARD_IS_THERE, GUARD_ENTERS, GUARD_MAY } what;
    struct {
        enum guard_right right;
        unsigned thing;
    } need[2];
    unsigned needs;
};

/* Whether the answer could have been this one at some time since. */
bool guard_could(const struct guard_model *model, unsigned user, uint64_t since,
                 const struct guard_question *q, bool answer);
