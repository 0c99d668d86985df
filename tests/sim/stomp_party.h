/* All clients of STOMP and their judge, as the world sees them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clients;
struct stomp_party;
struct stomp_plan;

/* NULL: there is no STOMP in this seed. All others take NULL, and do nothing then. */
struct stomp_party *stomp_party_new(const struct stomp_plan *plan, struct clients *all, uint64_t seed);
void stomp_party_free(struct stomp_party *party);
/* Perhaps they do something. */
void stomp_party_act(struct stomp_party *party);
/* A step. stopping: the broker ends as it should. */
void stomp_party_move(struct stomp_party *party, bool stopping);
/* The broker has had nothing to do. */
void stomp_party_idle(struct stomp_party *party);
void stomp_party_down(struct stomp_party *party);
void stomp_party_failed(struct stomp_party *party);
uint64_t stomp_party_deadline(const struct stomp_party *party);

/* ---- the end: no faults any more -------------------------------------------------------------------------
 */

/* They hear, answer for all that they have, and connect if they aren't. */
void stomp_party_calm(struct stomp_party *party);
/* All are connected, nothing is to be said, and the broker has no other connection of theirs. */
bool stomp_party_done(const struct stomp_party *party);
/* Nothing is under way: all that is owed to who has subscribed must have come; all: to anybody. */
void stomp_party_judge(struct stomp_party *party, bool all);
/* One more comes, to see what is left. */
void stomp_party_look(struct stomp_party *party);
void stomp_party_leave(struct stomp_party *party);
bool stomp_party_left(const struct stomp_party *party);
