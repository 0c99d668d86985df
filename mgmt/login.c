#include "login.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ask.h"
#include "basic.h"
#include "dataplane/attempts.h"

enum {
    KNOWN_MAX = 512, /* users */
    GUESSES = 10,    /* wrong passwords until he who is known is asked for his again */
    DIGEST_BYTES = 32,
    PEER_BYTES = 80,
};

#define PAUSE_MOST_NS UINT64_C(4000000000)
#define SECOND_NS     UINT64_C(1000000000)

struct known {
    char user[PATH_NAME_BYTES + 1];
    uint8_t digest[DIGEST_BYTES];
    unsigned wrong; /* passwords since */
    uint64_t used;  /* the time of the last call */
};

struct logins {
    pthread_mutex_t lock;
    uint8_t secret[DIGEST_BYTES];
    struct attempts *attempts;
    struct login_counts counts, forgotten; /* forgotten: of the broker's, those that aren't told any more */
    uint64_t calls;
    struct known known[KNOWN_MAX];
};

struct logins *logins_new(void)
{
    struct logins *logins = sodium_init() >= 0 ? calloc(1, sizeof *logins) : NULL;
    uint64_t seed;
    if (!logins)
        return NULL;
    pthread_mutex_init(&logins->lock, NULL);
    randombytes_buf(logins->secret, sizeof logins->secret);
    randombytes_buf(&seed, sizeof seed);
    logins->attempts = attempts_new(PAUSE_MOST_NS, seed);
    return logins;
}

void logins_free(struct logins *logins)
{
    attempts_free(logins->attempts);
    pthread_mutex_destroy(&logins->lock);
    sodium_memzero(logins, sizeof *logins);
    free(logins);
}

struct login_counts logins_counts(struct logins *logins, struct login_counts *broker)
{
    pthread_mutex_lock(&logins->lock);
    struct login_counts counts = logins->counts, *from = &logins->forgotten;
    if (broker->right < from->right || broker->wrong < from->wrong)
        *from = (struct login_counts){0}; /* it has begun anew since */
    broker->right -= from->right;
    broker->wrong -= from->wrong;
    pthread_mutex_unlock(&logins->lock);
    return counts;
}

void logins_forget_counts(struct logins *logins, struct login_counts broker)
{
    pthread_mutex_lock(&logins->lock);
    logins->counts = (struct login_counts){0};
    logins->forgotten = broker;
    pthread_mutex_unlock(&logins->lock);
}

/* ---- who is known -------------------------------------------------------------------------------------- */

static struct known *find(struct logins *logins, const char *user)
{
    for (unsigned i = 0; i < KNOWN_MAX; i++)
        if (strcmp(logins->known[i].user, user) == 0)
            return &logins->known[i];
    return NULL;
}

static void digest_of(const struct logins *logins, const char *stamp, const char *password,
                      uint8_t digest[DIGEST_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, logins->secret, DIGEST_BYTES, DIGEST_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)stamp, strlen(stamp) + 1);
    crypto_generichash_update(&state, (const uint8_t *)password, strlen(password));
    crypto_generichash_final(&state, digest, DIGEST_BYTES);
}

static bool is_known(struct logins *logins, const struct basic *basic, const char *stamp)
{
    uint8_t digest[DIGEST_BYTES];
    digest_of(logins, stamp, basic->password, digest);
    pthread_mutex_lock(&logins->lock);
    struct known *known = find(logins, basic->user);
    bool right = known && sodium_memcmp(known->digest, digest, DIGEST_BYTES) == 0;
    if (right)
        known->used = ++logins->calls;
    else if (known && ++known->wrong >= GUESSES)
        *known = (struct known){0};
    logins->counts.right += right;
    pthread_mutex_unlock(&logins->lock);
    return right;
}

static void remember(struct logins *logins, const struct basic *basic, const char *stamp)
{
    pthread_mutex_lock(&logins->lock);
    struct known *known = find(logins, basic->user);
    for (unsigned i = 0; !known && i < KNOWN_MAX; i++)
        if (!*logins->known[i].user)
            known = &logins->known[i];
    if (!known) {
        known = logins->known;
        for (unsigned i = 1; i < KNOWN_MAX; i++)
            if (logins->known[i].used < known->used)
                known = &logins->known[i];
    }
    *known = (struct known){.used = ++logins->calls};
    memcpy(known->user, basic->user, sizeof known->user);
    digest_of(logins, stamp, basic->password, known->digest);
    logins->counts.right++;
    pthread_mutex_unlock(&logins->lock);
}

/* ---- failures ------------------------------------------------------------------------------------------ */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void peer_text(const struct sockaddr *peer, char text[PEER_BYTES])
{
    char host[INET6_ADDRSTRLEN];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
    if (peer->sa_family == AF_INET && inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host))
        snprintf(text, PEER_BYTES, "%s:%u", host, ntohs(v4->sin_port));
    else if (peer->sa_family == AF_INET6 && inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host))
        snprintf(text, PEER_BYTES, "[%s]:%u", host, ntohs(v6->sin6_port));
    else
        snprintf(text, PEER_BYTES, "unknown");
}

static bool is_local(const struct sockaddr *peer)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (peer->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return peer->sa_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET));
}

static bool may_try(struct logins *logins, const char *peer, struct reply *reply)
{
    uint64_t now = now_ns();
    pthread_mutex_lock(&logins->lock);
    uint64_t at = attempts_begin(logins->attempts, peer, now);
    pthread_mutex_unlock(&logins->lock);
    if (at <= now)
        return true;
    reply_error(reply, 429, "logins from this address have failed: try again in %u ms",
                (unsigned)((at - now) / 1000000 + 1));
    reply->retry_s = (unsigned)((at - now) / SECOND_NS + 1);
    return false;
}

static void failed(struct logins *logins, const struct basic *basic, const char *peer)
{
    pthread_mutex_lock(&logins->lock);
    attempts_failed(logins->attempts, peer, now_ns());
    logins->counts.wrong++;
    pthread_mutex_unlock(&logins->lock);
    fprintf(stderr, "gannet-mgmtd: %s: login refused: user '%s'\n", peer, basic->user);
}

static void refuse(struct reply *reply)
{
    reply_error(reply, 401, "Login failed");
}

/* ---- the login ----------------------------------------------------------------------------------------- */

unsigned login_rights(const char *tags)
{
    static const struct {
        const char *tag;
        unsigned rights;
    } known[] = {
        {"management", MAY_USE},
        {"policymaker", MAY_USE | MAY_SET_POLICIES},
        {"monitoring", MAY_USE | MAY_MONITOR},
        {"administrator", MAY_USE | MAY_SET_POLICIES | MAY_MONITOR | MAY_ADMINISTER},
    };
    unsigned rights = 0;
    for (size_t len; *tags; tags += len + (tags[len] == ',')) {
        len = strcspn(tags, ",");
        const char *tag = tags + strspn(tags, " ");
        size_t of_tag = strcspn(tag, ", ");
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (strlen(known[i].tag) == of_tag && memcmp(known[i].tag, tag, of_tag) == 0)
                rights |= known[i].rights;
    }
    return rights;
}

/* Asks the broker whether the password is right. */
static bool ask_login(struct call *call, const struct basic *basic, const char *peer, struct table *table,
                      struct reply *reply)
{
    struct logins *logins = call->mgmtd->logins;
    if (!may_try(logins, peer, reply))
        return false;
    if (ask(call, reply, table, "login", basic->user, basic->password, NULL)) {
        remember(logins, basic, table_cell(table, 1, "stamp"));
        return true;
    }
    if (reply->status == 503)
        return false;
    json_decref(reply->json);
    failed(logins, basic, peer);
    refuse(reply);
    return false;
}

/* Asks for the user's stamp, and whether it is he. An answer of the broker in *table. */
static bool identify(struct call *call, const struct basic *basic, const char *peer, struct table *table,
                     struct reply *reply)
{
    bool there = ask(call, reply, table, "stamp", basic->user, NULL);
    if (there && table->rows == 2 && is_known(call->mgmtd->logins, basic, table_cell(table, 1, "stamp")))
        return true;
    if (there)
        table_free(table);
    else if (reply->status == 503)
        return false;
    json_decref(reply->json);
    *reply = (struct reply){0};
    return ask_login(call, basic, peer, table, reply);
}

static void fill_in(struct caller *caller, const char *user, const char *tags)
{
    snprintf(caller->name, sizeof caller->name, "%s", user);
    snprintf(caller->tags, sizeof caller->tags, "%s", tags);
    caller->rights = login_rights(tags);
}

bool login_caller(struct call *call, const char *header, const struct sockaddr *peer, struct reply *reply)
{
    struct basic basic;
    struct table table;
    char from[PEER_BYTES];
    bool ok = basic_read(&basic, header);
    peer_text(peer, from);
    if (!ok) {
        refuse(reply);
        return false;
    }
    ok = identify(call, &basic, from, &table, reply);
    if (ok) {
        bool elsewhere = *table_cell(&table, 1, "local_only") == 't' && !is_local(peer);
        fill_in(&call->caller, basic.user, table_cell(&table, 1, "tags"));
        table_free(&table);
        ok = !elsewhere && call->caller.rights;
        if (!ok)
            reply_forbidden(reply, elsewhere ? "User can only log in via localhost" : "Not management user");
    }
    basic_clear(&basic);
    return ok;
}

void login_administrator(struct caller *caller)
{
    fill_in(caller, "administrator", "administrator");
    caller->own = true;
}
