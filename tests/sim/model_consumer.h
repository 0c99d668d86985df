/*
 * Consumers: who of a queue's gets its messages (x-single-active-consumer, x-priority), and for how long it
 * may keep them (x-consumer-timeout). For the files of the model.
 */
#pragma once

#include "model_inside.h"

/* The consumer's own arguments; what it is from them and from its queue. */
void model_read_consumer(struct known_request *request, struct reader arguments);
void model_consumer_begins(struct known_consumer *consumer, const struct known_request *request);
/* Whether an exclusive consumer must be refused, as the queue has a single active one. */
bool model_is_single(const struct known_queue *queue);
/* It stands behind another that is surely there, and so it has never got anything. */
bool model_waits_in_line(const struct model *model, const struct known_consumer *consumer);
/* It may get a delivery now, or the run ends; the delivery counts. */
void model_check_turn(const struct model *model, struct known_consumer *consumer, uint32_t bytes);
/* Whether it is surely the one that gets messages, if only one does. */
bool model_is_its_turn(const struct model *model, const struct known_consumer *consumer);
/* At an idle moment: has a lower one got what a higher one could take? room: how many more it could. */
void model_ranks_settled(struct model *model);
uint32_t model_room_of(const struct known_consumer *consumer);

/* ---- time to answer
 * ----------------------------------------------------------------------------------------------------- */

/* Since when at most the consumer can have had a delivery that is seen now. */
uint64_t model_sent_ns(const struct known_consumer *consumer);
/* A delivery of the consumer, sent then at the earliest, is answered. */
void model_answered(struct known_consumer *consumer, uint64_t sent_ns);
/* At an idle moment: none has been kept for too long. */
void model_lapses_settled(struct model *model);
