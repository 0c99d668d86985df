/* What a guarded client is, for the files that it is made of. */
#pragma once

#include "guard_model.h"
#include "guard_party.h"
#include "talk.h"

enum { GUARD_CLIENTS = 3, GUARD_NOTHING = 255 };

enum guard_state {
    GUARD_AWAY,
    GUARD_STARTING, /* connection.start or tune is awaited */
    GUARD_ENTERING, /* connection.open-ok */
    GUARD_OPENING,  /* channel.open-ok */
    GUARD_OPEN,
    GUARD_ENDED, /* the broker has ended it, and the answer to that is on its way */
};

struct guard_client {
    struct guard_party *party;
    unsigned number, host, user;
    enum guard_state state;
    uint64_t stream, begun, entered; /* the last two by the model's clock; entered 0: not yet */
    struct buffer out;
    struct talk in;
    uint32_t under_way;             /* the method; 0: none */
    struct guard_question question; /* about it */
    uint64_t asked;
    unsigned wants;    /* the queue that is to be consumed */
    unsigned consumes; /* or GUARD_NOTHING */
    uint64_t consumed_since;
};

struct guard_party {
    const struct guard_plan *plan;
    struct clients *all;
    struct prng prng;
    struct guard_model *model;
    struct guard_client clients[GUARD_CLIENTS];
    unsigned changed; /* the user that the operator has asked about; GUARD_NOTHING: he rests */
    bool waits;       /* for the answer, */
    bool again;       /* and has asked before */
    uint64_t tag, starts;
    bool calm, leaving;
};

void guard_client_connect(struct guard_client *c);
void guard_client_move(struct guard_client *c);
void guard_client_act(struct guard_client *c);
/* The broker has nothing to do, and all that it said was heard. */
void guard_client_idle(const struct guard_client *c);
void guard_client_reset(struct guard_client *c);
