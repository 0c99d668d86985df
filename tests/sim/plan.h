/* What a seed is about: its names, how often each deed and each kind of trouble comes. Drawn once, then
 * read-only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/prng.h"
#include "guard_party.h"
#include "mqtt_plan.h"
#include "shapes.h"
#include "stomp_plan.h"

#define DEEDS(X)                                                                                             \
    X(REST)                                                                                                  \
    X(CHANNEL_OPEN)                                                                                          \
    X(CHANNEL_CLOSE)                                                                                         \
    X(CLOSE)                                                                                                 \
    X(EXCHANGE_DECLARE)                                                                                      \
    X(EXCHANGE_DELETE)                                                                                       \
    X(EXCHANGE_BIND)                                                                                         \
    X(EXCHANGE_UNBIND)                                                                                       \
    X(QUEUE_DECLARE)                                                                                         \
    X(QUEUE_CHECK)                                                                                           \
    X(QUEUE_DELETE)                                                                                          \
    X(QUEUE_BIND)                                                                                            \
    X(QUEUE_UNBIND)                                                                                          \
    X(QUEUE_PURGE)                                                                                           \
    X(PUBLISH)                                                                                               \
    X(PUBLISH_BURST)                                                                                         \
    X(CONSUME)                                                                                               \
    X(CANCEL)                                                                                                \
    X(GET)                                                                                                   \
    X(ACK)                                                                                                   \
    X(ACK_MULTIPLE)                                                                                          \
    X(REQUEUE)                                                                                               \
    X(REJECT)                                                                                                \
    X(RECOVER)                                                                                               \
    X(QOS)                                                                                                   \
    X(FLOW)                                                                                                  \
    X(SELECT)                                                                                                \
    X(COMMIT)                                                                                                \
    X(ROLLBACK)                                                                                              \
    X(WRONG)                                                                                                 \
    X(DEAF)                                                                                                  \
    X(HEAR)                                                                                                  \
    X(RESET)                                                                                                 \
    X(VANISH)

enum deed {
#define X(name) DEED_##name,
    DEEDS(X)
#undef X
        DEED_KINDS
};

/* What befalls the broker, each in so many of a million steps. */
#define TROUBLES(X)                                                                                          \
    X(KILL)                                                                                                  \
    X(POWER_CUT)                                                                                             \
    X(STOP)                                                                                                  \
    X(STALL)                                                                                                 \
    X(SLOW_DISK)                                                                                             \
    X(FULL_DISK)                                                                                             \
    X(WRITE_FAILS)                                                                                           \
    X(HUSH) /* the clients wait until the broker has nothing to do */

enum trouble {
#define X(name) TROUBLE_##name,
    TROUBLES(X)
#undef X
        TROUBLE_KINDS
};

enum { PLAN_NAME_BYTES = 32, PLAN_EXCHANGES = 7, PLAN_QUEUES = 8, PLAN_CLIENTS = 6 };

struct exchange_plan {
    char name[PLAN_NAME_BYTES], type[PLAN_NAME_BYTES], alternate[PLAN_NAME_BYTES];
    bool durable, auto_delete, internal;
    bool delays;       /* x-delayed-message, of that type */
    int32_t remembers; /* of an x-recent-history: so many; 0: it is another */
};

struct queue_plan {
    char name[PLAN_NAME_BYTES];
    bool durable, exclusive, auto_delete;
    struct shape_plan shape;
};

struct plan {
    struct exchange_plan exchanges[PLAN_EXCHANGES];
    struct queue_plan queues[PLAN_QUEUES];
    unsigned exchange_count, queue_count, clients;
    uint32_t deeds[DEED_KINDS];       /* weights */
    uint32_t troubles[TROUBLE_KINDS]; /* ppm */
    uint32_t leap_ppm; /* of the idle moments: so many are followed by a second or so of nothing */
    uint32_t deed_ppm; /* how often a client does something in a step */
    uint32_t persistent_ppm, mandatory_ppm, large_ppm, heavy_ppm, empty_ppm, no_ack_ppm, wrong_ppm;
    uint32_t step_ns_max;
    uint32_t disk_steps; /* that a request takes, at most, when the disks aren't slow */
    struct {
        uint32_t delay_max_ns, window_max, piece_max, idle_ppm; /* as in sim_network_options */
    } network;
    struct mqtt_plan mqtt;
    struct stomp_plan stomp;
    struct guard_plan guard;
    bool deadly;           /* the broker is killed when messages have just been rejected */
    bool shaped;           /* some queues aren't plain ones */
    uint32_t no_store_ppm; /* publishes that are not to be remembered */
    uint32_t delay_ppm;    /* publishes that are to wait */
    uint32_t mortal_ppm;   /* publishes that expire soon, of those with an expiration */
    uint32_t policy_ppm;   /* steps in which the policies are changed */
    bool paced, targets;   /* they say intervals of last-value queues, where dead letters go */
    uint32_t filtered_ppm; /* publishes with a value that streams can be filtered by */
    bool dated;            /* consumers of streams begin at times */
    uint32_t level_ppm;    /* publishes that say what their confirm is to mean */
    bool levels;           /* policies do */
    bool ranked, timed;    /* consumers have priorities, a time to answer */
    unsigned producers;    /* that number messages, */
    uint32_t numbered_ppm; /* so many of all */
    uint32_t wide_ppm;     /* publishes to a queue through the default exchange, of all */
};

void plan_draw(struct plan *plan, struct prng *prng);
/* One of the deeds, by weight. */
enum deed plan_deed(const struct plan *plan, struct prng *prng);
/* One of so many, each as often as its weight says; one of them isn't 0. */
unsigned plan_pick(const uint32_t *weights, unsigned count, struct prng *prng);
/* For parties that speak other protocols: how often compared with usually, and how much of a million. */
uint32_t plan_party_scale(struct prng *prng, uint32_t usually);
uint32_t plan_party_ppm(struct prng *prng);
/* A routing key, or a pattern for a topic binding. */
void plan_key(struct prng *prng, bool pattern, char key[PLAN_NAME_BYTES]);
/* Whether the queue, if it is there, keeps what is consumed; is a stream. */
bool plan_keeps(const struct plan *plan, const char *queue);
bool plan_is_stream(const struct plan *plan, const char *queue);
/* Whether bindings on the exchange have weights for keys. */
bool plan_is_weighted(const struct plan *plan, const char *exchange);
