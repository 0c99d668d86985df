#include "attempts.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/map.h"
#include "base/span.h"
#include "transport/address.h"

enum { SETS = 256, WAYS = 4, FREELY = 3 /* failures before the first pause */, FAILURES_MAX = 32 };

#define FIRST_PAUSE_NS UINT64_C(250000000)
#define FORGIVEN_NS    UINT64_C(60000000000)

struct attempt {
    uint64_t who; /* a hash; 0: nobody */
    uint64_t last_ns,
        next_ns; /* of failures: the last that isn't made good for; when the next login may be */
    uint32_t failures;
};

struct attempts {
    uint64_t most_ns, seed;
    struct attempt set[SETS][WAYS];
};

struct attempts *attempts_new(uint64_t most_ns, uint64_t seed)
{
    struct attempts *attempts = calloc(1, sizeof *attempts);
    CHECK(attempts);
    attempts->most_ns = most_ns;
    attempts->seed = seed;
    return attempts;
}

void attempts_free(struct attempts *attempts)
{
    free(attempts);
}

/* What isn't an address is the simulator's, with a port too. */
static uint64_t who_is(const struct attempts *attempts, const char *peer)
{
    struct address address;
    char error[128];
    const char *colon = strrchr(peer, ':');
    struct span name = span_of(peer, colon ? (size_t)(colon - peer) : strlen(peer));
    if (address_parse(&address, peer, error, sizeof error) && address.any.sa_family == AF_INET6 &&
        !IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr))
        name = span_of(&address.v6.sin6_addr, 8);
    return hash_keyed(name, attempts->seed) | 1;
}

static struct attempt *find(struct attempts *attempts, uint64_t who, uint64_t now_ns)
{
    struct attempt *set = attempts->set[(who >> 32) % SETS];
    for (unsigned i = 0; i < WAYS; i++) {
        struct attempt *a = &set[i];
        if (a->who != who)
            continue;
        uint64_t made_good = (now_ns - a->last_ns) / FORGIVEN_NS;
        a->failures -= made_good < a->failures ? (uint32_t)made_good : a->failures;
        a->last_ns += made_good * FORGIVEN_NS;
        return a;
    }
    return NULL;
}

static struct attempt *add(struct attempts *attempts, uint64_t who)
{
    struct attempt *set = attempts->set[(who >> 32) % SETS], *oldest = set;
    for (unsigned i = 1; i < WAYS; i++)
        if (set[i].last_ns < oldest->last_ns)
            oldest = &set[i];
    *oldest = (struct attempt){.who = who};
    return oldest;
}

static uint64_t pause_of(const struct attempts *attempts, const struct attempt *a)
{
    if (a->failures < FREELY)
        return 0;
    uint64_t pause = FIRST_PAUSE_NS << (a->failures - FREELY);
    return pause < attempts->most_ns ? pause : attempts->most_ns;
}

uint64_t attempts_begin(struct attempts *attempts, const char *peer, uint64_t now_ns)
{
    if (!attempts->most_ns)
        return now_ns;
    struct attempt *a = find(attempts, who_is(attempts, peer), now_ns);
    if (!a)
        return now_ns;
    if (now_ns < a->next_ns)
        return a->next_ns;
    a->next_ns = now_ns + pause_of(attempts, a);
    return now_ns;
}

void attempts_failed(struct attempts *attempts, const char *peer, uint64_t now_ns)
{
    if (!attempts->most_ns)
        return;
    uint64_t who = who_is(attempts, peer);
    struct attempt *a = find(attempts, who, now_ns);
    if (!a)
        a = add(attempts, who);
    a->failures += a->failures < FAILURES_MAX;
    a->last_ns = now_ns;
    uint64_t next = now_ns + pause_of(attempts, a);
    if (next > a->next_ns)
        a->next_ns = next;
}
