#include "router/index.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/lanes.h"

#ifndef GANNET_TINY
#define CHUNK 512u
#else
#define CHUNK 4u
#endif

struct index_chunk {
    uint32_t alive; /* READY or OUT */
    uint32_t ready;
    struct entry_note *notes; /* CHUNK of them, or NULL: all are zero */
    struct entry entries[CHUNK];
};

void index_init(struct index *index)
{
    *index = (struct index){.next = 1, .tail = 1};
}

static void drop_chunk(struct index_chunk *chunk)
{
    if (chunk)
        free(chunk->notes);
    free(chunk);
}

void index_free(struct index *index)
{
    for (size_t i = 0; i < index->count; i++)
        drop_chunk(index->chunks[(index->head + i) & index->mask]);
    free(index->chunks);
    seq_heap_free(&index->back);
    lanes_free(index->lanes);
    index_init(index);
}

static struct index_chunk *chunk_of(const struct index *index, uint64_t seq)
{
    uint64_t i = seq / CHUNK - index->first;
    return i < index->count ? index->chunks[(index->head + i) & index->mask] : NULL;
}

static void resize(struct index *index, size_t room)
{
    struct index_chunk **chunks = calloc(room, sizeof *chunks);
    CHECK(chunks);
    for (size_t i = 0; i < index->count; i++)
        chunks[i] = index->chunks[(index->head + i) & index->mask];
    free(index->chunks);
    index->chunks = chunks;
    index->mask = room - 1;
    index->head = 0;
}

static void room_for(struct index *index, size_t count)
{
    size_t room = index->chunks ? index->mask + 1 : 4;
    while (room < count)
        room *= 2;
    if (!index->chunks || room > index->mask + 1)
        resize(index, room);
}

static struct index_chunk *make_chunk(struct index *index, uint64_t number)
{
    if (index->count == 0)
        index->first = number;
    if (number < index->first) {
        size_t more = index->first - number;
        room_for(index, index->count + more);
        for (size_t i = 0; i < more; i++)
            index->chunks[(index->head = (index->head - 1) & index->mask)] = NULL;
        index->first = number;
        index->count += more;
    }
    size_t i = number - index->first;
    room_for(index, i + 1);
    for (; index->count <= i; index->count++)
        index->chunks[(index->head + index->count) & index->mask] = NULL;
    struct index_chunk **slot = &index->chunks[(index->head + i) & index->mask];
    if (!*slot) {
        *slot = calloc(1, sizeof **slot);
        CHECK(*slot);
    }
    return *slot;
}

static void free_chunk(struct index *index, uint64_t number)
{
    struct index_chunk **slot = &index->chunks[(index->head + (number - index->first)) & index->mask];
    drop_chunk(*slot);
    *slot = NULL;
    while (index->count && !index->chunks[index->head]) {
        index->head = (index->head + 1) & index->mask;
        index->first++;
        index->count--;
    }
}

void index_move_tail(struct index *index, uint64_t tail)
{
    uint64_t filled = index->tail / CHUNK;
    const struct index_chunk *chunk = chunk_of(index, index->tail);
    index->tail = tail;
    if (chunk && chunk->alive == 0 && filled != tail / CHUNK)
        free_chunk(index, filled);
}

static inline struct index_chunk *push(struct index *index, struct entry entry)
{
    uint64_t seq = index->tail++;
    struct index_chunk *chunk = chunk_of(index, seq);
    if (!chunk)
        chunk = make_chunk(index, seq / CHUNK);
    entry.state = ENTRY_READY;
    chunk->entries[seq % CHUNK] = entry;
    chunk->alive++;
    chunk->ready++;
    index->ready++;
    index->bytes += entry.body;
    index->ready_bytes += entry.body;
    return chunk;
}

uint64_t index_push(struct index *index, struct entry entry)
{
    push(index, entry);
    return index->tail - 1;
}

static bool is_nothing(struct entry_note note)
{
    return !note.expires && !note.attempts && !note.priority;
}

static void set_note(struct index *index, struct index_chunk *chunk, uint64_t seq, struct entry_note note)
{
    if (!chunk->notes && is_nothing(note))
        return;
    index->has_notes = true;
    if (!chunk->notes) {
        chunk->notes = calloc(CHUNK, sizeof *chunk->notes);
        CHECK(chunk->notes);
    }
    chunk->notes[seq % CHUNK] = note;
}

uint64_t index_push_noted(struct index *index, struct entry entry, struct entry_note note)
{
    struct index_chunk *chunk = push(index, entry);
    uint64_t seq = index->tail - 1;
    if (index->noted)
        set_note(index, chunk, seq, note);
    if (index->lanes)
        lanes_add(index->lanes, note.priority, seq, true);
    return seq;
}

struct entry_note index_note(const struct index *index, uint64_t seq)
{
    const struct index_chunk *chunk = chunk_of(index, seq);
    return chunk && chunk->notes ? chunk->notes[seq % CHUNK] : (struct entry_note){0};
}

void index_set_note(struct index *index, uint64_t seq, struct entry_note note)
{
    struct index_chunk *chunk = chunk_of(index, seq);
    if (index->noted && chunk)
        set_note(index, chunk, seq, note);
}

void index_order(struct index *index, uint8_t highest)
{
    uint64_t seq = 0;
    lanes_free(index->lanes);
    index->lanes = lanes_new(highest);
    for (; index_ready_from(index, &seq); seq++)
        lanes_add(index->lanes, index_note(index, seq).priority, seq, true);
}

void index_put(struct index *index, uint64_t seq, struct entry entry, struct entry *old)
{
    struct index_chunk *chunk = make_chunk(index, seq / CHUNK);
    struct entry *at = &chunk->entries[seq % CHUNK];
    *old = *at;
    if (at->state == ENTRY_DEAD) {
        chunk->alive++;
        chunk->ready++;
        index->ready++;
    } else {
        CHECK(at->state == ENTRY_READY);
        index->bytes -= at->body;
        index->ready_bytes -= at->body;
    }
    entry.state = ENTRY_READY;
    *at = entry;
    index->bytes += entry.body;
    index->ready_bytes += entry.body;
    if (seq >= index->tail)
        index_move_tail(index, seq + 1);
}

struct entry *index_at(const struct index *index, uint64_t seq)
{
    struct index_chunk *chunk = chunk_of(index, seq);
    struct entry *entry = chunk ? &chunk->entries[seq % CHUNK] : NULL;
    return entry && entry->state != ENTRY_DEAD ? entry : NULL;
}

/* The first entry in [*seq, limit) that is READY, or that is just not dead. Skips chunks with none. */
static struct entry *search(const struct index *index, uint64_t *seq, uint64_t limit, bool ready)
{
    if (*seq < index->first * CHUNK)
        *seq = index->first * CHUNK;
    while (*seq < limit) {
        struct index_chunk *chunk = chunk_of(index, *seq);
        uint64_t end = (*seq / CHUNK + 1) * CHUNK;
        if (!chunk || (ready ? chunk->ready : chunk->alive) == 0) {
            *seq = end;
            continue;
        }
        for (; *seq < end && *seq < limit; ++*seq) {
            struct entry *entry = &chunk->entries[*seq % CHUNK];
            if (ready ? entry->state == ENTRY_READY : entry->state != ENTRY_DEAD)
                return entry;
        }
    }
    *seq = limit;
    return NULL;
}

struct entry *index_ready_from(const struct index *index, uint64_t *seq)
{
    return search(index, seq, index->tail, true);
}

struct entry *index_alive_from(const struct index *index, uint64_t *seq)
{
    return search(index, seq, index->tail, false);
}

struct entry *index_alive_below(const struct index *index, uint64_t *seq, uint64_t limit)
{
    return search(index, seq, limit < index->tail ? limit : index->tail, false);
}

/* ---- in and out ---------------------------------------------------------------------------------- */

/* An entry given back may have been purged, or come to stand in the heap twice: those that aren't READY are
 * passed over. */
struct entry *index_head(struct index *index, uint64_t *seq)
{
    if (index->lanes)
        return lanes_head(index->lanes, index, seq) ? index_at(index, *seq) : NULL;
    while (index->back.count) {
        *seq = index->back.seq[0];
        struct entry *entry = index_at(index, *seq);
        if (entry && entry->state == ENTRY_READY)
            return entry;
        seq_heap_pop(&index->back);
    }
    *seq = index->next;
    struct entry *entry = index_ready_from(index, seq);
    index->next = *seq;
    return entry;
}

void index_deliver(struct index *index, uint64_t seq, struct entry *entry)
{
    CHECK(entry->state == ENTRY_READY);
    entry->state = ENTRY_OUT;
    chunk_of(index, seq)->ready--;
    index->ready--;
    index->ready_bytes -= entry->body;
    index->out++;
    if (index->lanes)
        lanes_drop(index->lanes, seq);
    else if (index->back.count && index->back.seq[0] == seq)
        seq_heap_pop(&index->back);
    else if (seq == index->next)
        index->next++;
}

void index_requeue(struct index *index, uint64_t seq, struct entry *entry)
{
    CHECK(entry->state == ENTRY_OUT);
    entry->state = ENTRY_READY;
    entry->period = 0;
    chunk_of(index, seq)->ready++;
    index->ready++;
    index->ready_bytes += entry->body;
    index->out--;
    if (index->lanes)
        lanes_add(index->lanes, index_note(index, seq).priority, seq, false);
    else if (seq < index->next)
        seq_heap_push(&index->back, seq);
}

void index_kill(struct index *index, uint64_t seq, struct entry *entry)
{
    struct index_chunk *chunk = chunk_of(index, seq);
    if (entry->state == ENTRY_READY) {
        chunk->ready--;
        index->ready--;
        index->ready_bytes -= entry->body;
    } else {
        CHECK(entry->state == ENTRY_OUT);
        index->out--;
    }
    index->bytes -= entry->body;
    entry->state = ENTRY_DEAD;
    if (chunk->notes)
        chunk->notes[seq % CHUNK] = (struct entry_note){0};
    /* The chunk being filled stays: its number must not be made again with its dead entries forgotten
     * half-way. */
    if (--chunk->alive == 0 && seq / CHUNK != index->tail / CHUNK)
        free_chunk(index, seq / CHUNK);
}

uint64_t index_first(const struct index *index)
{
    uint64_t seq = 0;
    index_alive_from(index, &seq);
    return seq;
}
