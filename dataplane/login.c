#include "login.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "router/password.h"

struct logins {
    unsigned fronts;
    struct ring *from[FRONTS_MAX], *to[FRONTS_MAX];
};

/* ---- questions -------------------------------------------------------------------------------------- */

struct login_request *login_request_new(uint64_t conn, struct span user, struct span kept,
                                        struct span password)
{
    struct login_request *r = malloc(sizeof *r + user.len + kept.len + password.len);
    CHECK(r && user.len <= NAME_MAX_BYTES && kept.len <= NAME_MAX_BYTES);
    *r = (struct login_request){.conn = conn,
                                .user_len = (uint8_t)user.len,
                                .kept_len = (uint8_t)kept.len,
                                .password_len = (uint32_t)password.len};
    put_span(put_span(put_span(r->bytes, user), kept), password);
    return r;
}

struct span login_request_user(const struct login_request *r)
{
    return span_of(r->bytes, r->user_len);
}

struct span login_request_kept(const struct login_request *r)
{
    return span_of(r->bytes + r->user_len, r->kept_len);
}

static struct span password_of(const struct login_request *r)
{
    return span_of(r->bytes + r->user_len + r->kept_len, r->password_len);
}

void login_request_free(struct login_request *r)
{
    struct span password = password_of(r);
    explicit_bzero((void *)(uintptr_t)password.at, password.len);
    free(r);
}

/* ---- the agent ----------------------------------------------------------------------------------------- */

struct logins *logins_new(struct ring *const *from_front, struct ring *const *to_front, unsigned fronts)
{
    struct logins *logins = calloc(1, sizeof *logins);
    CHECK(logins);
    logins->fronts = fronts;
    memcpy(logins->from, from_front, fronts * sizeof *from_front);
    memcpy(logins->to, to_front, fronts * sizeof *to_front);
    return logins;
}

static void drain(struct ring *ring)
{
    struct login_message m;
    while (ring_take(ring, &m, 1))
        login_request_free(m.request);
}

void logins_free(struct logins *logins)
{
    for (unsigned f = 0; f < logins->fronts; f++) {
        drain(logins->from[f]);
        drain(logins->to[f]);
    }
    free(logins);
}

unsigned logins_poll(struct logins *logins)
{
    struct login_message m;
    unsigned work = 0;
    for (unsigned f = 0; f < logins->fronts; f++) {
        if (!ring_room(logins->to[f]) || !ring_take(logins->from[f], &m, 1))
            continue;
        m.request->fits = password_fits(login_request_kept(m.request), password_of(m.request));
        CHECK(ring_put(logins->to[f], &m, 1) == 1);
        work++;
    }
    return work;
}
