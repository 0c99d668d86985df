/*
 * What a front offers its codecs: output, the way to the routers, the table of exchanges, time and chance.
 * Implemented by dataplane/host.c; tests/unit has a fake. A `struct host` is one connection. All calls are
 * made on the front's thread, from within a codec's callbacks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "router/access.h"
#include "router/command.h"

struct host;

/* ---- the connection ---------------------------------------------------------------------------- */

/* Its id in commands and events: never reused. */
uint64_t host_conn(const struct host *host);
unsigned host_front(const struct host *host);
/* The peer's address as text, for the log. */
const char *host_peer(const struct host *host);
bool host_peer_is_loopback(const struct host *host);
/* The port that it has come to. */
uint16_t host_local_port(const struct host *host);
/* Nanoseconds of a clock that only goes forward. */
uint64_t host_now(const struct host *host);
/* Milliseconds since 1970. */
uint64_t host_wall_ms(const struct host *host);
uint64_t host_random(struct host *host);
/* tick() is called once at or after this time; a later call replaces it; 0 for never. */
void host_wake_at(struct host *host, uint64_t now_ns);
/* One line in the log, with the peer named in front of it. */
void host_log(struct host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Closes the stream when all output is sent, or after a few seconds; input is ignored from now on. */
void host_close(struct host *host);

/* What the configuration says. */
struct host_options {
    uint32_t frame_max; /* AMQP: bytes */
    uint16_t channel_max;
    uint16_t heartbeat_s;
    uint32_t handshake_ms;                                /* a connection not open by then is closed */
    uint32_t max_message_size;                            /* bytes of body */
    uint32_t consumers_max;                               /* per channel */
    bool amqp_anonymous, mqtt_anonymous, stomp_anonymous; /* who gives no user name is, from this machine: */
    const char *anonymous_user;
    const char *nobody; /* looked at in place of the password of a user who isn't there: router/password.h */
    const char *const *loopback_users; /* they log in from this machine only */
    uint32_t loopback_user_count;
    uint32_t login_pause_ms; /* the longest, before a login from where others have failed; 0: none */
    const char *mqtt_exchange, *mqtt_vhost;
    const char *const *mqtt_ports; /* "1884=/orders": the virtual host of who comes to that port */
    uint32_t mqtt_port_count;
};
const struct host_options *host_options(const struct host *host);

enum host_login {
    HOST_LOGIN_REFUSED,
    HOST_LOGIN_GRANTED,
    HOST_LOGIN_WAITS, /* that takes a while: the codec returns from input() with what it has read the login
                         from unused, and asks again when input() is called with it again */
};

/* Whether the user may log in from this peer with this password. */
enum host_login host_login(struct host *host, struct span user, struct span password);
/* Who gives no name: whether he may be here (from this machine only), and as which user. */
bool host_login_guest(struct host *host, struct span *user);
/* Who the peer's certificate says it is; nobody (no bytes) without one. Valid until the callback returns. */
struct span host_certified(struct host *host);
/* Whether that one may log in from this peer. */
bool host_login_certified(struct host *host);
/* Whether the peer may be any user: he has come by a socket that only an administrator can open. */
bool host_is_trusted(const struct host *host);
/* Whether such a peer may log in as that user: whether there is one. */
bool host_login_trusted(struct host *host, struct span user);
enum host_entry {
    ENTRY_GRANTED,
    ENTRY_NO_VHOST,
    ENTRY_REFUSED,
    ENTRY_VHOST_FULL, /* the virtual host has as many connections as it may have, or */
    ENTRY_USER_FULL,  /* the user has: host_full */
};

/* The user, who has logged in, wants to use the virtual host: once, before host_may. Gives its id if it is
 * there. */
enum host_entry host_enter(struct host *host, struct span user, struct span name, uint32_t *vhost);

/* Room for what a user is told who may not do something. */
#define HOST_REFUSAL_BYTES (4 * NAME_MAX_BYTES + 100)

/* Says what is full, without the error's name. */
void host_full(const struct host *host, enum host_entry entry, struct span user, struct span vhost,
               char text[HOST_REFUSAL_BYTES]);
/* Counts a channel of the user's. False: he has as many as he may have, as text says. */
bool host_open_channel(struct host *host, char text[HOST_REFUSAL_BYTES]);
/* It is closed. What is open when host_close is called, or the stream is gone, is closed by that. */
void host_close_channel(struct host *host);

enum host_thing { THING_QUEUE, THING_EXCHANGE };

/* Whether the user may do that to the queue or exchange of that name; the default exchange's is empty. What
 * is remembered of the answer holds as long as host_exchange_version is the same. */
bool host_may(struct host *host, enum access_right right, enum host_thing thing, struct span name);

/* Whether topic permissions may say something of what the user writes and reads: likewise. */
bool host_has_topics(struct host *host);
/* Whether he may publish to the exchange with that routing key (RIGHT_WRITE), or bind to it (RIGHT_READ).
 * client_id: of MQTT; else it has no address. */
bool host_may_topic(struct host *host, enum access_right right, struct span exchange, struct span key,
                    struct span client_id);

/* Says that he may not, without the error's name. */
void host_refusal(const struct host *host, enum access_right right, enum host_thing thing, struct span name,
                  char text[HOST_REFUSAL_BYTES]);
void host_refusal_topic(const struct host *host, enum access_right right, struct span exchange,
                        struct span key, char text[HOST_REFUSAL_BYTES]);

/* What lists show of the connection; protocol is kept, the rest copied. */
void host_describe(struct host *host, const char *protocol, struct span user, struct span vhost,
                   struct span client);

/* ---- output ------------------------------------------------------------------------------------- */

/* Room for `bytes` (at most 64 KiB) of output in one piece, behind all that was committed. Valid until the
 * next host call. Never NULL: back-pressure works through windows and host_backlog. */
uint8_t *host_reserve(struct host *host, size_t bytes);
/* Makes the first `bytes` of the last reservation output. */
void host_commit(struct host *host, size_t bytes);
/* Copies bytes into the output, any length. */
void host_write(struct host *host, struct span bytes);
/* Bytes of a pinned page become output without a copy; the host sends DONE for (router, page) when they are
 * out. */
void host_lend(struct host *host, unsigned router, uint64_t page, struct span bytes);
/* Output not yet taken by the transport, in bytes. */
size_t host_backlog(const struct host *host);

/* ---- to the routers ----------------------------------------------------------------------------- */

/* A row of the front's table of exchanges; stays valid until the callback returns. */
struct exchange_row {
    uint64_t id;
    uint64_t interest;
    uint32_t vhost;
    bool internal;
    bool is_default;
    bool delayed;
};

/* NULL: there is none of that name. */
const struct exchange_row *host_exchange(struct host *host, uint32_t vhost, struct span name);
/* Changes whenever any row does, or what anybody may do: for whoever keeps a row over callbacks, by its
 * address. */
uint64_t host_exchange_version(const struct host *host);

/*
 * Sends a publish to every router that must see it. The caller fills in everything but kind, exchange, SHARED
 * and KEEPER. owned: a buffer of host_buffer() that holds the bytes, freed by the host when they are copied,
 * or NULL when they stand in the input. Returns the number of routers it went to (1 and up): so many CONFIRMs
 * come if PUBLISH_CONFIRM or SHARED and MANDATORY are set. Returns 0 when it must wait: nothing was sent,
 * `owned` is still the caller's; the codec then returns from input() with this publish unused, and input() is
 * called again when it may go on.
 */
unsigned host_publish(struct host *host, const struct exchange_row *exchange, struct command_publish *publish,
                      void *owned);
/* The routers that the last host_publish went to, a bit each: whoever publishes in parts keeps it for
 * host_part. */
uint64_t host_published_to(const struct host *host);
/* More of the body of a publish sent with MORE, to the routers it went to. Returns false when it must wait,
 * as above. An ABORT never waits. */
bool host_part(struct host *host, uint64_t routers, struct command_part *part, void *owned);

/* Memory for the bodies that are put together from several frames, and for transactions. NULL: the front's
 * bound is met. */
uint8_t *host_buffer(struct host *host, size_t bytes);
void host_buffer_free(struct host *host, uint8_t *buffer);

/*
 * Room for what a publish is to point at and doesn't stand in the input as it must: key, properties and a
 * small body, one behind the other. Valid until the routers have seen the publish, if it is kept then; else
 * the next call may give the same room again. NULL: the front's bound is met.
 */
uint8_t *host_scratch(struct host *host, size_t bytes);
/* The publish that points at the first `bytes` of it has been sent. */
void host_scratch_keep(struct host *host, size_t bytes);

void host_settle(struct host *host, unsigned router, uint64_t queue, uint64_t seq, uint32_t count,
                 enum settle how, uint64_t consumer);
/* Adds to the consumer's window; flags: CREDIT_PAUSE, or 0. */
void host_credit(struct host *host, unsigned router, uint64_t consumer, uint32_t bytes, uint8_t flags);
/* A paused consumer goes on, with that round. seen: as in command_credit. */
void host_resume(struct host *host, unsigned router, uint64_t consumer, uint16_t round, uint64_t seen);
/* The message of a DELIVER or RETURN (or a part) has been looked at for the last time. */
void host_done(struct host *host, unsigned router, uint64_t page);

/* A fresh op, zeroed, with front and conn filled in. */
struct op *host_op(struct host *host);
/* Hands the op to the router that its kind and name (or consumer's router) say; it comes back by event(). */
void host_send_op(struct host *host, struct op *op);
/* The same to a router by number: OP_CANCEL, OP_BARRIER. */
void host_send_op_to(struct host *host, unsigned router, struct op *op);
void host_free_op(struct host *host, struct op *op);
/* The router that owns a queue, and how many routers there are. */
unsigned host_router_of(const struct host *host, uint32_t vhost, struct span queue);
unsigned host_routers(const struct host *host);
