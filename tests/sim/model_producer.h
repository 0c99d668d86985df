/*
 * Exactly-once publishing: messages with a producer's name and a number. Of those that have the same, a queue
 * gets one. For the files of the model.
 */
#pragma once

#include "model_inside.h"

/* Reads the name and the number of a message that has come, if it has any. */
void model_number(struct model *model, struct known_message *message);
void model_numbers_free(struct model *model);
/* Whether another with its number may have been taken in its place: then it needn't be kept, nor returned. */
bool model_may_be_again(const struct model *model, const struct known_message *message);
/* Whether some queue may have refused it, and it comes again: then no queue of the same router has it. */
bool model_is_undecided(const struct known_message *message);
/* It may have come to the queue, unless another has taken its number there for sure. */
void model_number_enters(const struct model *model, struct known_entry *entry);
/* It was accepted: it is in its queues, or another with its number is. */
void model_number_owed(const struct model *model, struct known_message *message);
/* It was delivered: then no other with its number was there at the same time. */
void model_number_seen(const struct model *model, struct known_entry *entry);
/* One of those with its number was to be in the queue: that has come out, or isn't sure any more. */
void model_number_parts(const struct known_entry *entry);
/* The broker is gone. Before the queues are: which numbers are on the disk; after: what is still owed. */
void model_numbers_down(struct model *model);
void model_numbers_lost(const struct model *model);
/* At the end: what was owed has come out of the queue. */
void model_numbers_whole(const struct known_queue *queue);
