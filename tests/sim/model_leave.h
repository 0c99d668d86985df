/*
 * How messages leave a queue that nobody takes them from, what its settings say of that, and where they go:
 * the dead letters. For the files of the model.
 */
#pragma once

#include "model_inside.h"

/* ---- model_settings.c ------------------------------------------------------------------------------------
 */

void model_no_settings(struct known_settings *settings);
/* One of a declaration's arguments. */
void model_read_setting(struct known_settings *settings, const struct table_field *field);
bool model_settings_equal(const struct known_settings *a, const struct known_settings *b);
/* It may have been declared otherwise: nothing follows any more. */
void model_become_other(struct known_queue *queue);
/* Whether a declaration must be refused for them. */
bool model_settings_wrong(const struct known_request *request);
int64_t model_delivery_limit(const struct known_settings *settings); /* -1: none */
bool model_is_limited(const struct known_settings *settings);
/* That counts in the queue. */
unsigned model_priority(const struct known_queue *queue, const struct known_message *message);
/* Whether dead letters may ever have come to it: then it isn't known what all is in it. */
bool model_receives(struct model *model, const struct known_queue *queue);

/* ---- model_leave.c ---------------------------------------------------------------------------------------
 */

/* The entry is new, or its message has been routed: when is its time over? */
void model_set_times(struct model *model, struct known_entry *entry);
/* Something has come to the queue, or come back: a full one may lose others. */
void model_crowd(struct model *model, struct known_queue *queue);
/* It is on its way back: given back by a client (counted), or nobody saw it. */
void model_returns(struct model *model, struct known_entry *entry, bool counted);
/* A message on its way back has arrived, or isn't there. At an idle moment. */
void model_leave_settled(struct model *model, struct known_entry *entry);
/* The queue is used by what has just begun, or was surely used at a moment. */
void model_touched(struct known_queue *queue);
void model_used(struct known_queue *queue, uint64_t at_ns);
/* How sure it is that the queue has ended for having been unused. */
enum sure model_outlived(const struct model *model, const struct known_queue *queue);
void model_uses_settled(const struct model *model);

/* ---- model_death.c, model_letter.c: dead letters
 * -------------------------------------------------------------- */

/* The entry leaves its queue, perhaps, for the queue's target: the dead letter is on its way from now. */
void model_dies(struct model *model, struct known_entry *entry, enum reason reason);
/* It surely has. At an idle moment. */
void model_died(struct model *model, struct known_entry *entry);
/* Whether dead letters of the queue may wait though the broker has nothing else to do. */
bool model_waits(const struct model *model, const struct known_queue *queue);
/* Makes the dead letter; what x-death says of it: how many deaths; whether it is that of the message. */
struct known_message *model_make_letter(struct model *model, struct known_entry *entry, enum reason reason);
unsigned model_trail(const struct known_message *message, const struct text *queue, enum reason reason,
                     struct known_death *trail);
bool model_same_trail(const struct known_message *message, const struct known_death *trail, unsigned count);
/* Where the queue's dead letters go; NULL: it has surely no target. As it was ever told: whether it may have
 * had one, or one that must take them. */
const struct known_settings *model_target(const struct known_queue *queue);
bool model_may_have_target(const struct known_queue *queue);
bool model_may_insist(const struct known_queue *queue);
enum { MODEL_WAYS = 64 };
struct known_way {
    struct text exchange, key;
};
/* With what exchanges and keys the message may come: of a dead letter that left its queue at an unknown time
 * all that the queue was ever told. Returns how many. */
unsigned model_ways(const struct known_message *message, struct known_way ways[MODEL_WAYS]);
/* key NULL: with whatever key. */
bool model_is_way(const struct known_message *message, const struct text *exchange, const struct text *key);
/* Takes those queues away that the dead letter may not get to again. */
void model_break_circles(const struct model *model, const struct known_message *letter, enum sure *to);
bool model_is_circle(const struct known_message *letter, const struct known_queue *queue);
/* The dead letter that said is of the message, known or not; the run ends if there can't be one. NULL: said
 * has no deaths. */
struct known_message *model_letter(struct model *model, struct known_message *original,
                                   const struct said *said);
/* Its entry in a queue to which it wasn't known to have been routed. */
struct known_entry *model_letter_entry(struct model *model, struct known_message *letter,
                                       struct known_queue *queue);
/* Fails unless the properties are the message's, with what the broker changes. */
void model_check_properties(const struct known_message *message, struct reader properties, bool delivered);
/* A header of properties, by its name. */
bool model_find_header(struct reader properties, const char *name, struct table_field *field);
/* x-delivery-count. */
int64_t model_attempts(const struct said *said);
/* Those on their way have arrived, or may still begin theirs. At an idle moment. */
void model_letters_settled(struct model *model);
/* After a crash. */
void model_letters_down(struct model *model);
/* Before it: what must be there afterwards; and no longer: one of the two was there, or it isn't sure any
 * more. */
void model_twins(struct model *model);
void model_part_twins(struct known_entry *entry);
