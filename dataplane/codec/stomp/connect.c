/* CONNECT to CONNECTED, and heart-beats. */
#include <stdio.h>

#include "codec/stomp/connection.h"

#define MS_NS 1000000ull

enum { BEAT_MIN_MS = 100, BEAT_MAX_MS = 24 * 3600 * 1000 };

/* The highest that both know; a client that names none speaks 1.0. */
static enum stomp_version choose(const struct stomp_frame *f)
{
    static const char *const names[] = {"1.0", "1.1", "1.2"};
    const struct span *accepted = stomp_find(f, "accept-version");
    enum stomp_version best = accepted ? STOMP_UNKNOWN : STOMP_10;
    for (const uint8_t *at = accepted ? accepted->at : NULL; at && at < accepted->at + accepted->len;) {
        size_t left = (size_t)(accepted->at + accepted->len - at);
        const uint8_t *comma = memchr(at, ',', left);
        struct span one = span_of(at, comma ? (size_t)(comma - at) : left);
        for (unsigned i = 0; i < 3; i++)
            if (span_is(one, names[i]) && STOMP_10 + i > best)
                best = (enum stomp_version)(STOMP_10 + i);
        at += one.len + 1;
    }
    return best;
}

static uint32_t agree(uint64_t wanted)
{
    return (uint32_t)(!wanted                ? 0
                      : wanted < BEAT_MIN_MS ? BEAT_MIN_MS
                      : wanted > BEAT_MAX_MS ? BEAT_MAX_MS
                                             : wanted);
}

/* "heart-beat:cx,cy": the client can send one each cx ms, and wants one each cy. */
static bool read_beats(struct stomp *c, const struct stomp_frame *f)
{
    struct span text = stomp_value(f, "heart-beat");
    uint64_t sends, wants;
    if (!text.len)
        return true;
    const uint8_t *comma = memchr(text.at, ',', text.len);
    size_t len = comma ? (size_t)(comma - text.at) : text.len;
    if (!comma || !stomp_number(span_of(text.at, len), &sends) ||
        !stomp_number(span_of(comma + 1, text.len - len - 1), &wants))
        return false;
    c->hear_ms = agree(sends);
    c->send_ms = agree(wants);
    return true;
}

/* Without a login it is whom the certificate names, or else the default user, from this machine only; with a
 * passcode that must be right. */
static enum host_login is_known(struct stomp *c, const struct stomp_frame *f, struct span *user)
{
    bool named = stomp_find(f, "login");
    struct span certified = named ? span_of("", 0) : host_certified(c->host);
    *user = certified.len ? certified : stomp_value(f, "login");
    if (certified.len)
        return host_login_certified(c->host) ? HOST_LOGIN_GRANTED : HOST_LOGIN_REFUSED;
    if (!named && !(c->options->stomp_anonymous && host_login_guest(c->host, user)))
        return HOST_LOGIN_REFUSED;
    if (!named && !stomp_find(f, "passcode"))
        return HOST_LOGIN_GRANTED;
    return user->len && user->len <= NAME_MAX_BYTES ? host_login(c->host, *user, stomp_value(f, "passcode"))
                                                    : HOST_LOGIN_REFUSED;
}

static void refuse_entry(struct stomp *c, const struct stomp_frame *f, enum host_entry entry,
                         struct span user, struct span vhost)
{
    char full[HOST_REFUSAL_BYTES];
    if (entry == ENTRY_VHOST_FULL || entry == ENTRY_USER_FULL) {
        host_full(c->host, entry, user, vhost, full);
        stomp_fail(c, f, "%s", full);
        return;
    }
    stomp_fail(c, f,
               entry == ENTRY_NO_VHOST
                   ? "no virtual host '%.*s': the header host names one, and without it that is '/'"
                   : "Virtual host '%.*s' access denied",
               (int)(vhost.len < 64 ? vhost.len : 64), (const char *)vhost.at);
}

static bool login(struct stomp *c, const struct stomp_frame *f, enum stomp_version version)
{
    struct span user, vhost = stomp_value(f, "host");
    if (!vhost.len)
        vhost = span_str("/");
    enum host_login known = is_known(c, f, &user);
    if (known == HOST_LOGIN_WAITS)
        return false;
    if (known == HOST_LOGIN_REFUSED) {
        stomp_fail(c, f, "Access refused for user '%.*s'", (int)(user.len < 64 ? user.len : 64),
                   (const char *)user.at);
        return false;
    }
    enum host_entry entry =
        vhost.len <= NAME_MAX_BYTES ? host_enter(c->host, user, vhost, &c->vhost) : ENTRY_NO_VHOST;
    if (entry != ENTRY_GRANTED) {
        refuse_entry(c, f, entry, user, vhost);
        return false;
    }
    host_describe(c->host,
                  version == STOMP_12   ? "STOMP 1.2"
                  : version == STOMP_11 ? "STOMP 1.1"
                                        : "STOMP 1.0",
                  user, vhost, span_of("", 0));
    return true;
}

static void wake(struct stomp *c)
{
    uint64_t at = c->send_ms ? c->send_at_ns : 0;
    uint64_t silent = c->hear_ms ? c->heard_ns + 2 * c->hear_ms * MS_NS : 0;
    host_wake_at(c->host, !at || (silent && silent < at) ? silent : at);
}

static void answer(struct stomp *c, enum stomp_version version)
{
    char beats[64], session[64];
    int n = snprintf(beats, sizeof beats, "%u,%u", c->send_ms, c->hear_ms);
    int s = snprintf(session, sizeof session, "session-%u-%llu", host_front(c->host),
                     (unsigned long long)host_conn(c->host));
    uint8_t *start = host_reserve(c->host, 512), *p = put_span(start, span_str("CONNECTED\n"));
    p = stomp_put_str(p, STOMP_10, "version",
                      span_str(version == STOMP_12   ? "1.2"
                               : version == STOMP_11 ? "1.1"
                                                     : "1.0"));
    p = stomp_put_str(p, STOMP_10, "session", span_of(session, (size_t)s));
    p = stomp_put_str(p, STOMP_10, "server", span_str("gannet"));
    p = stomp_put_str(p, STOMP_10, "heart-beat", span_of(beats, (size_t)n));
    p = put_span(p, span_of("\n\0\n", 3));
    host_commit(c->host, (size_t)(p - start));
}

void stomp_connect(struct stomp *c, const struct stomp_frame *f)
{
    enum stomp_version version = choose(f);
    if (!version)
        stomp_fail(c, f, "versions 1.0, 1.1 and 1.2 are supported");
    else if (!read_beats(c, f))
        stomp_fail(c, f, "heart-beat isn't two numbers with a comma between");
    else if (login(c, f, version)) {
        answer(c, version);
        c->version = version;
        c->stage = STOMP_OPEN;
        c->send_at_ns = host_now(c->host) + c->send_ms * MS_NS * 3 / 4;
        wake(c);
        stomp_receipt(c, f, false);
    }
}

/* Somebody whom we let wait, or who takes what we send, is alive though nothing comes. A publish that waits
 * for much output to be taken doesn't count: it is the peer that lets us wait. */
void stomp_tick_beats(struct stomp *c)
{
    uint64_t now = host_now(c->host);
    size_t backlog = host_backlog(c->host);
    bool waits = c->pending || (c->parked && backlog <= OUTPUT_HIGH_BYTES / 2);
    if (waits || backlog < c->backlog)
        c->heard_ns = now;
    c->backlog = backlog;
    if (c->hear_ms && now >= c->heard_ns + 2 * c->hear_ms * MS_NS) {
        stomp_fail(c, NULL, "nothing heard for %u ms", 2 * c->hear_ms);
        return;
    }
    if (c->send_ms && now >= c->send_at_ns) {
        host_write(c->host, span_of("\n", 1));
        c->send_at_ns = now + c->send_ms * MS_NS * 3 / 4;
    }
    wake(c);
}
