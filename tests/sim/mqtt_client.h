/*
 * A simulated client of MQTT: a session, one connection at a time, a will of its own (mqtt_deeds.c). It keeps
 * what the standard asks clients to keep, and judges how the broker speaks to it; what is said, the model
 * judges. A connection that it leaves behind without a word must be ended by the broker when the next one
 * comes.
 */
#pragma once

#include "client.h"
#include "mqtt_model.h"
#include "mqtt_plan.h"
#include "mqtt_wire.h"

enum { MQ_CLIENTS = 4, MQ_GHOSTS = 4, MQ_ALIASES = 4, MQ_IDS = 12, MQ_LONG_S = 3600 };

enum mqtt_state {
    MQ_AWAY,
    MQ_CONNECTING, /* CONNACK is awaited */
    MQ_CONNECTED,
    MQ_LEAVING, /* DISCONNECT was sent: the broker is to end the connection */
};

/* A PUBLISH of QoS 1 or 2 that isn't done with. */
struct mqtt_out {
    uint16_t id;
    bool released; /* PUBREC has come, PUBREL is what is sent */
    struct mqtt_message *message;
};

/* A SUBSCRIBE or UNSUBSCRIBE that isn't answered. */
struct mqtt_asked {
    uint16_t id;
    bool quits;
    unsigned count;
    unsigned places[3];       /* of a SUBSCRIBE */
    char filters[3][MQ_TEXT]; /* as sent, */
    uint64_t sent;            /* and when: of an UNSUBSCRIBE */
};

/* A packet identifier that the broker has in use. */
struct mqtt_in {
    uint16_t id;
    uint8_t qos;
    bool sent;       /* PUBREC was, on this connection */
    uint64_t conn;   /* on which it came last */
    unsigned number; /* of the message */
};

/* What waits to be said to the broker. */
struct mqtt_reply {
    uint8_t type;
    bool counts; /* then one delivery less is unanswered */
    uint16_t id;
};

struct mqtt_party;

struct mqtt_client {
    struct mqtt_party *party;
    unsigned number, host;
    enum mqtt_state state;
    uint64_t stream, ghosts[MQ_GHOSTS];
    struct buffer in, out;
    bool deaf;
    bool lazy; /* answers when it likes */
    /* Of the connection. */
    uint8_t version;
    bool clean, told; /* told: the broker has said why it ends the connection */
    bool alias;       /* it takes topic aliases */
    uint16_t keep_alive_s, receive_max;
    uint32_t expiry_s, will_delay_s;
    uint64_t conn, conn_begin,
        conn_downs; /* its number, the clock at CONNACK, the model's downs at CONNECT */
    uint64_t said_ns;
    unsigned pings, pinged; /* PINGREQs not answered; the last message before the first of them */
    unsigned unanswered;    /* deliveries */
    char aliases[MQ_ALIASES + 1][MQ_TEXT];
    struct mqtt_message *will;
    /* Of the session. */
    struct mqtt_session *session;
    struct mqtt_out *outs;
    struct mqtt_in *ins;
    struct mqtt_reply *replies;
    struct mqtt_asked *asked;
    unsigned out_count, in_count, reply_count, asked_count;
    uint64_t line;
    uint16_t last_id;
    uint8_t freed[8192]; /* a bit for each identifier that the broker has released */
    /* What the broker may still know of it. */
    bool must_clean;    /* only a clean start is sure to mean something */
    bool known, unsure; /* there is a session; there may be one */
    uint32_t kept_s;    /* for so long after its connection, at least; 0: it ends with it */
    uint64_t left_ns;
    unsigned strays;  /* CONNECTs left behind that the broker may take later than this connection's */
    bool stray_wipes; /* one of them may end the session */
};

/* All of them. */
struct mqtt_party {
    struct network *network;
    struct taps *taps;
    struct prng prng;
    const struct mqtt_plan *plan;
    struct clients *all;
    struct mqtt_model *model;
    struct mqtt_client clients[MQ_CLIENTS + 1]; /* the last looks at what is retained, at the end */
    uint64_t now_ns, conns;
    bool stopping; /* the broker ends as it should */
    bool calm;     /* no faults any more */
    bool leaving;  /* they will not connect again */
};

/* ---- mqtt_client.c: the connection ------------------------------------------------------------------- */

void mqtt_connect(struct mqtt_client *c, bool clean, uint32_t expiry_s);
void mqtt_move(struct mqtt_client *c);
void mqtt_ping(struct mqtt_client *c);
void mqtt_disconnect(struct mqtt_client *c, bool with_will);
/* Breaks the connection; is gone, and the broker isn't told; leaves it behind as it is. */
void mqtt_reset(struct mqtt_client *c);
void mqtt_vanish(struct mqtt_client *c);
void mqtt_abandon(struct mqtt_client *c);
void mqtt_deafen(struct mqtt_client *c, bool deaf);
uint64_t mqtt_deadline(const struct mqtt_client *c);
/* A journal of the broker at the other end has failed, or may have: it isn't there any more. */
bool mqtt_failed(const struct mqtt_client *c);
/* No CONNECT that was left behind is under way any more. */
void mqtt_strays_end(struct mqtt_client *c);
/* Nothing is to be said, nothing is awaited. */
bool mqtt_done(const struct mqtt_client *c);
void mqtt_client_free(struct mqtt_client *c);

/* ---- mqtt_session.c: what outlives it --------------------------------------------------------------------
 */

/* CONNACK has come. */
void mqtt_session_resumed(struct mqtt_client *c, bool present);
uint16_t mqtt_new_id(struct mqtt_client *c); /* 0: all are in use */
void mqtt_say(struct mqtt_client *c, struct mqtt_message *m);
void mqtt_on_answer(struct mqtt_client *c, const struct mqtt_packet *p);
void mqtt_on_suback(struct mqtt_client *c, const struct mqtt_packet *p);

/* ---- mqtt_receive.c: what comes
 * ------------------------------------------------------------------------------
 */

void mqtt_on_publish(struct mqtt_client *c, const struct mqtt_packet *p);
void mqtt_on_pubrel(struct mqtt_client *c, const struct mqtt_packet *p);
void mqtt_reply_later(struct mqtt_client *c, unsigned type, uint16_t id, bool counts);
/* Says the first n of the answers that it owes. */
void mqtt_reply(struct mqtt_client *c, unsigned n);

/* ---- mqtt_deeds.c
 * ------------------------------------------------------------------------------------------- */

void mqtt_act(struct mqtt_client *c);
/* What the next connection is like, and its will. */
void mqtt_draw_connection(struct mqtt_client *c);
void mqtt_subscribe(struct mqtt_client *c, unsigned count, const char *const *filters,
                    const uint8_t *options);
