/* The inside of a front and of a connection, for front.c, host.c and events.c. */
#pragma once

#include <semaphore.h>
#include <stdatomic.h>

#include "attempts.h"
#include "base/fifo.h"
#include "base/link.h"
#include "base/prng.h"
#include "base/slots.h"
#include "base/tally.h"
#include "base/tap.h"
#include "base/timer.h"
#include "exchange_table.h"
#include "front.h"
#include "lent.h"
#include "login.h"
#include "router/access.h"
#include "router/password.h"
#include "router/pattern.h"
#include "transport/output.h"

enum wait {
    WAIT_NOTHING,
    WAIT_RING, /* a router's ring is full */
    WAIT_GATE, /* a router has shut its gate */
    WAIT_RATE, /* the user or virtual host publishes no faster */
};

/* What a connection that is gone has lent to its transport. */
struct leftover {
    struct leftover *next;
    struct transport *transport;
    uint64_t stream;
    struct output output;
};

/* Where a connection's login stands. */
enum logging_in {
    LOGIN_NONE,
    LOGIN_PAUSED, /* too many have failed from that address */
    LOGIN_ASKED,  /* the login agent is at it */
    LOGIN_RIGHT,  /* its answer, for when the codec asks again */
    LOGIN_WRONG,
};

/* Logins that were right, by a digest of what was kept and what was given: whoever comes again needs not be
 * looked at for so long. */
enum { LOGINS_KEPT = 256 };

struct logins_kept {
    uint8_t secret[PASSWORD_DIGEST_BYTES];
    uint8_t digest[LOGINS_KEPT][PASSWORD_DIGEST_BYTES];
};

/* A topic permission's pattern, for one connection. */
struct topic_rule {
    struct topic_rule *next;
    const struct access_topic *topic;
    enum access_right right;
    struct pattern *pattern; /* NULL: it fits nothing */
    bool warned;             /* it has been logged that it costs too much */
};

/* Whose limits a connection is held to. */
enum tallied { HIS, THERE, TALLIED };

/* Whom a connection is for. */
struct login {
    uint32_t vhost;
    uint64_t generation;        /* of the front's access, when it was last asked for: */
    struct access_grant *grant; /* NULL: there is none */
    bool topics;                /* topic permissions say something, too: */
    struct topic_rule *rules;   /* those that have been looked at */
    bool counted;               /* in the tallies, until the connection begins to close */
    uint32_t channels;          /* of it, in the user's tally */
    struct tally *tally[TALLIED];
    int64_t rate[TALLIED][TALLY_RATES]; /* a second; 0: any */
    uint8_t user_len;
    uint8_t user[];
};

/* For lists: what host_describe was told. */
struct about {
    const char *protocol;
    uint8_t user_len, vhost_len, client_len;
    uint8_t bytes[]; /* user, vhost, client */
};

/* A connection. Owned by its front; freed when its stream is gone. */
struct host {
    struct front *front;
    struct transport *transport; /* of its port */
    uint64_t id;                 /* in commands and events */
    uint64_t stream;             /* the transport's name for it */
    const struct codec *codec;
    void *state; /* the codec's */
    struct output output;
    struct tap *tap; /* not NULL: it is traced, */
    size_t tap_skip; /* behind so much output */
    struct timer wake, linger, pause;
    struct host *dirty_next; /* of those to be flushed at the end of the turn */
    struct host *parked_next;
    uint64_t bytes_in;
    unsigned ops;              /* requests that have not come back */
    uint8_t logging_in;        /* enum logging_in */
    uint8_t waits;             /* enum wait: input has stopped at a publish that can't be sent yet; */
    uint8_t gate, gate_router; /* WAIT_GATE: for which of the router's GATE_* */
    bool asked;                /* OP_ROOM is under way for this publish */
    uint64_t room_asked;       /* how many have ever been sent, */
    uint64_t admitted;         /* and the routers that have said yes to this publish, a bit each */
    bool rated;                /* host->login has a rate: each publish asks first */
    bool rate_paid;            /* the next publish has asked, and waited as long as it had to */
    bool trusted;              /* he is whoever he says (FRONT_TRUSTED) */
    bool dirty, told_blocked, op_paused, output_paused, rest, closing, stream_closing;
    bool draining; /* it isn't read from any more until what it has published is confirmed */
    uint16_t local_port;
    char peer[ADDRESS_TEXT];
    struct login *login; /* NULL before it */
    struct about *about; /* NULL before login */
    char *local;         /* the address that it has come to; owned */
    uint64_t accepted_ns;
    uint64_t parked_ns; /* since when its publish waits; 0: none does */
    bool publishes;     /* it has sent a message */
};

/* listing.c: an op on its way from the control thread, and one on its way back. */
struct listing {
    _Atomic(struct op *) asked, answered;
    sem_t answers; /* so many have come since it was last waited for */
};

/* A transport of the front, and which of its receive buffers are in use: each transport counts epochs of its
 * own. */
struct front_port {
    struct front *front;
    struct transport *transport;
    uint64_t epoch;          /* of the receive buffer in use */
    uint64_t epoch_released; /* given back though it was in use */
};

/* What a turn has done so far. */
struct front_turn {
    uint32_t len, run;            /* so many messages of this length, one after the other */
    uint64_t published, confirms; /* messages before those; of all, those to be confirmed */
    uint64_t waited;              /* those of them that were parked */
    bool events;                  /* routers' have been taken */
    uint32_t to[ROUTERS_MAX];     /* messages, by router */
};

struct front {
    struct front_options options;
    struct front_port port[FRONT_PORTS_MAX];
    unsigned ports;
    uint64_t now_ns;
    struct prng prng;
    struct slots conns;
    struct link router[ROUTERS_MAX];
    uint64_t sent[ROUTERS_MAX]; /* commands ever given to the link */
    FIFO(struct lent_row) lent;
    uint64_t buffer_bytes; /* of host_buffer memory in use */
    uint8_t *scratch;      /* of host_scratch: a buffer, or NULL */
    size_t scratch_room, scratch_used;
    struct exchange_table exchanges;
    struct access *access; /* its replica */
    struct pattern_scratch topic_scratch;
    struct link login; /* to the login agent */
    struct logins_kept logins;
    struct attempts *attempts;
    uint8_t certified[NAME_MAX_BYTES]; /* the last name that was asked for */
    uint8_t gate[ROUTERS_MAX];         /* GATE_* that are shut, by router */
    struct output_pool pool;
    struct timers timers;  /* of codecs' wake */
    struct timers pauses;  /* of logins, and of who publishes too fast */
    struct timers lingers; /* of connections that are to be closed when their output is out */
    struct host *dirty;
    struct leftover *leftovers;
    struct host *parked, **parked_end;
    uint64_t published_to;
    struct op *ops; /* free ones, linked by next */
    bool stopping;
    struct listing listing;
    struct front_turn turn;
    struct host *traced; /* or NULL */
    struct front_stats stats;
};

/* A command to be filled in; it goes with the next flush. */
union command *front_command(struct front *front, unsigned router);
/* Marks the connection for the end of the turn. */
void front_touch(struct host *host);
/* The front asks itself: a request whose answer the front handles. */
void front_free_op(struct front *front, struct op *op);
/* Lets input go on: the transport gives what is left again. */
void front_resume(struct host *host);
void front_done(struct front *front, unsigned router, uint64_t page);

/* parked.c */
/* Whether a publish with these flags may not go to the router yet: then the host waits for its gate. */
bool front_is_shut(struct host *host, unsigned router, uint8_t flags);
/* Its publish must wait: nothing more is read until it may go on. */
void front_park(struct host *host);
/* Publishes that waited for a ring or a gate try again. Returns how many. */
unsigned front_unpark(struct front *front);
/* The publish can't go on: if that is for want of disk, the router is asked whether it may all the same. */
void front_ask_room(struct host *host, const struct exchange_row *exchange,
                    const struct command_publish *publish);
/* The router has answered; the op is freed or sent again. */
void front_on_room(struct host *host, struct op *op);
/* The host is gone. */
void front_unlist_parked(struct host *host);

/* port.c */
/* Data comes from a new receive buffer: the one before is released when all that pointed into it is taken. */
void port_next_epoch(struct front_port *port, uint64_t epoch);
/* Whether a receive buffer is in use; nothing points into any: they may all be begun anew. */
bool ports_in_use(const struct front *front);
void ports_release_all(struct front *front);
unsigned ports_poll(struct front *front);
void ports_flush(struct front *front);
void ports_rest(struct front *front, bool rest);
void ports_stop_listening(struct front *front);
void ports_free(struct front *front);

/* measure.c */
void measure_run_end(struct front *front);
/* A message of another length than the ones before ends their run. */
static inline void measure_publish(struct front *front, const struct command_publish *publish)
{
    struct front_turn *turn = &front->turn;
    if (publish->total_len != turn->len) {
        measure_run_end(front);
        turn->len = publish->total_len;
    }
    turn->run++;
    turn->confirms += publish->flags / PUBLISH_CONFIRM & 1;
}
/* The publish that the connection has waited with has been sent. */
void measure_waited(struct host *host);
/* The turn is over, but for what it has for routers, which they can't see yet. */
void measure_turn(struct front *front);

/* events.c */
unsigned front_take_events(struct front *front);
/* Frees what is left in the rings at the end. */
void front_drain(struct front *front);

/* host_limits.c */
/* Counts a connection that enters. False: there are as many as there may be, and *entry says of what. */
bool limits_enter(struct host *host, struct login *login, enum host_entry *entry);
/* It counts no more. */
void limits_leave(struct login *login);
/* The connection begins to close: so do its channels, for those who count. */
void limits_leave_channels(struct host *host);
/* What the limits say now. */
void limits_look(struct host *host);
/* Whether what can_send let through may go as far as rates are concerned; if not, the host waits. */
bool rate_allows(struct host *host, const struct command_publish *publish);
/* The host, which has waited for its rate, goes on. */
void rate_resume(struct host *host);

/* host_access.c */
void login_free(struct login *login);
/* Takes the login agent's answers. Returns how many. */
unsigned front_take_logins(struct front *front);
/* Of whom it is time that the login is looked at. */
unsigned front_end_pauses(struct front *front);
/* At the end: what is still on its way is freed. */
void front_free_logins(struct front *front);
/* Closes the connection, and says why. gone: its user or virtual host is. */
void host_expel(struct host *host, const char *why, bool gone);
/* Who may do what has changed. */
void front_on_access(struct front *front, unsigned router, struct access_update *update);

/* front_trace.c */
/* The host is the one that is traced from now on; NULL: none. tap: the tracer's, until this says otherwise or
 * the host is gone. */
void front_trace(struct front *front, struct host *host, struct tap *tap);
void trace_input(struct host *host, struct span bytes, bool logged_in);
void trace_output(struct host *host, const struct iovec *iov, int n, size_t took);
void trace_ended(struct host *host);
/* If it is the one: it has sent these; host->bytes_in doesn't count them yet. */
static inline void traced_input(struct host *host, struct span bytes, bool logged_in)
{
    if (__builtin_expect(host->tap != NULL, 0) && bytes.len)
        trace_input(host, bytes, logged_in);
}
/* `took` bytes of these pieces have been sent; host->output.taken doesn't count them yet. */
static inline void traced_output(struct host *host, const struct iovec *iov, int n, size_t took)
{
    if (__builtin_expect(host->tap != NULL, 0))
        trace_output(host, iov, n, took);
}
static inline void traced_ended(struct host *host)
{
    if (host->tap)
        trace_ended(host);
}

/* listing.c */
void listing_init(struct front *front);
unsigned listing_poll(struct front *front);
/* The answer to what front_ask asked. */
void listing_answer(struct front *front, struct op *op);
void listing_free(struct front *front);
