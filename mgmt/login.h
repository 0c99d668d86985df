/*
 * Who makes a call. The broker is asked at each: a password that was changed, a tag or a user that was taken
 * away counts at once. Whether a password is right takes the broker tens of milliseconds to find out, so that
 * who was found right is known again by a keyed digest of his password and of the broker's stamp, which
 * stays the same as long as his password does.
 *
 * Failures slow their address down, as the broker does; but not him who is known, unless his own password is
 * being guessed. Used by many threads.
 */
#pragma once

#include <netinet/in.h>

#include "call.h"

struct logins;

struct login_counts {
    uint64_t right, wrong;
};

/* NULL: there is no memory. */
struct logins *logins_new(void);
void logins_free(struct logins *logins);
/* What was counted here since it was forgotten last; of what the broker has counted, what has come since. */
struct login_counts logins_counts(struct logins *logins, struct login_counts *broker);
/* broker: what it has counted until now. */
void logins_forget_counts(struct logins *logins, struct login_counts broker);

/* Who calls, by the header that says so (NULL: none), and where from. False: the reply says why: 401,
 * 429 or 503. */
bool login_caller(struct call *call, const char *header, const struct sockaddr *peer, struct reply *reply);
/* What a user with these tags may do here: of enum right. */
unsigned login_rights(const char *tags);
/* Who opens mgmtd.sock is an administrator. */
void login_administrator(struct caller *caller);
