/* x-sequence: messages are numbered, and deliveries say which before them were shed. For the files of the
 * model. */
#pragma once

#include "model_inside.h"

enum { MODEL_GAPS = 16 };

/* What a delivery says of its number. */
struct said_sequence {
    int64_t number; /* -1: nothing */
    unsigned gaps;  /* nearest first */
    struct said_gap {
        int64_t from, to;
        enum reason reason; /* MODEL_REASONS: several, or */
        bool conflated;
    } gap[MODEL_GAPS];
};

/* Reads it; the run ends if its parts contradict each other. */
struct said_sequence model_sequence(const struct said *said);
/* The entry came with it. unsure: it may be of another life of the queue. */
void model_sequence_takes(struct known_entry *entry, const struct said_sequence *sequence, bool unsure);
/* The same of a last-value queue: of what the consumer got last, to which nothing behind its image is untold.
 */
void model_sequence_value(struct model *model, struct known_consumer *consumer,
                          const struct said_sequence *sequence);
/* All has been taken out of the queue: each number up to the last was given to somebody, or said to be shed.
 */
void model_sequence_whole(const struct known_queue *queue);
/* The broker is gone, and what may be in the queue is known: what isn't sure to be there may come again with
 * another number. */
void model_sequence_down(struct known_queue *queue);
