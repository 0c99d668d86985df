/*
 * The judge of MQTT: arrays and strcmp. It hears what clients have sent and what they have read, so a thing
 * happens at the broker somewhere between two ticks of a clock: `begin`, when a client first wanted it, and
 * `end`, when it is known to be over. What is demanded follows from what is surely over, what is allowed from
 * all that may have been.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MQ_OPEN UINT64_MAX /* an end that isn't known yet */

enum { MQ_TEXT = 32 };

enum mqtt_fate { MQ_MAYBE, MQ_YES, MQ_NO };

/* What a client has published, or a will. */
struct mqtt_message {
    unsigned number, client;
    uint64_t line; /* the publisher's session (QoS 0: its connection): order holds within it */
    char topic[MQ_TEXT];
    uint8_t qos;
    bool retain, will;
    bool loose; /* nobody will send it again, but it may be under way */
    uint32_t len;
    unsigned sends, fresh; /* times sent; of a shared subscription: times delivered without DUP */
    bool came, taken;      /* to anybody; somebody has answered for it, or had it with QoS 0 */
    bool failed;           /* a journal has, since it was sent last */
    unsigned doubled;      /* times sent again since: it may have been withdrawn, and not told so */
    uint64_t begin, end;
    uint64_t downs; /* of the model, when it began */
    enum mqtt_fate fate;
};

/* One SUBSCRIBE's wish for one filter. */
struct mqtt_sub {
    char filter[MQ_TEXT]; /* without $share/group/ */
    int group;            /* -1: not shared */
    uint8_t qos, handling;
    bool no_local, as_published;
    bool anew; /* the filter was surely not subscribed to before */
    bool old;  /* it surely was */
    uint64_t begin, sure, gone;
    uint64_t quit;  /* when something began that may end the filter's subscription, but for another wish */
    uint64_t downs; /* when it was sure */
    bool replaced;  /* perhaps: a younger one for the same filter is sent */
    bool judged;    /* its retained messages have been asked for */
};

/* What a session has got of a message. */
struct mqtt_got {
    uint16_t plain, flagged;     /* times, but for QoS 1 with DUP; flagged: with RETAIN */
    uint16_t twos, flagged_twos; /* of them with QoS 2 */
    bool had, had_flagged;
    uint16_t id;
    uint64_t conn, downs; /* of the last, of the first */
};

struct mqtt_session {
    unsigned client;
    struct mqtt_sub *subs;
    unsigned sub_count;
    struct mqtt_got *got; /* by number */
    unsigned got_room;
};

struct mqtt_model {
    uint64_t clock, downs;
    bool failed;      /* a journal, of the broker that runs */
    bool ever_failed; /* one of an earlier one, too */
    struct mqtt_message **messages;
    unsigned message_count, message_room;
    struct mqtt_session **sessions;
    unsigned session_count;
    struct mqtt_sub shares[4]; /* the first wish for each shared subscription, by anybody; the least QoS */
    unsigned share_count;
    unsigned judged, owed; /* deliveries judged, demanded: for the log */
};

/* A PUBLISH as it was read. */
struct mqtt_delivery {
    bool dup, retain;
    bool again; /* QoS 2: the client has it already */
    uint8_t qos;
    uint16_t id;
    const char *topic;
    const uint8_t *body;
    uint32_t len;
    uint64_t conn, conn_begin; /* the connection's number, and the clock at its CONNACK */
};

struct mqtt_model *mqtt_model_new(unsigned sessions);
void mqtt_model_free(struct mqtt_model *model);
/* A session, or another one, of which nothing is known. */
void mqtt_session_anew(struct mqtt_session *session);

struct mqtt_message *mqtt_model_message(struct mqtt_model *model);
/* The bytes of its payload: a number and a pattern. */
void mqtt_body(const struct mqtt_message *m, uint8_t *to);
/* It is sent again; withdraws: the broker says to this client when it has refused a message. */
void mqtt_message_again(struct mqtt_model *model, struct mqtt_message *m, bool withdraws);
/* It is over: YES or MAYBE; or, of a will, NO. */
void mqtt_message_over(struct mqtt_model *model, struct mqtt_message *m, enum mqtt_fate fate);

/* SUBSCRIBE is sent; filter: may be a shared one. Returns its place in session->subs. */
unsigned mqtt_model_wish(struct mqtt_model *model, struct mqtt_session *session, const char *filter,
                         uint8_t options);
/* failed: the journal of the broker that answers has, or may have. */
void mqtt_model_wished(struct mqtt_model *model, struct mqtt_session *session, unsigned place, uint8_t code,
                       bool failed);
/* UNSUBSCRIBE is sent: returns when; is answered. */
uint64_t mqtt_model_quit(struct mqtt_model *model, struct mqtt_session *session, const char *filter);
void mqtt_model_quitted(struct mqtt_model *model, struct mqtt_session *session, const char *filter,
                        uint64_t sent, bool well, bool failed);

/* Returns the message's number; 0 for an empty one. */
unsigned mqtt_model_delivered(struct mqtt_model *model, struct mqtt_session *session,
                              const struct mqtt_delivery *d);

void mqtt_model_down(struct mqtt_model *model);
void mqtt_model_failed(struct mqtt_model *model);
/* Nothing is under way anywhere. */
void mqtt_model_quiet(struct mqtt_model *model);
/* The session's client is connected, has read all and answered all, and nothing is under way. conn_begin: as
 * in mqtt_delivery. last: it is the end. */
void mqtt_model_owed(struct mqtt_model *model, struct mqtt_session *session, uint64_t conn_begin, bool last);
/* The same of what shared subscriptions owe. */
void mqtt_model_shared_owed(struct mqtt_model *model, const uint64_t *conn_begin);

/* ---- mqtt_match.c ------------------------------------------------------------------------------------- */

bool mqtt_matches(const char *filter, const char *topic);
/* "$share/gN/filter": N and the filter; else -1 and all of it. */
int mqtt_group(const char *text, const char **filter);
