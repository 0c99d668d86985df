/*
 * What a front's connections are held to (router/limits.h). Connections and channels are counted when they
 * open, in tallies that all fronts share.
 *
 * A rate is of all connections of the user, or in the virtual host, on all fronts together. Whoever has one
 * takes the other way out of can_send(): each message takes its time from the rate's, in the order in which
 * messages come, and if that is later than now, the connection isn't read until then. So nothing is lost or
 * refused, and one connection in a hurry doesn't keep the next from its turn.
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec/host.h"
#include "front_inside.h"

/* ---- connections -----------------------------------------------------------------------------------------
 */

bool limits_enter(struct host *host, struct login *login, enum host_entry *entry)
{
    struct access *access = host->front->access;
    struct span user = span_of(login->user, login->user_len);
    int64_t his = access_user_limits(access, user)->most[LIMIT_CONNECTIONS];
    int64_t there = access_vhost_limits(access, login->vhost)->most[LIMIT_CONNECTIONS];
    struct tally *of_user = access_user_tally(access, user);
    struct tally *of_vhost = access_vhost_tally(access, login->vhost);
    *entry = ENTRY_VHOST_FULL;
    if (!tally_add(of_vhost, TALLY_CONNECTIONS, there))
        return false;
    *entry = ENTRY_USER_FULL;
    if (!tally_add(of_user, TALLY_CONNECTIONS, his)) {
        tally_subtract(of_vhost, TALLY_CONNECTIONS, 1);
        return false;
    }
    login->tally[HIS] = tally_share(of_user);
    login->tally[THERE] = tally_share(of_vhost);
    login->counted = true;
    return true;
}

void limits_leave(struct login *login)
{
    if (!login || !login->counted)
        return;
    login->counted = false;
    for (unsigned i = 0; i < TALLIED; i++)
        tally_subtract(login->tally[i], TALLY_CONNECTIONS, 1);
    tally_subtract(login->tally[HIS], TALLY_CHANNELS, login->channels);
    login->channels = 0;
}

/* As RabbitMQ says it. */
void host_full(const struct host *host, enum host_entry entry, struct span user, struct span vhost,
               char text[HOST_REFUSAL_BYTES])
{
    const struct access *access = host->front->access;
    if (entry == ENTRY_USER_FULL)
        snprintf(text, HOST_REFUSAL_BYTES,
                 "connection refused for user '%.*s': user connection limit (%lld) is reached", (int)user.len,
                 (const char *)user.at, (long long)access_user_limits(access, user)->most[LIMIT_CONNECTIONS]);
    else
        snprintf(
            text, HOST_REFUSAL_BYTES,
            "access to vhost '%.*s' refused for user '%.*s': connection limit (%lld) is reached",
            (int)vhost.len, (const char *)vhost.at, (int)user.len, (const char *)user.at,
            (long long)access_vhost_limits(access, access_vhost(access, vhost))->most[LIMIT_CONNECTIONS]);
}

/* ---- channels --------------------------------------------------------------------------------------------
 */

static void channels_end(struct host *host, uint32_t count)
{
    stat_add(&host->front->stats.channels, -(int64_t)count);
    stat_add(&host->front->stats.channels_closed, count);
}

void limits_leave_channels(struct host *host)
{
    if (host->login && host->login->counted)
        channels_end(host, host->login->channels);
}

bool host_open_channel(struct host *host, char text[HOST_REFUSAL_BYTES])
{
    struct login *login = host->login;
    struct span user = span_of(login->user, login->user_len);
    const struct limits *limits = access_user_limits(host->front->access, user);
    if (!login->counted)
        return true;
    if (tally_add(login->tally[HIS], TALLY_CHANNELS, limits ? limits->most[LIMIT_CHANNELS] : -1)) {
        login->channels++;
        stat_add(&host->front->stats.channels, 1);
        stat_add(&host->front->stats.channels_opened, 1);
        return true;
    }
    snprintf(text, HOST_REFUSAL_BYTES,
             "number of channels opened for user '%.*s' has reached the maximum allowed user limit of (%lld)",
             (int)user.len, (const char *)user.at, (long long)limits->most[LIMIT_CHANNELS]);
    return false;
}

void host_close_channel(struct host *host)
{
    struct login *login = host->login;
    if (!login->counted)
        return;
    tally_subtract(login->tally[HIS], TALLY_CHANNELS, 1);
    login->channels--;
    channels_end(host, 1);
}

/* ---- rates -----------------------------------------------------------------------------------------------
 */

static bool take_rates(int64_t rate[TALLY_RATES], const struct limits *limits)
{
    static const enum limit of[TALLY_RATES] = {LIMIT_PUBLISHES, LIMIT_BYTES};
    bool any = false;
    for (unsigned i = 0; i < TALLY_RATES; i++) {
        int64_t most = limits ? limits->most[of[i]] : -1;
        rate[i] = most > 0 ? most : 0;
        any |= rate[i];
    }
    return any;
}

/* Who has waited for a rate that is another one now waits no longer. */
void limits_look(struct host *host)
{
    const struct access *access = host->front->access;
    struct login *login = host->login;
    struct span user = span_of(login->user, login->user_len);
    host->rated = take_rates(login->rate[HIS], access_user_limits(access, user));
    host->rated |= take_rates(login->rate[THERE], access_vhost_limits(access, login->vhost));
    if (host->waits == WAIT_RATE)
        timer_set(&host->front->pauses, &host->pause, host->front->now_ns);
}

static uint64_t use(const struct login *login, const struct command_publish *publish, uint64_t now_ns)
{
    const uint64_t n[TALLY_RATES] = {[TALLY_MESSAGES] = 1, [TALLY_BYTES] = publish->total_len};
    uint64_t last = now_ns;
    for (unsigned i = 0; i < TALLIED; i++)
        for (unsigned which = 0; which < TALLY_RATES; which++) {
            int64_t rate = login->rate[i][which];
            uint64_t at =
                rate ? tally_use(login->tally[i], (enum tally_rate)which, rate, n[which], now_ns) : now_ns;
            last = at > last ? at : last;
        }
    return last;
}

bool rate_allows(struct host *host, const struct command_publish *publish)
{
    struct front *front = host->front;
    if (host->waits)
        return false;
    if (host->rate_paid || front->stopping) {
        host->rate_paid = false;
        return true;
    }
    uint64_t at = use(host->login, publish, front->now_ns);
    if (at <= front->now_ns)
        return true;
    host->rate_paid = true;
    host->waits = WAIT_RATE;
    timer_set(&front->pauses, &host->pause, at);
    return false;
}

void rate_resume(struct host *host)
{
    host->waits = WAIT_NOTHING;
    front_resume(host);
    front_touch(host);
}
