/* The inside of a router, for the files of this folder that are parts of it. */
#pragma once

#include "base/fifo.h"
#include "base/link.h"
#include "base/map.h"
#include "base/slots.h"
#include "base/timer.h"
#include "router/access.h"
#include "router/alarm.h"
#include "router/catalog.h"
#include "router/checkpoint.h"
#include "router/command.h"
#include "router/compact.h"
#include "router/confirm.h"
#include "router/exchange.h"
#include "router/message.h"
#include "router/peer.h"
#include "router/persist.h"
#include "router/policy.h"
#include "router/producer.h"
#include "router/publish.h"
#include "router/queue.h"
#include "router/registrar.h"
#include "router/reservation.h"
#include "router/router.h"
#include "router/sender.h"
#include "router/store.h"
#include "router/turn.h"

/* Memory that is used again. */
struct bytes {
    uint8_t *at;
    size_t room;
};

/* An update of access that is in force here, and when the registrar may know. */
struct applied {
    uint64_t update, lsn;
};

struct router {
    struct router_options options;
    struct store store;
    uint64_t now_ns; /* of this turn, */
    uint64_t
        wall_ms; /* and since 1970, by the router's own clock: it never goes back while the router runs */
    struct timers timers;
    struct catalog catalog;
    struct policies policies;
    struct access *access;
    bool access_known;  /* the journal has said something of it */
    uint64_t first_lsn; /* what stands before it is only who there is first: no answer waits for it */
    bool *first_seen;   /* which of options.first's virtual hosts it had */
    FIFO(struct applied) applied;
    struct slots queues, consumers; /* by the handles in commands and events */
    struct link front[FRONTS_MAX];
    struct link peer[ROUTERS_MAX];
    struct match match;
    struct destination *one; /* the match of a publish to the default exchange */
    uint32_t written;        /* length of the last message record */
    struct map large;        /* struct large by position */
    struct map open;         /* struct open_message by front, connection and channel */
    struct producers producers;
    struct senders senders;
    struct map sessions;               /* struct session by its queue's name */
    FIFO(struct confirm) confirms;     /* publishes that wait for the disk */
    struct op *waiting, **waiting_end; /* ops that wait for the disk or for others to know (ops.c) */
    struct queue *run, **run_end;      /* runnable queues */
    struct queue *early;               /* those that would be, but for a head that isn't on disk yet */
    struct stream *held;               /* streams whose readers wait for the disk */
    struct registrar registrar;        /* router 0 only */
    uint64_t told, known; /* changes that others must know: how many so far, and how many they know */
    struct bytes scratch; /* of what is published on the router's own account: repost.c */
    struct settled {
        uint32_t queue;
        uint32_t count;
        uint64_t seq;
    } settled; /* acknowledgements not yet in a record */
    struct checkpoint checkpoint;
    struct compaction compaction;
    struct reservations reservations;
    struct tap *tap;          /* the tracer's; NULL: no queue is traced, */
    uint64_t traced;          /* else the one with this handle is */
    uint64_t checkpoint_from; /* LSN from which the log since the last one is counted */
    uint8_t gate;             /* GATE_* as the fronts know it */
    uint64_t started;         /* LSN that must be safe before anything is delivered; 0: it is */
    bool awake;               /* has been polled: alarms are set */
    bool recovering, clean;   /* reading the journal back; its last record said that the end was clean */
    bool stopping, stopped, told_failed;
    struct turn turn;
    struct router_stats stats;
};

static inline bool is_registrar(const struct router *router)
{
    return router->options.index == 0;
}

static inline union event *router_event(struct router *router, unsigned front)
{
    return link_add(&router->front[front]);
}

/* Milliseconds since 1970. */
static inline uint64_t router_wall_ms(const struct router *router)
{
    return router->wall_ms;
}

/* The now_ns at which it is so late by that clock; 0: it was before this start. */
static inline uint64_t router_when_ns(const struct router *router, uint64_t wall_ms)
{
    uint64_t at = wall_ms * 1000000;
    return at > router->options.epoch_ns ? at - router->options.epoch_ns : 0;
}

/* The virtual host's name, for texts. */
const char *router_vhost_name(const struct router *router, uint32_t vhost);

/* ---- ops.c: every op that comes back ------------------------------------------------------------- */

void router_on_op(struct router *router, struct op *op);
/* Sends the op back when what was appended so far is safe and what was told so far is known. */
void router_answer(struct router *router, struct op *op);
/* Sends it back now. */
void router_answer_now(struct router *router, struct op *op);
/* Sends back with an error: the text as printf makes it. */
void router_refuse(struct router *router, struct op *op, enum error error, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Sends back what OP_MAY_NOT_MAKE says of. */
void router_may_not(struct router *router, struct op *op);
/* Sends back those that have waited long enough. Returns how many. */
unsigned router_answer_waiting(struct router *router);
/* Makes the queue's waiting getters and consumers go on. */
void router_wake(struct router *router, struct waiter *waiters);
/* Counts the one more that the op makes. False: the virtual host has as many as it may have, and the op is
 * answered. */
bool router_queue_counts(struct router *router, struct op *op);
/* Makes the queue that an op describes: name, flags, arguments, owner. It has been counted. */
struct queue *router_make_queue(struct router *router, const struct op *op);
/* Forgets the queue, with a record of it if it is durable. */
void router_delete_queue(struct router *router, struct queue *queue);

/* start.c: what is still to be done of the start. Returns the work done. */
unsigned start_poll(struct router *router);

/* list.c */
void router_on_operators_op(struct router *router, struct op *op);
void list_policies(struct router *router, struct op *op);

/* ---- publish.c ----------------------------------------------------------------------------------- */

void router_on_publish(struct router *router, unsigned front, const struct command_publish *publish);
void router_on_part(struct router *router, unsigned front, const struct command_part *part);
