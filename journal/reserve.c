#include "journal/reserve.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "journal/journal.h"
#include "journal/segment.h"
#include "journal/storage.h"

static_assert(JOURNAL_SEGMENTS_LEAST == 2 + RESERVE_SEGMENTS + 1,
              "a checkpoint's segment, the current, what is ready");

#define RETRY_NS 200000000u /* between attempts while the disk is full */

static uint64_t wanted(const struct reserve *reserve)
{
    return reserve->current + RESERVE_SEGMENTS + 1 + reserve->aside;
}

/* The last of the segments that exist from `number` on without a gap; number - 1 if it does not. */
static uint64_t last_ready(struct storage *storage, uint64_t number)
{
    int count = storage->table->list(storage, NULL, 0);
    uint64_t *segments = calloc(count > 0 ? (size_t)count : 1, sizeof *segments);
    CHECK(segments);
    int found = count > 0 ? storage->table->list(storage, segments, (unsigned)count) : 0;
    uint64_t ready = number - 1;
    for (int i = 0; i < found && i < count; i++)
        if (segments[i] == ready + 1)
            ready++;
    free(segments);
    return ready;
}

static uint64_t missing(const struct reserve *reserve)
{
    return wanted(reserve) > reserve->ready ? wanted(reserve) - reserve->ready : 0;
}

/* Segments for which there is room. */
static uint64_t creatable(const struct reserve *reserve)
{
    uint64_t room = reserve->storage->table->room(reserve->storage);
    return room > reserve->leave_free ? (room - reserve->leave_free) / SEGMENT_BYTES : 0;
}

/* Not while a file is being made: it has some of the room, and isn't ready. */
static void measure(struct reserve *reserve)
{
    uint64_t can = creatable(reserve), must = missing(reserve);
    reserve->more = can + reserve->ready > wanted(reserve) ? can + reserve->ready - wanted(reserve) : 0;
    reserve->full = must && (reserve->full || must > can);
    reserve->measured = true;
}

void reserve_init(struct reserve *reserve, struct storage *storage, uint64_t token, uint64_t lsn,
                  uint64_t leave_free)
{
    *reserve = (struct reserve){.storage = storage, .token = token, .leave_free = leave_free};
    reserve->current = segment_of(lsn);
    reserve->ready = last_ready(storage, reserve->current);
    measure(reserve);
}

void reserve_put_aside(struct reserve *reserve, uint64_t segments)
{
    reserve->aside = segments;
    reserve->aside_known = true;
    reserve->measured = false;
    if (reserve->task != RESERVE_CREATES)
        measure(reserve);
}

enum reserve_level reserve_level(const struct reserve *reserve)
{
    if (!reserve->full)
        return RESERVE_ROOM;
    return reserve->ready + reserve->aside >= wanted(reserve) ? RESERVE_ASIDE : RESERVE_FULL;
}

bool reserve_takes(const struct reserve *reserve)
{
    return reserve->count < RING_SLOTS;
}

void reserve_retire(struct reserve *reserve, uint64_t segment, uint64_t barrier)
{
    CHECK(reserve_takes(reserve));
    reserve->retired[(reserve->first + reserve->count++) % RING_SLOTS] = (struct retired){segment, barrier};
}

static uint64_t most(const struct reserve *reserve)
{
    return reserve->current + RESERVE_MOST + reserve->aside;
}

static unsigned prepare(struct reserve *reserve, uint64_t from)
{
    reserve->task = from ? RESERVE_RECYCLES : RESERVE_CREATES;
    uint64_t leave_free = reserve->leave_free + (reserve->full ? reserve->margin : 0);
    if (reserve->full &&
        reserve->current > reserve->ready) /* a write waits: it is no publisher's, they are held back */
        leave_free = 0;
    reserve->storage->table->prepare(reserve->storage, reserve->ready + 1, from, leave_free, reserve->token);
    return 1;
}

unsigned reserve_poll(struct reserve *reserve, uint64_t safe, uint64_t checkpoint, uint64_t now_ns)
{
    if (reserve->task != RESERVE_RESTS || reserve->error || now_ns < reserve->retry_ns)
        return 0;
    const struct retired *oldest = &reserve->retired[reserve->first];
    bool spare =
        reserve->count && oldest->barrier <= safe && segment_start(oldest->segment + 1) <= checkpoint;
    if (spare && reserve->ready < most(reserve))
        return prepare(reserve, oldest->segment);
    if (reserve->ready < wanted(reserve) && (!reserve->full || now_ns >= reserve->create_ns))
        return prepare(reserve, 0);
    if (reserve->aside_known && reserve->ready > most(reserve)) {
        reserve->task = RESERVE_TRIMS;
        reserve->storage->table->remove(reserve->storage, reserve->ready--, reserve->token);
        return 1;
    }
    if (!spare)
        return 0;
    reserve->task = RESERVE_REMOVES;
    reserve->storage->table->remove(reserve->storage, oldest->segment, reserve->token);
    return 1;
}

/* What passes when someone makes room, as opposed to a disk that fails. */
static bool out_of_room(uint32_t error)
{
    return error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE || error == ENOMEM;
}

static void forget_retired(struct reserve *reserve)
{
    reserve->first = (reserve->first + 1) % RING_SLOTS;
    reserve->count--;
}

static void finish(struct reserve *reserve, uint32_t error, uint64_t now_ns)
{
    enum reserve_task task = reserve->task;
    CHECK(task != RESERVE_RESTS);
    reserve->task = RESERVE_RESTS;
    if (error && out_of_room(error)) {
        reserve->full = reserve->full || reserve->ready < wanted(reserve);
        *(task == RESERVE_CREATES ? &reserve->create_ns : &reserve->retry_ns) = now_ns + RETRY_NS;
        return;
    }
    if (error) {
        reserve->error = error;
        return;
    }
    if (task == RESERVE_CREATES || task == RESERVE_RECYCLES)
        reserve->ready++;
    if (task == RESERVE_RECYCLES || task == RESERVE_REMOVES)
        forget_retired(reserve);
    if (reserve->ready >= wanted(reserve))
        reserve->full = false;
}

void reserve_on_done(struct reserve *reserve, uint32_t error, uint64_t now_ns)
{
    finish(reserve, error, now_ns);
    if (!reserve->measured)
        measure(reserve);
}
