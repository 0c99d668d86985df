/* All clients of MQTT and their judge, as the world sees them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct clients;
struct mqtt_party;
struct mqtt_plan;

/* NULL: there is no MQTT in this seed. All others take NULL, and do nothing then. */
struct mqtt_party *mqtt_party_new(const struct mqtt_plan *plan, struct clients *all, uint64_t seed);
void mqtt_party_free(struct mqtt_party *party);
/* Perhaps they do something. */
void mqtt_party_act(struct mqtt_party *party);
/* A step. stopping: the broker ends as it should. */
void mqtt_party_move(struct mqtt_party *party, bool stopping);
void mqtt_party_down(struct mqtt_party *party);
void mqtt_party_failed(struct mqtt_party *party);
uint64_t mqtt_party_deadline(const struct mqtt_party *party);

/* ---- the end: no faults any more -------------------------------------------------------------------------
 */

/* They hear, answer at once, and connect if they aren't. */
void mqtt_party_calm(struct mqtt_party *party);
/* All are connected, nothing is to be said. */
bool mqtt_party_done(const struct mqtt_party *party);
/* Nothing is under way: all that is owed must have come. */
void mqtt_party_judge(struct mqtt_party *party, bool last);
/* Each asks whether what it has said was heard. */
void mqtt_party_ping(struct mqtt_party *party);
/* One more comes, to see what is retained. */
void mqtt_party_look(struct mqtt_party *party);
void mqtt_party_leave(struct mqtt_party *party);
bool mqtt_party_left(const struct mqtt_party *party);
