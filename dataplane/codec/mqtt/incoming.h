/*
 * A client's publishes with QoS 1 and 2 that wait for the broker's confirms, in order: answers go out in the
 * order in which the publishes came ([MQTT-4.6.0-2], [MQTT-4.6.0-3]). And the packet identifiers of QoS 2
 * that have been answered with PUBREC and not yet been released: what comes with one again is the same
 * message.
 *
 * Owned by a connection. Zeroed is empty, but for next: 1.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct publish_in {
    uint16_t id;
    uint8_t qos;
    uint8_t waiting;         /* confirms to come */
    bool refused, forbidden; /* the client may not publish it: it went nowhere */
};

struct incoming {
    struct publish_in *ring;
    uint32_t room, head;  /* room: a power of two, or 0 */
    uint64_t first, next; /* numbers of the oldest that waits, and of the next publish */
    uint64_t *received;   /* a bit for each identifier that isn't released; NULL: none ever was */
    uint32_t open;        /* publishes that wait, and identifiers that aren't released */
};

void incoming_init(struct incoming *in);
void incoming_free(struct incoming *in);
/* The publish numbered in->next has been sent to n routers. */
void incoming_add(struct incoming *in, uint16_t id, unsigned qos, unsigned routers);
/* The publish numbered in->next may not be sent. */
void incoming_forbid(struct incoming *in, uint16_t id, unsigned qos);
/* count confirms from seq on. */
void incoming_confirm(struct incoming *in, uint64_t seq, uint32_t count, bool refused);
/* Takes off the oldest, if it has been confirmed in full. One of QoS 2 is then received, unless it was
 * refused. */
bool incoming_take(struct incoming *in, struct publish_in *publish);
/* Whether the identifier, of QoS 2, is in use: waiting or received. */
bool incoming_has(const struct incoming *in, uint16_t id);
bool incoming_received(const struct incoming *in, uint16_t id);
/* PUBREL. False: it wasn't received. */
bool incoming_release(struct incoming *in, uint16_t id);
