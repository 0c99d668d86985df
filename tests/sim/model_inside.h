/*
 * What the model knows, for the files of the model. Everything is kept to the end of the run but what a
 * channel holds; stamps are the model's own count of events.
 */
#pragma once

#include "history.h"
#include "model.h"
#include "model_cursor.h"
#include "model_policy.h"

enum sure { NO, MAYBE, YES };

/* Something that is declared, deleted, bound, unbound. */
struct thing {
    enum sure there;
    enum sure before;  /* the first of the requests under way */
    unsigned changing; /* requests under way */
    enum sure wants;   /* what they want */
    bool clash;        /* and they want different things */
    bool doubtful;     /* MAYBE, and not only because it is suspected to have ended by itself */
    bool unsafe;       /* has changed since a journal failed */
    uint64_t changed;  /* stamp: of the last request to change it */
    uint64_t
        left; /* stamp: a request under way lost its channel; until the next idle moment it may still come */
};

struct known_exchange {
    struct thing thing;
    struct text name, type, alternate;
    bool durable, auto_delete, internal;
    bool delays;              /* x-delayed-message; the type is then the one it delays for */
    bool perhaps_durable;     /* declared so, and it isn't known what came of it */
    bool was_bound;           /* surely */
    bool suspect;             /* may have lost its last binding */
    int64_t remembers;        /* of an x-recent-history: so many */
    uint64_t remembers_since; /* stamp: what came before may be forgotten */
};

/* What a consumer of a last-value queue got. */
struct known_got {
    struct known_entry *entry;
    bool behind;      /* surely not of the consumer's image */
    uint64_t sent_ns; /* at the earliest, as its queue has an interval */
    uint64_t number;  /* 0: it isn't known */
};

struct known_consumer {
    struct known_queue *queue;
    struct known_channel *channel;
    uint64_t stream;
    struct text tag;
    bool no_ack, exclusive;
    struct known_cursor cursor; /* in a stream */
    struct known_got *got;      /* of a last-value queue */
    unsigned got_count;
    uint32_t prefetch, out; /* out: delivered, not yet settled */
    enum { CONSUMER_STARTING, CONSUMER_ACTIVE, CONSUMER_CANCELLING, CONSUMER_GONE } state;
    int64_t priority;
    uint64_t begun, begun_ns; /* of its consume */
    int64_t timeout_ms;       /* its own time to answer; -1: its queue's */
    uint64_t last_ns;         /* when it was last seen to get something */
    bool lapsed;              /* it has kept something for too long; it is not told yet */
    uint64_t answered_ns; /* what it has answered since the last idle moment was sent then at the earliest */
    bool watched;         /* at the last idle moment it was free to get: */
    uint32_t room, turns, turn_bytes; /* so much; and it has got, since then */
    uint64_t shortfalls;
    bool lost;            /* it ended with its channel, and nobody sees what it was still sent */
    bool unsure;          /* it may be that the broker has it no more, or never had it */
    uint64_t since, gone; /* stamps: of its consume-ok, of its end */
};

/* What a queue was told. Numbers: -1 if nothing was said; ms. Compared as bytes. */
struct known_settings {
    int64_t ttl, expires, length, bytes, highest, deliveries, timeout, reservation;
    bool single;
    enum { MODEL_DROPS_HEAD, MODEL_REFUSES, MODEL_REFUSES_TO_TARGET } overflow;
    bool stream, sequence;
    enum { MODEL_UNSAID, MODEL_RAM, MODEL_DISK } level; /* of confirms */
    struct text last_value;                             /* the key's header, "routing-key", or "" */
    int64_t conflation;                                 /* ms */
    int64_t stream_bytes, segment, age_ms;              /* of a stream: x-max-length-bytes, ..., x-max-age */
    bool said_overflow, quorum, at_least_once, has_target, has_key, wrong;
    struct text target, key; /* of dead letters: exchange, routing key */
};

/* One life of a queue: a queue of the same name that is declared later is another. */
struct known_queue {
    struct thing thing;
    struct text name;
    bool durable, exclusive, auto_delete;
    bool perhaps_durable;           /* as of exchanges */
    struct known_settings settings; /* arguments and policies together */
    struct known_settings declared; /* the arguments alone */
    struct known_settings other;    /* flux: a policy changes, and this may hold instead */
    struct known_settings least;    /* of those that ever held: ttl, deliveries, those of streams */
    struct known_settings *told;    /* each target of dead letters, key and strategy that ever held, */
    unsigned told_count;            /* first that of its declaration */
    int64_t pace_least, pace_most;  /* of the intervals that ever held; 0: there was none */
    int64_t pace_since;             /* the least since the last change's end */
    bool flux, varied;              /* varied: they have changed since it was made */
    uint64_t reshaped, reshaped_ns; /* of the last change's end: stamp, time */
    bool perhaps_other;             /* declared with other settings, and it isn't known what came of it */
    bool remembered;                /* what an exchange remembered may have come to it, once more */
    bool receives;                  /* dead letters, perhaps: model_receives */
    uint64_t used_ns;               /* it was surely used then, */
    uint64_t unused_ns;             /* and surely not after this, but for `touched`: */
    bool touched;                   /* since the last idle moment it may have been used */
    uint64_t owner;                 /* stream, of an exclusive one */
    bool had_consumer;              /* surely */
    bool suspect;                   /* may have lost its last consumer, or its owner */
    uint64_t gone;                  /* stamp of its end, 0: not yet */
    uint64_t asked; /* stamp of the last sign that a getter other than `asker` is interested */
    const struct known_consumer *active; /* the last that got something */
    uint64_t asker;                      /* stream of the last getter */
    uint64_t asked_by_asker;
    struct known_entry **entries;
    unsigned entry_count;
    struct known_entry **shown; /* of a stream: by offset; else by number; NULL: nobody has seen it */
    unsigned shown_count;
    struct known_shed *shed;
    unsigned shed_count;
    bool holes; /* some numbers may have been given to somebody unseen, or purged */
};

struct known_binding {
    struct thing thing;
    struct known_exchange *source;
    struct known_queue *queue;       /* the destination, or */
    struct known_exchange *exchange; /* this one */
    struct text key;
    struct buffer arguments;
};

enum where {
    WHERE_READY,
    WHERE_OUT,   /* with a client */
    WHERE_BACK,  /* on its way back into the queue */
    WHERE_ACKED, /* settled, if the broker has heard it */
    WHERE_DONE,  /* surely */
};

/* Why a message leaves a queue for the dead letters. */
enum reason { REASON_EXPIRED, REASON_MAXLEN, REASON_REJECTED, REASON_LIMIT, MODEL_REASONS };
enum { MODEL_DEATHS = 32 };

/* What x-death says of one queue. */
struct known_death {
    struct text queue;
    enum reason reason;
    uint64_t count;
};

/* Numbers of a queue that were said to be shed. */
struct known_shed {
    uint64_t from, to;
    enum reason reason;
};

/* A message in a queue, or one that may have got there. */
struct known_entry {
    struct known_message *message;
    struct known_queue *queue;
    struct known_channel *holder; /* OUT */
    bool must;                    /* at every moment so far it was routed there for sure */
    bool may_redeliver, must_redeliver;
    bool safe;      /* DONE, and so on the disk */
    bool full;      /* the queue may have had no room for it */
    bool crowded;   /* the queue may have dropped it from its head */
    bool rejected;  /* a client may have */
    bool mortal;    /* its time may be over */
    bool drops;     /* the last settlement was a rejection */
    bool relapsed;  /* it may have left before a crash that brought it back */
    bool recovered; /* and hasn't been given back since */
    bool leaving; /* it has surely left, for `reason`; its dead letter may still wait for room on the disk */
    enum reason reason;
    bool copied;                 /* an exchange remembered it, and the copy may not be on the disk */
    int64_t ttl_least, ttl_most; /* what its queue may have said when it came, or said again at a start */
    bool manifold;               /* there may be more than one: a dead letter that was sent twice */
    uint64_t mortal_ms, dead_ms; /* when its time may be over, and when it is; UINT64_MAX: never */
    uint64_t dead;               /* stamp of the idle moment at which it had surely left; 0: not yet */
    uint64_t returns_least, returns_most,
        returns_safe;                          /* deliveries that came to nothing; safe: on the disk */
    struct known_message *heir[MODEL_REASONS]; /* its dead letters */
    struct known_entry
        *twin;        /* one of the two must be there after a crash: the dead letter, or what it is of */
    uint64_t offset;  /* in a stream, and one more, or its number; 0: nobody has seen it */
    bool kept;        /* it was shown, and so on disk */
    uint64_t rest_ns; /* of a last-value queue: an idle moment at which it was surely there; 0: none */
    enum sure present;
    enum where where;
    uint64_t since;  /* stamp: READY for sure; settled; delivered */
    uint64_t stream; /* that it was first delivered to, unmarked; 0: none */
    /* Of a message with a number (model_producer.c): */
    bool owed;       /* this one or another with the number is there */
    bool vouched;    /* another was said to be safe: then this one is */
    bool remembered; /* its number was on the disk when the broker was gone */
    bool seen;       /* last in: */
    uint64_t seen_run;
};

/* What a producer has given the same number. */
struct known_number {
    struct text producer;
    int64_t seq;
    struct known_message **messages;
    unsigned count;
};

struct known_message {
    uint64_t number;
    struct known_number *own; /* that its producer gave it; NULL: none */
    uint64_t run;             /* of the broker, that it came in */
    bool again;               /* when it was accepted another with its number may have been taken */
    struct known_channel *channel;
    uint64_t stream, order; /* within the channel */
    struct text exchange, key;
    struct buffer properties, body;
    struct table_field headers[8];
    unsigned header_count;
    unsigned priority;
    int64_t expiration;                      /* ms; -1: none */
    struct known_message *original;          /* this is a dead letter of that; NULL: it was published */
    struct known_entry *parent;              /* of which it is a dead letter */
    struct known_death deaths[MODEL_DEATHS]; /* youngest first */
    unsigned death_count;
    bool due;    /* what it is of was surely there when it began to leave */
    bool recent; /* late is because an exchange remembers it */
    bool late; /* it may come, or come once more, at any time: what it is of may have come back by a crash */
    struct known_message **letters; /* of a published one: all its dead letters */
    unsigned letter_count;
    uint64_t begun_ms, closed_ms; /* as begun and closed; closed_ms: UINT64_MAX until then */
    uint64_t delay_ms, left_ms;   /* 0: it doesn't wait; when it had surely left, or UINT64_MAX */
    enum { DELAY_NONE, DELAY_WAITS, DELAY_LEAVES, DELAY_OVER } delay;
    bool delay_sure;  /* it will leave */
    bool left_unsafe; /* it has left, and the disk doesn't know */
    bool persistent, mandatory;
    bool in_tx;    /* not yet committed */
    bool nowhere;  /* refused, rolled back: it must not be seen */
    bool routed;   /* no longer being routed */
    bool loose;    /* while its content came, something changed that it may have been routed by */
    bool taken;    /* the broker has taken it, if it hasn't yet routed it */
    bool accepted; /* taken, and the routing is over */
    bool confirmed, refused, returned, safe;
    bool safe_but_ram;      /* safe in all queues that don't say of confirms that memory is enough */
    bool unroutable;        /* at every moment so far it surely had no queue to go to */
    bool one;               /* at every moment so far it surely had exactly one, of several */
    bool races;             /* it may have come between the routers, while bindings changed: may be refused */
    uint64_t begun, closed; /* stamps: of its first frame, of the end of its routing */
    struct known_entry **entries;
    unsigned entry_count;
};

/* What a queue gets from an exchange that remembers, if the binding is made. */
struct known_promise {
    struct known_entry *entry; /* NULL: of what is published meanwhile, which may come twice, */
    struct known_exchange *exchange;
    struct known_queue *queue;
    uint64_t begun; /* stamp of the request */
    bool answered;
};

/* Outcomes of a request, as bits. */
enum {
    MAY_OK = 1,
    MAY_403 = 2,
    MAY_404 = 4,
    MAY_405 = 8,
    MAY_406 = 16,
    MAY_530 = 32,
    MAY_541 = 64,
    MAY_540 = 128,
};

struct known_request {
    uint32_t method;
    uint64_t begun; /* stamp */
    unsigned may;   /* MAY_*: what it may come to */
    struct text name, other, key, type, alternate;
    struct buffer arguments;
    struct known_settings settings;
    uint64_t begun_ns;
    int64_t remembers; /* an exchange: x-recent-history-length */
    bool delays;       /* an exchange */
    bool passive, durable, exclusive, auto_delete, internal, if_unused, if_empty, no_ack, active, global;
    uint32_t count;               /* qos */
    int64_t priority, timeout_ms; /* consume; -1: unsaid */
    struct known_cursor cursor;   /* consume */
    unsigned wrong;               /* MAY_*: what it comes to if it is a stream's; 0: it may be */
    bool entered;                 /* model_request_begin was called */
    bool disturbed;               /* something has changed while it was under way */
    bool adrift;                  /* it may have been about another life of the queue */
    bool changes;                 /* thing_begin was called: */
    struct thing *thing;
    enum sure wants;
    struct known_exchange *exchange; /* that is declared or deleted, or the source of a binding */
    struct known_queue *queue;       /* that is declared ..., when the request came */
    struct known_binding *binding;
    struct known_consumer *consumer;
    struct known_message **messages; /* of a commit */
    unsigned message_count;
};

struct known_unacked {
    uint64_t tag;
    uint64_t sent_ns, seen_ns; /* at the earliest, at the latest */
    bool lapsed;               /* held, and its consumer took too long */
    struct known_entry *entry;
    struct known_consumer *consumer;                           /* NULL: basic.get */
    enum { HELD_NOT, HELD_ACK, HELD_DROP, HELD_REQUEUE } held; /* by a transaction */
};

enum channel_life {
    LIFE_SHUT,
    LIFE_OPEN,
    LIFE_ENDING,  /* the client has sent channel.close */
    LIFE_FAILING, /* the broker has closed it, and not yet said so */
    LIFE_FAILED,  /* the broker has said so */
    LIFE_GONE,    /* it is history */
};

/* One life of a channel. */
struct known_channel {
    struct known_conn *conn;
    uint16_t number;
    bool flowed; /* channel.flow has been used */
    enum channel_life life;
    bool crossed; /* both have sent channel.close: the broker's close-ok is still to come */
    bool heard;   /* the client has answered the broker's */
    bool well;    /* it ended as the client wanted: all that came before was taken */
    enum { MODEL_PLAIN, MODEL_CONFIRM, MODEL_TX } mode;
    unsigned doomed;                 /* MAY_*: a frame has come that must close it so */
    unsigned may_end;                /* MAY_*: frames have come that may */
    struct known_request **requests; /* oldest first */
    unsigned request_count;
    struct known_unacked *unacked;
    unsigned unacked_count;
    uint64_t last_tag, orders;
    uint64_t lapsed_tag;             /* the last that went back since its consumer took too long */
    struct known_message **confirms; /* [tag - 1]; NULL: told */
    unsigned confirm_count;
    struct known_message **open; /* published, not yet accepted */
    unsigned open_count;
    struct known_message **tx;
    unsigned tx_count;
    uint32_t prefetch, limit, limit_before; /* limit_before: may still hold */
    bool flow_off;                          /* for sure */
    unsigned recovering;                    /* recover-oks to come: what is delivered before them is void */
    struct known_message *halfway;          /* whose method has come, and whose content hasn't */
};

struct known_conn {
    uint64_t stream;
    bool there;          /* the front knows it */
    bool ending;         /* either side has sent connection.close */
    bool bye;            /* the client has */
    bool may_540;        /* it has asked for what isn't there to be had */
    uint64_t flushed_ns; /* as flushed */
    uint64_t flushed;    /* stamp of the last idle moment at which all that the front had for it was given */
    struct known_channel *channels[TALK_CHANNELS];
};

struct model {
    uint64_t clock, idle; /* stamps: now, the last idle moment */
    uint64_t *idles;      /* all of them */
    unsigned idle_count;
    bool failed; /* a journal */
    uint64_t now_ns, now_ms;
    bool ending;      /* cleanly: what its time makes of things is made after the next start */
    uint64_t room_ns; /* until then what needs room on a disk may wait */
    uint64_t next_ms; /* the first moment at which a message's time may be over */
    struct said_policy policies[2 * MODEL_POLICIES], policies_then[2 * MODEL_POLICIES]; /* then: once it is
                                                                                           answered */
    bool policy_changes, policy_answered;
    unsigned things_marked; /* as many things were known when receivers of dead letters were marked */
    const struct taps *taps;
    struct known_exchange **exchanges;
    unsigned exchange_count;
    struct known_queue **queues;
    unsigned queue_count;
    struct known_binding **bindings;
    unsigned binding_count;
    struct known_consumer **consumers;
    unsigned consumer_count;
    struct known_message **messages; /* by number - 1; NULL: not seen yet */
    unsigned message_count;
    struct known_message **delayed; /* all that ever waited */
    unsigned delayed_count;
    bool delays_again; /* one of them may have come, and come again after a crash */
    struct known_promise *promises;
    unsigned promise_count;
    uint64_t history_down;          /* stamp: of the last end of the broker */
    struct known_message **routing; /* whose routing isn't over */
    unsigned routing_count;
    struct known_message **in_ram; /* confirmed, and perhaps not on the disk before the next idle moment */
    unsigned in_ram_count;
    struct known_number **numbers;
    unsigned number_count;
    uint64_t runs; /* of the broker, before this one */
    struct known_conn **conns;
    unsigned conn_count;
    struct known_channel **channels; /* all that ever were */
    unsigned channel_count;
    struct model_counts counts;
};

/* ---- lists -------------------------------------------------------------------------------------------- */

/* Adds an item to a list of pointers. */
#define ADD(list, count, item)                                                                               \
    do {                                                                                                     \
        (list) = model_room((list), (count), sizeof *(list));                                                \
        (list)[(count)++] = (item);                                                                          \
    } while (0)
void *model_room(void *list, unsigned count, size_t size);
/* Zeroed memory. */
void *model_make(size_t size);
bool same(const struct text *a, const struct text *b);
bool is(const struct text *a, const char *b);

/* ---- model_thing.c: what is declared ------------------------------------------------------------------- */

struct known_exchange *model_exchange(struct model *model, const struct text *name, bool make);
/* The life of the queue that is, or was last; NULL: there never was one. */
struct known_queue *model_queue(const struct model *model, const struct text *name);
struct known_queue *model_new_queue(struct model *model, const struct text *name);
struct known_binding *model_binding(struct model *model, struct known_exchange *source,
                                    struct known_queue *queue, struct known_exchange *exchange,
                                    const struct text *key, const struct buffer *arguments, bool make);
/* Whether the binding and both its ends are there. */
enum sure model_bound(const struct known_binding *binding);
void model_thing_begin(struct model *model, struct thing *thing, enum sure wants);
void model_thing_end(struct model *model, struct thing *thing, enum sure wants, bool done);
/* Whether what it is has only to be seen: nothing that would change it is under way. */
bool model_thing_rests(const struct model *model, const struct thing *thing);
/* The thing's state is what it is, whatever was known of it. */
void model_thing_set(struct model *model, struct thing *thing, enum sure there);
void model_queue_ends(struct model *model, struct known_queue *queue);
void model_exchange_ends(struct model *model, struct known_exchange *exchange);
/* It may have lost its last binding, consumer, owner. */
void model_suspect_exchange(struct model *model, struct known_exchange *exchange);
void model_suspect_sources(struct model *model, const struct known_queue *queue,
                           const struct known_exchange *exchange);
void model_suspect_queue(struct model *model, struct known_queue *queue);
/* At an idle moment: those suspected are there or not. */
void model_settle_suspects(struct model *model);

/* ---- model_route.c ------------------------------------------------------------------------------------- */

struct route_facts {
    bool one;   /* it surely goes to exactly one queue, of several: which is the broker's own affair */
    bool races; /* an exchange that picks one of its bindings is on its way, and they are just changing */
};

/* How sure it is that the message goes to the queue, by the queue's number in model->queues. */
struct route_facts model_route(const struct model *model, const struct known_message *message, enum sure *to);
/* Whether the exchange takes a binding with the key. */
bool model_takes_key(const struct known_exchange *exchange, const struct text *key);

/* Whether the message may ever have come to the exchange. */
bool model_reaches_ever(const struct model *model, const struct known_message *message,
                        const struct known_exchange *exchange);
/* The same as if all that ever was were there. */
void model_route_ever(const struct model *model, const struct known_message *message, enum sure *to);

/* ---- model_publish.c ------------------------------------------------------------------------------------
 */

struct known_entry *model_entry(const struct known_message *message, const struct known_queue *queue);
struct known_entry *model_add_entry(struct model *model, struct known_message *message,
                                    struct known_queue *queue);
void model_publish_begun(struct model *model, struct known_channel *channel, const struct said *said);
/* MAY_* of what its exchange may have come to since its method. */
unsigned model_publish_may_come_to(struct model *model, const struct known_message *m);
void model_publish(struct model *model, struct known_channel *channel, const struct said *said);
/* What is declared has changed: so may have the way of what is being routed. */
void model_reroute(struct model *model);
/* The message's routing is over; accepted: and it was surely taken. */
void model_message_closed(struct model *model, struct known_message *message);
void model_message_accepted(struct model *model, struct known_message *message);
/* It was confirmed: so it is safe, unless its level may be ram. */
void model_confirmed(struct model *model, struct known_message *message);
void model_message_nowhere(struct model *model, struct known_message *message);
/* Whether a queue may have had no room for it. */
bool model_may_be_full(const struct known_message *message);
/* Where the message goes as things are; first: that is when it came. */
void model_look(struct model *model, struct known_message *message, bool first);
/* Its routing begins. */
void model_begin_routing(struct model *model, struct known_message *message);
void model_on_confirm(struct model *model, struct known_channel *channel, const struct said *said);
void model_on_return(struct model *model, struct known_channel *channel, const struct said *said);
/* If it is sure that it must have been returned, it has been. */
void model_check_return(const struct model *model, const struct known_message *message);
/* A confirm or return is owed at an idle moment. */
void model_publishes_settled(struct model *model, struct known_channel *channel);

#include "model_request.h"
#include "model_settle.h"
