/* Exchanges that remember (x-recent-history): a queue that is newly bound gets the last messages. */
#pragma once

#include <stdbool.h>

struct model;
struct known_exchange;
struct known_request;
struct known_message;

bool model_remembers(const struct known_exchange *exchange);
/* Whether the message was published to one, or may have come to it. */
bool model_is_remembered(const struct model *model, const struct known_message *message);
/* The exchange is made, or may be deleted: what it had may be forgotten. */
void model_history_begins(const struct model *model, struct known_exchange *exchange);
/* A queue.bind is under way. fresh: the binding surely isn't there. */
void model_history_asked(struct model *model, const struct known_request *request, bool fresh);
/* The message has come while such may be under way. */
void model_history_published(struct model *model, struct known_message *message);
/* It was answered with bind-ok. */
void model_history_bound(struct model *model, const struct known_request *request);
/* At an idle moment: what was promised is in the queue. */
void model_history_settled(struct model *model);
void model_history_down(struct model *model);
