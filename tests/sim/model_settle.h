/* How deliveries come, and how they end. For the files of the model, which get it with model_inside.h. */
#pragma once

#include "model_inside.h"

void model_on_deliver(struct model *model, struct known_channel *channel, const struct said *said);
void model_on_get_ok(struct model *model, struct known_channel *channel, struct known_request *request,
                     const struct said *said);
/* The message of that content; it is what was published, or the run ends. */
struct known_message *model_recognise(struct model *model, const struct text *exchange,
                                      const struct text *key, const struct said *said);

/* ack, nack, reject; how: HELD_ACK ... */
void model_settle(struct model *model, struct known_channel *channel, uint64_t tag, bool multiple, int how);
/* It isn't sure any more that the entry is in its queue. */
void model_doubt_entry(struct known_entry *entry);
/* The entry is settled for sure, if not yet on the disk. */
void model_done(struct model *model, struct known_entry *entry);
void model_commit_acks(struct model *model, struct known_channel *channel);
void model_rollback_acks(struct model *model, struct known_channel *channel);
/* All that the consumer has goes back. */
void model_take_back(struct model *model, const struct known_consumer *consumer);
void model_recover(struct model *model, struct known_channel *channel);
/* The routers know by now of consumers that were lost; until then they may have sent them what needs no
 * acknowledgement. */
void model_settle_lost(struct model *model);
/* The broker has closed the channel, though that isn't seen yet: what it has still to give is void. */
void model_fail_channel(struct model *model, struct known_channel *channel);
/* The channel is over: everything on it goes back, consumers go. */
void model_release(struct model *model, struct known_channel *channel);
/* It isn't known what the broker has taken on the channel before it was over. */
void model_doubt(struct model *model, struct known_channel *channel);
/* basic.cancel from the broker. */
void model_on_cancelled(struct model *model, struct known_channel *channel, const struct said *said);
void model_consumer_gone(struct model *model, struct known_consumer *consumer);
