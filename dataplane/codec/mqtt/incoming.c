#include "codec/mqtt/incoming.h"

#include <stdlib.h>

#include "base/check.h"

enum { FIRST_ROOM = 16, IDS = 65536 };

void incoming_init(struct incoming *in)
{
    *in = (struct incoming){.first = 1, .next = 1};
}

void incoming_free(struct incoming *in)
{
    free(in->ring);
    free(in->received);
    incoming_init(in);
}

static struct publish_in *at(const struct incoming *in, uint64_t seq)
{
    return &in->ring[(in->head + (uint32_t)(seq - in->first)) & (in->room - 1)];
}

static void grow(struct incoming *in)
{
    uint32_t room = in->room ? 2 * in->room : FIRST_ROOM;
    struct publish_in *ring = malloc(room * sizeof *ring);
    CHECK(ring);
    for (uint64_t seq = in->first; seq < in->next; seq++)
        ring[seq - in->first] = *at(in, seq);
    free(in->ring);
    in->ring = ring;
    in->room = room;
    in->head = 0;
}

void incoming_add(struct incoming *in, uint16_t id, unsigned qos, unsigned routers)
{
    if (in->next - in->first == in->room)
        grow(in);
    in->next++;
    in->open++;
    *at(in, in->next - 1) = (struct publish_in){.id = id, .qos = (uint8_t)qos, .waiting = (uint8_t)routers};
}

void incoming_forbid(struct incoming *in, uint16_t id, unsigned qos)
{
    incoming_add(in, id, qos, 0);
    at(in, in->next - 1)->refused = at(in, in->next - 1)->forbidden = true;
}

void incoming_confirm(struct incoming *in, uint64_t seq, uint32_t count, bool refused)
{
    for (uint64_t end = seq + count; seq < end; seq++) {
        if (seq < in->first || seq >= in->next)
            continue;
        struct publish_in *publish = at(in, seq);
        publish->waiting -= publish->waiting > 0;
        publish->refused |= refused;
    }
}

bool incoming_take(struct incoming *in, struct publish_in *publish)
{
    if (in->first == in->next || at(in, in->first)->waiting)
        return false;
    *publish = *at(in, in->first);
    in->first++;
    in->head = (in->head + 1) & (in->room - 1);
    if (publish->qos < 2 || publish->refused) {
        in->open--;
        return true;
    }
    if (!in->received) {
        in->received = calloc(IDS / 64, sizeof *in->received);
        CHECK(in->received);
    }
    in->received[publish->id / 64] |= UINT64_C(1) << publish->id % 64;
    return true;
}

bool incoming_received(const struct incoming *in, uint16_t id)
{
    return in->received && in->received[id / 64] >> id % 64 & 1;
}

/* Those that wait are few: the disk is fast, and a client that sends one again before it was answered is
 * rare. */
bool incoming_has(const struct incoming *in, uint16_t id)
{
    for (uint64_t seq = in->first; seq < in->next; seq++)
        if (at(in, seq)->qos == 2 && at(in, seq)->id == id)
            return true;
    return incoming_received(in, id);
}

bool incoming_release(struct incoming *in, uint16_t id)
{
    if (!incoming_received(in, id))
        return false;
    in->received[id / 64] &= ~(UINT64_C(1) << id % 64);
    in->open--;
    return true;
}
