/*
 * Queues that keep what consumers get: streams. Each message has its place, and each consumer a cursor. For
 * the files of the model.
 */
#pragma once

#include "model_inside.h"

/* Whether the queue keeps what is consumed; and puts it on disk, whatever its delivery mode: a stream. */
bool model_keeps(const struct known_queue *queue);
/* Whether it may lose its oldest. */
bool model_is_shortened(const struct known_queue *queue);
bool model_stores(const struct known_queue *queue);
/* Whether a queue that may get the message puts it on disk, whatever its delivery mode. */
bool model_is_kept(const struct known_message *message);
/* Reads where the consumer of the request wants to begin. */
void model_read_cursor(struct known_request *request, struct reader arguments);
/* What the consumer may come to besides, as bits MAY_*: as the channel is when it asks. */
void model_stream_asked(const struct known_channel *channel, struct known_request *request);
unsigned model_expect_stream(const struct known_queue *queue, const struct known_request *request,
                             unsigned then);
/* A new consumer's cursor. */
void model_stream_joins(const struct model *model, struct known_consumer *consumer,
                        const struct known_request *request);
/* The entry was delivered to the consumer with the offset (-1: it said none). */
void model_stream_takes(struct model *model, struct known_entry *entry, struct known_consumer *consumer,
                        bool redelivered, int64_t offset);
/* x-stream-offset; -1: it isn't said as it ought to be. */
int64_t model_offset(const struct said *said);
/* The consumer, which has room, has been sent all that it is owed. At an idle moment. */
void model_stream_owed(const struct model *model, const struct known_queue *queue,
                       const struct known_consumer *consumer);
/* What was learned of the places of messages isn't sure any more: it may be another stream. */
void model_stream_forgets(struct known_queue *queue);
/* The broker is gone. */
void model_stream_down(const struct model *model, struct known_queue *queue);

/* ---- model_image.c: last-value queues ---------------------------------------------------------------------
 */

/* How many keys can have had values since the stamp, and must have, if the queue is there for sure. */
struct model_bounds model_values(const struct known_queue *queue, uint64_t since, bool sure);
void model_image_takes(const struct model *model, struct known_entry *entry, struct known_consumer *consumer,
                       bool redelivered, int64_t offset);
/* Whether the two messages have the same key in the queue. */
bool model_same_value(const struct known_queue *queue, const struct known_message *a,
                      const struct known_message *b);
/* At an idle moment: what is surely there; then, what a consumer is owed that has room. */
void model_image_rests(const struct model *model, const struct known_queue *queue);
void model_image_owed(const struct model *model, const struct known_queue *queue,
                      const struct known_consumer *consumer);
/* The broker is gone; what is there is still as it was. */
void model_image_down(struct model *model, struct known_queue *queue);
