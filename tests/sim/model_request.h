/* Requests and their answers: model_request.c, model_expect.c, model_answer.c. For the files of the model. */
#pragma once

#include "model_inside.h"

void model_request(struct model *model, struct known_channel *channel, const struct said *said);
/* The broker's answer to the oldest request of the channel. */
void model_answer(struct model *model, struct known_channel *channel, const struct said *said);
void model_refused(struct model *model, struct known_channel *channel, unsigned code, uint32_t method);
/* The requests will never be answered; unknown: they may have had their effect. */
void model_request_free(struct known_request *request);
void model_queue_becomes(struct model *model, struct known_queue *queue, const struct known_request *request,
                         uint64_t stream);
/* How sure it is that the queue has a consumer. */
enum sure model_consumed(const struct model *model, const struct known_queue *queue);
/* Whether a surely stands before b in the queue. */
bool model_before(const struct known_queue *queue, const struct known_message *a,
                  const struct known_message *b);
/* Somebody has got, or may have got, messages from the queue by basic.get or queue.purge. */
void model_asked(const struct model *model, struct known_queue *queue, uint64_t stream);
/* The queue was purged, or may have been, since the stamp. */
void model_purged(struct model *model, struct known_queue *queue, const struct known_request *request,
                  uint64_t stream, bool surely);
/* A delete under way may find this life, or may have been before it, whatever it was thought to find. */
void model_meet_deletes(struct model *model, struct known_queue *life);
/* What was asked for was never answered. */
void model_unanswered(const struct known_request *request);
void model_drop_requests(struct model *model, struct known_channel *channel, bool unknown);
/* What the request may come to as things are now: adds to request->may; when it may come to something for the
 * first time, the things it is about become uncertain. */
void model_reconsider(struct model *model, struct known_channel *channel, struct known_request *request);
void model_request_begin(struct model *model, struct known_channel *channel, struct known_request *request);
unsigned model_code_bit(unsigned code);
/* Nothing of what was in it is sure to be there. */
void model_doubt_content(struct model *model, struct known_queue *queue);
/* A delete that found nothing when it was asked for may find this life. */
void model_meet_deletes(struct model *model, struct known_queue *life);
/* The last idle moment before the stamp. Who is gone since then may still have been there for a router when
 * it took what was said at the stamp. */
uint64_t model_idle_before(const struct model *model, uint64_t stamp);
/* How many messages and consumers the queue can have had since the stamp, and must have. */
struct model_bounds {
    uint64_t least, most;
    bool capped; /* most is the queue's limit */
};
struct model_bounds model_ready(struct model *model, const struct known_queue *queue, uint64_t since,
                                uint64_t asker);
struct model_bounds model_consumers_of(const struct model *model, const struct known_queue *queue,
                                       uint64_t since);
/* Whether anyone (but the stream; 0: anyone) may have taken messages from the queue since. */
bool model_interest(const struct model *model, const struct known_queue *queue, uint64_t since, uint64_t but);
