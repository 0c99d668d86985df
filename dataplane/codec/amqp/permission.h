/* What the connection's user may do: each tells the client if he may not, and closes the channel. */
#pragma once

#include <stdbool.h>

#include "codec/amqp/channel.h"

bool queue_permitted(struct amqp *c, struct channel *ch, enum access_right right, struct span queue);
/* The default exchange is one, too. */
bool exchange_permitted(struct amqp *c, struct channel *ch, enum access_right right, struct span exchange);
/* Topic permissions: of who publishes to the exchange with that key (RIGHT_WRITE), or binds to it. */
bool topic_permitted(struct amqp *c, struct channel *ch, enum access_right right, struct span exchange,
                     struct span key);
/* The queue or exchange that the op declares names one that messages are passed on to: that takes permission
 * to read it, and to write to that one. But only to make it: if it is there, the router has nothing against
 * it. */
void passing_on_permitted(struct amqp *c, struct op *op);
/* Closes each channel that has a consumer who may not read its queue any more. One that waits for the routers
 * is looked at when they have answered: amqp.look_again. */
void consumers_permitted(struct amqp *c);
