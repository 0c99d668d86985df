/*
 * What the client's user may do. A session's queue and a shared subscription's are like any other: to
 * subscribe takes configure, write and read on it, as with RabbitMQ, and read on the exchange of topics.
 */
#pragma once

#include "codec/mqtt/connection.h"

/* Whether he may publish; if not, refusal says why. */
bool publish_permitted(struct mqtt *c, char refusal[HOST_REFUSAL_BYTES]);
/* And with that topic, as a routing key. */
bool publish_topic_permitted(struct mqtt *c, struct span key, char refusal[HOST_REFUSAL_BYTES]);
/* Whether he may subscribe to the filter, as a routing key, with that queue. If not, it is in the log. */
bool subscribe_permitted(struct mqtt *c, struct span queue, struct span filter);
/* Who may do what has changed: closes the connection if it has what it may not have. */
void mqtt_access_changed(struct mqtt *c);
