/*
 * One MQTT connection: what dies with it. What outlives it, the session, is a queue and its bindings at the
 * router that owns the queue (router/session.h). All of it is used on the front's thread, from within the
 * codec's callbacks. Small: there may be many that say nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slots.h"
#include "codec/host.h"
#include "codec/mqtt/batch.h"
#include "codec/mqtt/incoming.h"
#include "codec/mqtt/inflight.h"
#include "codec/mqtt/packet.h"
#include "codec/mqtt/subscription.h"
#include "codec/settle.h"

struct alias_in;
struct alias_out;
struct held;
struct will;

enum stage {
    STAGE_NEW,       /* CONNECT is awaited */
    STAGE_ATTACHING, /* the router has been asked for the session */
    STAGE_OPEN,
    STAGE_CLOSED, /* host_close was called */
};

/* A queue from which the connection gets messages: the session's, or that of a shared subscription. */
struct source {
    struct source *next;
    struct subscription *shared; /* NULL: it is the session's */
    uint64_t handle;             /* in mqtt.sources: the tag in DELIVER */
    uint64_t id;                 /* the router's name for the consumer; 0 until it has answered */
    uint32_t router;
    uint32_t window, debt; /* bytes it may be sent ahead; sent and not yet given back */
    struct span queue;     /* of a shared one: its name; owned */
};

/* A SUBSCRIBE or UNSUBSCRIBE that the routers are at. */
struct request {
    uint16_t id;
    bool unsubscribe;
    uint32_t count, pending; /* filters; ops under way */
    uint8_t codes[];         /* the answer for each */
};

/* The rest of a PUBLISH that is too large for one piece. */
struct rest {
    uint32_t left;    /* bytes of payload to come */
    uint64_t routers; /* that have the beginning */
};

struct mqtt {
    struct host *host;
    const struct host_options *options;
    enum stage stage;
    uint8_t version;        /* MQTT_* */
    bool clean, persistent; /* clean start; the session outlives the connection */
    bool queue_there;       /* the session's queue is declared */
    bool stamped;           /* a subscription wants none of the client's own messages */
    bool parked;            /* input has stopped at a publish that must wait */
    bool assigned;          /* the broker has named the client */
    bool logging_in;        /* CONNECT is still in the input, and comes again */
    uint8_t withdrawing;    /* a refused publish is, and this is why; 0: none. Answers to those behind wait */
    uint16_t keep_alive_s;  /* 0: none */
    uint16_t receive_max;   /* QoS 1 and 2 that the client takes at once */
    uint32_t packet_max;    /* bytes of a packet that it takes */
    uint32_t expiry_s;      /* of the session behind the connection */
    uint32_t vhost;
    uint32_t ops;                   /* handed to the routers and not back */
    uint64_t heard_ns;              /* when something last came */
    size_t backlog;                 /* as of the last tick */
    const struct exchange_row *row; /* of the exchange of topics, during one call of input(), */
    bool refused, topics;           /* and whether the user may not publish to it, or not with every topic */
    struct span client_id, queue;   /* owned; the session's queue's name */
    struct span sender;             /* owned; of a kept session, as in router/sender.h */
    struct will *will;              /* owned */
    struct request *request;        /* owned */
    struct rest rest;
    struct incoming incoming;
    struct inflight inflight;
    struct batches batches;
    struct subscriptions subs;
    struct slots sources;
    struct source *first_source; /* the session's is among them once there is one */
    struct source *own;
    struct held *first_held, *last_held; /* deliveries beyond what the client takes at once */
    uint16_t alias_in_max, alias_out_max, shared_id;
    struct alias_in *alias_in;   /* alias_in_max of them, made when one is first used */
    struct alias_out *alias_out; /* alias_out_max */
    struct settle_run settle;
};

/* ---- what the broker takes ------------------------------------------------------------------------ */

enum {
    OWN_IDS = 49151,     /* packet identifiers of the session's queue; the rest is for shared ones */
    RECEIVE_MAX = 16384, /* publishes with QoS 1 and 2 of a client that aren't done with, at once */
    ALIASES_MAX = 64,    /* topic aliases of a client */
    CLIENT_ID_MAX = 200, /* bytes: a queue is named after it */
};

#define SESSION_NEVER_EXPIRES UINT32_MAX

/* The exchange that topics are published to. */
static inline const char *mqtt_exchange(const struct mqtt *c)
{
    return c->options->mqtt_exchange;
}

/* ---- failure, output (connection.c) --------------------------------------------------------------- */

/* Says why (MQTT 5.0: a DISCONNECT, or a CONNACK before the session is open) and closes. */
void mqtt_fail(struct mqtt *c, enum reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A packet of two bytes and an identifier; the reason is said by MQTT 5.0 only, and if it isn't success. */
void send_answer(struct mqtt *c, enum packet packet, unsigned flags, uint16_t id, enum reason reason);

/* ---- ops ------------------------------------------------------------------------------------------ */

enum purpose {
    PURPOSE_ATTACH,
    PURPOSE_RELEASE, /* nothing waits for it */
    PURPOSE_QUEUE,   /* of the request: a queue is declared; the filter's place is op->priority */
    PURPOSE_BIND,
    PURPOSE_UNBIND,
    PURPOSE_CONSUME,
    PURPOSE_BATCH, /* batch.h */
};

/* A fresh op on that queue. */
struct op *mqtt_op(struct mqtt *c, enum op_kind kind, enum purpose purpose, struct span queue);
void mqtt_send(struct mqtt *c, struct op *op);
void mqtt_send_to(struct mqtt *c, unsigned router, struct op *op);

/* A copy that the caller frees by bytes_drop. */
struct span bytes_keep(struct span s);
void bytes_drop(struct span *s);

/* ---- packets, each without its fixed header -------------------------------------------------------- */

/* connect.c */
void on_connect(struct mqtt *c, struct span in);
void on_disconnect(struct mqtt *c, struct span in);
void connect_answer(struct mqtt *c, bool present);
void connect_refuse(struct mqtt *c, enum reason reason);
/* session.c */
void mqtt_attach(struct mqtt *c);
void mqtt_attached(struct mqtt *c, struct op *op);
void mqtt_cancelled(struct mqtt *c, const struct event_cancel *event);
/* Gives up all that the connection has; once. */
void mqtt_release(struct mqtt *c);
/* publish.c: what is used of a PUBLISH whose fixed header says so; 0: it must wait. */
size_t mqtt_publish(struct mqtt *c, struct span in, unsigned head, uint32_t remaining);
size_t mqtt_publish_rest(struct mqtt *c, struct span in);
void mqtt_confirmed(struct mqtt *c, const struct event_confirm *event);
/* A refused publish with QoS 2 is held by no router any more. */
void mqtt_withdrawn(struct mqtt *c, uint16_t id);
void on_pubrel(struct mqtt *c, struct span in);
/* answers.c */
void on_puback(struct mqtt *c, struct span in);
void on_pubrec(struct mqtt *c, struct span in);
void on_pubcomp(struct mqtt *c, struct span in);
/* subscribe.c */
void on_subscribe(struct mqtt *c, struct span in);
void on_unsubscribe(struct mqtt *c, struct span in);
void mqtt_request_back(struct mqtt *c, struct op *op);
struct source *source_new(struct mqtt *c, struct subscription *shared);
void source_free(struct mqtt *c, struct source *source);
/* Asks the queue's router for its messages. */
struct op *source_op(struct mqtt *c, struct source *source, struct span queue, enum purpose purpose);
/* Sends an op for filter i of the request, or NO_REQUEST. */
enum { NO_REQUEST = -1 };
void mqtt_request_send(struct mqtt *c, struct op *op, int32_t i);
void mqtt_declare(struct mqtt *c, struct span queue, bool shared, int32_t i);
struct op *mqtt_bind_op(struct mqtt *c, enum op_kind kind, struct span queue);
/* Fills it in and sends it. wish: kept with the binding, or NULL. */
void mqtt_bind(struct mqtt *c, struct op *op, const char *exchange, struct span key, const struct wish *wish,
               int32_t i);
/* shared.c: filters are keys */
enum reason shared_join(struct mqtt *c, struct span group, struct span filter, const struct wish *wish,
                        int32_t i);
void shared_leave(struct mqtt *c, struct subscription *subscription, int32_t i);
/* What the session remembers of one. */
void shared_restore(struct mqtt *c, struct span key, const struct wish *wish);
/* deliver.c */
void mqtt_deliver(struct mqtt *c, unsigned router, const struct event_deliver *event);
void sources_credit(struct mqtt *c);
/* Sends what was held back, as far as there is room again; or gives it all back. */
void held_send(struct mqtt *c);
void held_give_back(struct mqtt *c);
