/*
 * x-delayed-message: messages that wait before their exchange routes them. Such a message has entries only
 * when its time may have come. For the files of the model.
 */
#pragma once

#include "model_inside.h"

/* The publish goes to an exchange that may let it wait: so it does. Before its routing begins. */
void model_delay(struct model *model, struct known_message *message);
/* The header's value is negated when the message leaves: makes the properties so, or as they were. */
void model_delay_turn(struct known_message *message, bool left);
/* A message that has been delivered may have come by now, or the run ends. */
void model_delay_check(const struct model *model, const struct known_message *message);
/* Time has gone on: those whose time may have come are on their way. */
void model_delays_due(struct model *model);
/* What is declared has changed: so may have the way of those. */
void model_delays_rerouted(struct model *model);
/* Those whose time has surely come have arrived. At an idle moment. */
void model_delays_settled(struct model *model);
/* The exchange may go, and what waits for it. */
void model_delays_doubt(const struct model *model, const struct known_exchange *exchange);
/* The broker is gone; exchanges and queues are still as they were. */
void model_delays_down(struct model *model);
