/* What a front tells its codecs of who may do what (codec/host.h), from its own replica. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/host.h"
#include "front_inside.h"
#include "router/password.h"
#include "router/pattern.h"

/* ---- logging in ------------------------------------------------------------------------------------ */

static bool is_elsewhere(const struct host *host, struct span user)
{
    const struct host_options *o = &host->front->options.host;
    for (uint32_t i = 0; i < o->loopback_user_count; i++)
        if (span_is(user, o->loopback_users[i]))
            return !host_peer_is_loopback(host);
    return false;
}

/* Those with the same digest's first byte take each other's place. */
static uint8_t *kept_of(struct front *front, const uint8_t digest[PASSWORD_DIGEST_BYTES])
{
    static_assert(LOGINS_KEPT == 256, "a byte says where");
    return front->logins.digest[digest[0]];
}

/* Asks the login agent: the codec is called with the same input when it has answered. */
static enum host_login ask(struct host *host, struct span user, struct span kept, struct span password)
{
    struct front *front = host->front;
    *(struct login_message *)link_add(&front->login) =
        (struct login_message){.request = login_request_new(host->id, user, kept, password)};
    host->logging_in = LOGIN_ASKED;
    host->ops++;
    return HOST_LOGIN_WAITS;
}

/* Whether the peer must wait before a password of his is looked at. */
static bool must_pause(struct host *host)
{
    struct front *front = host->front;
    uint64_t at = attempts_begin(front->attempts, host->peer, front->now_ns);
    if (at <= front->now_ns)
        return false;
    timer_set(&front->pauses, &host->pause, at);
    host->logging_in = LOGIN_PAUSED;
    host->ops++;
    return true;
}

static void go_on(struct host *host, enum logging_in now)
{
    host->logging_in = (uint8_t)now;
    host->ops--;
    host->op_paused = false;
    front_resume(host);
}

unsigned front_end_pauses(struct front *front)
{
    struct timer *timer;
    unsigned n = 0;
    for (; (timer = timer_due(&front->pauses, front->now_ns)); n++) {
        struct host *host = container_of(timer, struct host, pause);
        if (host->waits == WAIT_RATE)
            rate_resume(host);
        else
            go_on(host, LOGIN_NONE);
    }
    return n;
}

/* As with RabbitMQ, nobody logs in with an empty password. Who isn't there takes as long as who is. */
static enum host_login look_at(struct host *host, struct span user, struct span password)
{
    struct front *front = host->front;
    const struct access_user *known = access_user(front->access, user);
    struct span kept = known ? access_user_password(known) : span_str(front->options.host.nobody);
    uint8_t digest[PASSWORD_DIGEST_BYTES];
    enum logging_in before = host->logging_in;
    if (before == LOGIN_ASKED || before == LOGIN_PAUSED || (before == LOGIN_NONE && must_pause(host)))
        return HOST_LOGIN_WAITS;
    host->logging_in = LOGIN_NONE;
    if (before == LOGIN_WRONG || !password.len || is_elsewhere(host, user))
        return HOST_LOGIN_REFUSED;
    password_digest(digest, front->logins.secret, kept, password);
    uint8_t *there = kept_of(front, digest);
    if (before == LOGIN_RIGHT)
        memcpy(there, digest, sizeof digest);
    if (before == LOGIN_RIGHT || (known && password_digest_equal(there, digest)))
        return HOST_LOGIN_GRANTED;
    if (password_is_slow(kept))
        return ask(host, user, kept, password);
    return password_fits(kept, password) ? HOST_LOGIN_GRANTED : HOST_LOGIN_REFUSED;
}

enum host_login host_login(struct host *host, struct span user, struct span password)
{
    struct front *front = host->front;
    enum host_login answer = look_at(host, user, password);
    if (answer == HOST_LOGIN_GRANTED)
        stat_add(&front->stats.logins, 1);
    if (answer != HOST_LOGIN_REFUSED)
        return answer;
    stat_add(&front->stats.refused, 1);
    attempts_failed(front->attempts, host->peer, front->now_ns);
    host_log(host, "login refused: user '%.*s'", (int)user.len, (const char *)user.at);
    return answer;
}

/* That it was right means nothing if another password counts by now. */
static bool is_right(const struct front *front, const struct login_request *r)
{
    const struct access_user *user = access_user(front->access, login_request_user(r));
    return r->fits && user && span_equal(access_user_password(user), login_request_kept(r));
}

static void take_answer(struct front *front, struct login_request *r)
{
    struct host *host = slots_get(&front->conns, r->conn);
    if (host)
        go_on(host, is_right(front, r) ? LOGIN_RIGHT : LOGIN_WRONG);
    login_request_free(r);
}

unsigned front_take_logins(struct front *front)
{
    struct login_message m;
    unsigned n = 0;
    for (; ring_take(front->options.from_login, &m, 1); n++)
        take_answer(front, m.request);
    return n;
}

/* What is in the rings is the agent's to free. */
void front_free_logins(struct front *front)
{
    struct link *link = &front->login;
    link_flush(link);
    for (; link->late_from < link->late_to; link->late_from++)
        login_request_free(
            ((const struct login_message *)(const void *)&link->late[link->late_from])->request);
    link_free(link);
}

bool host_login_guest(struct host *host, struct span *user)
{
    const struct host_options *o = &host->front->options.host;
    *user = span_str(o->anonymous_user);
    return host_peer_is_loopback(host) && access_user(host->front->access, *user);
}

struct span host_certified(struct host *host)
{
    struct front *front = host->front;
    const struct transport_ops *ops = host->transport->ops;
    if (!front->options.certificate_login || !ops->certified)
        return span_of("", 0);
    size_t len = ops->certified(host->transport, host->stream, front->options.certificate_login,
                                front->certified, sizeof front->certified);
    return span_of(front->certified, len);
}

bool host_login_certified(struct host *host)
{
    struct front *front = host->front;
    struct span user = host_certified(host);
    bool may = user.len && access_user(front->access, user) && !is_elsewhere(host, user);
    stat_add(may ? &front->stats.logins : &front->stats.refused, 1);
    if (!may)
        host_log(host, "login refused: certificate of '%.*s'", (int)user.len, (const char *)user.at);
    return may;
}

bool host_is_trusted(const struct host *host)
{
    return host->trusted;
}

bool host_login_trusted(struct host *host, struct span user)
{
    struct front *front = host->front;
    bool may = host->trusted && access_user(front->access, user);
    stat_add(may ? &front->stats.logins : &front->stats.refused, 1);
    if (!may)
        host_log(host, "login refused: there is no user '%.*s'", (int)user.len, (const char *)user.at);
    return may;
}

static struct login *login_new(const struct access *access, struct span user, uint32_t vhost)
{
    struct login *login = malloc(sizeof *login + user.len);
    CHECK(login);
    *login = (struct login){.vhost = vhost,
                            .generation = access_generation(access),
                            .grant = access_grant(access, user, vhost),
                            .topics = access_has_topics(access, user, vhost),
                            .user_len = (uint8_t)user.len};
    put_span(login->user, user);
    return login;
}

enum host_entry host_enter(struct host *host, struct span user, struct span name, uint32_t *vhost)
{
    struct access *access = host->front->access;
    *vhost = access_vhost(access, name);
    if (!*vhost)
        return ENTRY_NO_VHOST;
    if (!access_user(access, user))
        return ENTRY_REFUSED;
    CHECK(!host->login && user.len <= NAME_MAX_BYTES);
    enum host_entry entry = ENTRY_REFUSED;
    struct login *login = login_new(access, user, *vhost);
    bool may = limits_enter(host, login, &entry);
    if (may && !login->grant)
        entry = ENTRY_REFUSED;
    if (!may || !login->grant) {
        login_free(login);
        return entry;
    }
    host->login = login;
    limits_look(host);
    return ENTRY_GRANTED;
}

/* ---- permissions ------------------------------------------------------------------------------------- */

static struct span thing_name(enum host_thing thing, struct span name)
{
    return thing == THING_EXCHANGE && !name.len ? span_str("amq.default") : name;
}

static struct span user_of(const struct login *login)
{
    return span_of(login->user, login->user_len);
}

static void rules_free(struct login *login)
{
    for (struct topic_rule *rule; (rule = login->rules);) {
        login->rules = rule->next;
        pattern_free(rule->pattern);
        free(rule);
    }
}

void login_free(struct login *login)
{
    if (!login)
        return;
    limits_leave(login);
    for (unsigned i = 0; i < TALLIED && login->tally[i]; i++)
        tally_give_back(login->tally[i]);
    rules_free(login);
    free(login);
}

/* Asks again what he may do there, if anything has changed since. */
static struct login *login_now(struct host *host)
{
    struct access *access = host->front->access;
    struct login *login = host->login;
    if (login->generation == access_generation(access))
        return login;
    rules_free(login);
    login->grant = access_grant(access, user_of(login), login->vhost);
    login->topics = access_has_topics(access, user_of(login), login->vhost);
    login->generation = access_generation(access);
    return login;
}

bool host_may(struct host *host, enum access_right right, enum host_thing thing, struct span name)
{
    struct access_grant *grant = login_now(host)->grant;
    return grant && access_may(host->front->access, grant, right, thing_name(thing, name));
}

/* As RabbitMQ 4 says it. */
void host_refusal(const struct host *host, enum access_right right, enum host_thing thing, struct span name,
                  char text[HOST_REFUSAL_BYTES])
{
    const struct login *login = host->login;
    name = thing_name(thing, name);
    snprintf(text, HOST_REFUSAL_BYTES, "%s access to %s '%.*s' in vhost '%s' refused for user '%.*s'",
             access_right_name(right), thing == THING_QUEUE ? "queue" : "exchange", (int)name.len,
             (const char *)name.at, access_vhost_name(host->front->access, login->vhost), login->user_len,
             (const char *)login->user);
}

/* ---- topics ------------------------------------------------------------------------------------------- */

bool host_has_topics(struct host *host)
{
    return login_now(host)->topics;
}

static struct topic_rule *rule_of(struct host *host, const struct access_topic *topic,
                                  enum access_right right, struct span client_id)
{
    struct login *login = host->login;
    const char *vhost = access_vhost_name(host->front->access, login->vhost);
    const struct access_names names = {user_of(login), span_str(vhost), client_id};
    struct topic_rule *rule = login->rules;
    while (rule && !(rule->topic == topic && rule->right == right))
        rule = rule->next;
    if (rule)
        return rule;
    rule = calloc(1, sizeof *rule);
    CHECK(rule);
    *rule =
        (struct topic_rule){login->rules, topic, right, access_topic_pattern(topic, right, &names), false};
    return login->rules = rule;
}

bool host_may_topic(struct host *host, enum access_right right, struct span exchange, struct span key,
                    struct span client_id)
{
    const struct login *login = login_now(host);
    const struct access_topic *topic = login->topics
                                           ? access_topic(host->front->access, user_of(login), login->vhost,
                                                          thing_name(THING_EXCHANGE, exchange))
                                           : NULL;
    if (!topic)
        return true;
    struct topic_rule *rule = rule_of(host, topic, right, client_id);
    enum pattern_match match =
        rule->pattern ? pattern_match(rule->pattern, &host->front->topic_scratch, key) : PATTERN_MISSES;
    if (match == PATTERN_COSTLY && !rule->warned) {
        rule->warned = true;
        host_log(host,
                 "a topic permission's pattern takes too many steps on '%.*s' and is taken not to fit: "
                 "simplify it",
                 (int)key.len, (const char *)key.at);
    }
    return match == PATTERN_FITS;
}

void host_refusal_topic(const struct host *host, enum access_right right, struct span exchange,
                        struct span key, char text[HOST_REFUSAL_BYTES])
{
    const struct login *login = host->login;
    struct span name = thing_name(THING_EXCHANGE, exchange);
    snprintf(text, HOST_REFUSAL_BYTES,
             "%s access to topic '%.*s' in exchange '%.*s' in vhost '%s' refused for user '%.*s'",
             access_right_name(right), (int)key.len, (const char *)key.at, (int)name.len,
             (const char *)name.at, access_vhost_name(host->front->access, login->vhost), login->user_len,
             (const char *)login->user);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

enum concern { NO_CONCERN, EXPELS, CHANGES, LIMITS_HIM };

/* What a change that has been made means to who is logged in as that. */
static enum concern concern_of(const struct access_change *change, const struct login *login)
{
    struct span user = span_of(login->user, login->user_len);
    bool his = span_equal(change->text[TEXT_USER], user);
    bool there = access_vhost_id(change->text[TEXT_VHOST]) == login->vhost;
    switch ((enum access_kind)change->kind) {
    case ACCESS_USER_GONE:
        return his ? EXPELS : NO_CONCERN;
    case ACCESS_VHOST_GONE:
        return there ? EXPELS : NO_CONCERN;
    case ACCESS_PERMISSION:
    case ACCESS_PERMISSION_GONE:
    case ACCESS_TOPIC:
    case ACCESS_TOPIC_GONE:
        return his && there ? CHANGES : NO_CONCERN;
    case ACCESS_USER_LIMITS:
    case ACCESS_USER_LIMITS_GONE:
        return his ? LIMITS_HIM : NO_CONCERN;
    case ACCESS_VHOST_LIMITS:
    case ACCESS_VHOST_LIMITS_GONE:
    case ACCESS_VHOST_LIMIT:
        return there ? LIMITS_HIM : NO_CONCERN;
    default:
        return NO_CONCERN;
    }
}

void host_expel(struct host *host, const char *why, bool gone)
{
    if (!host->login) {
        host_close(host); /* who hasn't said who he is hears nothing */
        return;
    }
    host->codec->expel(host->state, host, why, gone);
    if (host->waits == WAIT_RATE) /* his answer stands behind the publish */
        timer_set(&host->front->pauses, &host->pause, host->front->now_ns);
    front_touch(host);
}

static void expel(struct host *host, const struct access_change *change)
{
    char why[NAME_MAX_BYTES + 32];
    bool user = change->kind == ACCESS_USER_GONE;
    const struct span name = change->text[user ? TEXT_USER : TEXT_VHOST];
    snprintf(why, sizeof why, user ? "user '%.*s' is deleted" : "vhost '%.*s' is deleted", (int)name.len,
             (const char *)name.at);
    host_expel(host, why, true);
}

static void look_at_all(struct front *front, const struct access_change *change)
{
    for (uint32_t i = 0; i < front->conns.count; i++) {
        struct host *host = front->conns.slot[i].thing;
        enum concern concern =
            host && host->login && !host->closing ? concern_of(change, host->login) : NO_CONCERN;
        if (concern == EXPELS)
            expel(host, change);
        else if (concern == CHANGES)
            host->codec->access_changed(host->state, host);
        else if (concern == LIMITS_HIM)
            limits_look(host);
        if (concern != NO_CONCERN)
            front_touch(host);
    }
}

/* What codecs remember of exchanges says also whether they may be published to. */
void front_on_access(struct front *front, unsigned router, struct access_update *update)
{
    struct access_change change;
    CHECK(access_unpack(span_of(update->packed, update->len), &change));
    access_apply(front->access, &change);
    front->exchanges.version++;
    look_at_all(front, &change);
    front_command(front, router)->known =
        (struct command_known){.kind = COMMAND_KNOWN, .update = update->update};
    free(update);
}
