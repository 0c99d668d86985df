/*
 * The login agent: finds out whether passwords are right, where that takes long (argon2id: tens of
 * milliseconds and 19 MiB), so that no front does it. It has a thread of its own, and a ring from and to each
 * front.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/ring.h"
#include "base/span.h"

/* A question and its answer. malloc'd in one piece, handed over and back. */
struct login_request {
    uint64_t conn; /* the front's */
    bool fits;     /* the answer */
    uint8_t user_len, kept_len;
    uint32_t password_len;
    uint8_t bytes[]; /* the user's name, what is kept of his password, the password */
};

struct login_message {
    struct login_request *request;
    uint64_t unused[7];
};

static_assert(sizeof(struct login_message) == RING_ENTRY_BYTES, "a ring entry");

struct login_request *login_request_new(uint64_t conn, struct span user, struct span kept,
                                        struct span password);
/* Forgets the password, too. */
void login_request_free(struct login_request *request);
struct span login_request_user(const struct login_request *request);
struct span login_request_kept(const struct login_request *request);

struct logins;

/* Rings are the caller's; [i] is that of front i. */
struct logins *logins_new(struct ring *const *from_front, struct ring *const *to_front, unsigned fronts);
/* After the fronts: what is left in the rings is freed. */
void logins_free(struct logins *logins);
/* One turn: a question of each front at most. Returns the work found. */
unsigned logins_poll(struct logins *logins);
