/* What the fake host says of who may do what (codec/host.h). */
#include <stdio.h>

#include "fake_host.h"

enum host_login host_login(struct host *host, struct span user, struct span password)
{
    if (host->login_waits)
        return HOST_LOGIN_WAITS;
    return span_is(user, "guest") && span_is(password, "guest") ? HOST_LOGIN_GRANTED : HOST_LOGIN_REFUSED;
}

enum host_entry host_enter(struct host *host, struct span user, struct span name, uint32_t *vhost)
{
    (void)user;
    *vhost = span_is(name, "/") ? FAKE_VHOST : 0;
    host->entered = *vhost && !host->refuse_entry && !host->full;
    if (!*vhost)
        return ENTRY_NO_VHOST;
    return host->full ? host->full : host->refuse_entry ? ENTRY_REFUSED : ENTRY_GRANTED;
}

void host_full(const struct host *host, enum host_entry entry, struct span user, struct span vhost,
               char text[HOST_REFUSAL_BYTES])
{
    (void)host, (void)user, (void)vhost;
    snprintf(text, HOST_REFUSAL_BYTES, "the %s is full", entry == ENTRY_USER_FULL ? "user" : "virtual host");
}

bool host_open_channel(struct host *host, char text[HOST_REFUSAL_BYTES])
{
    snprintf(text, HOST_REFUSAL_BYTES, "no more channels");
    if (host->channels_max && host->channels >= host->channels_max)
        return false;
    host->channels++;
    return true;
}

void host_close_channel(struct host *host)
{
    host->channels--;
}

bool host_may(struct host *host, enum access_right right, enum host_thing thing, struct span name)
{
    (void)thing;
    return right != host->refused_right || !host->refused_name || !span_is(name, host->refused_name);
}

void host_refusal(const struct host *host, enum access_right right, enum host_thing thing, struct span name,
                  char text[HOST_REFUSAL_BYTES])
{
    (void)host;
    snprintf(text, HOST_REFUSAL_BYTES, "%s of %s '%.*s' refused", access_right_name(right),
             thing == THING_QUEUE ? "queue" : "exchange", (int)name.len, (const char *)name.at);
}

bool host_has_topics(struct host *host)
{
    return host->refused_topic;
}

bool host_may_topic(struct host *host, enum access_right right, struct span exchange, struct span key,
                    struct span client_id)
{
    (void)exchange, (void)client_id;
    return right != host->refused_right || !host->refused_topic || !span_is(key, host->refused_topic);
}

void host_refusal_topic(const struct host *host, enum access_right right, struct span exchange,
                        struct span key, char text[HOST_REFUSAL_BYTES])
{
    (void)host, (void)exchange;
    snprintf(text, HOST_REFUSAL_BYTES, "%s of topic '%.*s' refused", access_right_name(right), (int)key.len,
             (const char *)key.at);
}
