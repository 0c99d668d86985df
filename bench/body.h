/* What a message's body carries so that its receiver can tell loss, repetition, order, damage and age:
 *
 *     0        8           16                            size-8    size
 *     | source | age, check | pattern by position ...    | source  |
 *
 * source  8 bytes: sequence number (38 bits), producer (12), run (14)
 * age     6 bytes: the intended send time, CLOCK_MONOTONIC ns modulo 2^48 (78 hours)
 * check   2 bytes: a hash of source, age and the body's size
 * The second copy of source is there in bodies of 24 to BODY_TRAILER_MAX bytes, where it costs a store and
 * finds a head joined to another message's tail. Shorter bodies carry less: below 16 bytes there is no age
 * and no check, below 8 nothing but pattern, and messages can only be counted. */
#ifndef BENCH_BODY_H
#define BENCH_BODY_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BODY_SEQ_BITS      38
#define BODY_PRODUCER_BITS 12
#define BODY_RUN_BITS      14
#define BODY_PRODUCERS_MAX (1u << BODY_PRODUCER_BITS)
#define BODY_AGE_MASK      ((1ull << 48) - 1)
#define BODY_SOURCE_SIZE   8u
#define BODY_HEAD_SIZE     16u
#define BODY_TRAILER_MIN   24u
#define BODY_TRAILER_MAX   4088u /* one frame at the spec's smallest frame-max (4096), so never cut in two */

/* Not a power of two, so that pages or sectors exchanged within a body are seen. */
#define BODY_PATTERN_PERIOD 65521u

enum body_level { BODY_COUNT_ONLY, BODY_SEQUENCE, BODY_FULL };

struct body_head {
    uint64_t seq;
    uint32_t producer, run;
    uint64_t age_ns; /* since the intended send time */
};

static inline enum body_level body_level(size_t size)
{
    return size >= BODY_HEAD_SIZE ? BODY_FULL : size >= BODY_SOURCE_SIZE ? BODY_SEQUENCE : BODY_COUNT_ONLY;
}

static inline bool body_has_trailer(size_t size)
{
    return size >= BODY_TRAILER_MIN && size <= BODY_TRAILER_MAX;
}

/* Two odd multipliers: one flipped bit anywhere in source always changes the top 16 bits of the product. */
static inline uint64_t body_check(uint64_t source, uint64_t age48, size_t size)
{
    uint64_t mixed = age48 * 0x9e3779b97f4a7c15ull;
    mixed = mixed << 29 | mixed >> 35;
    return ((source ^ mixed ^ size * 0xd6e8feb86659fd93ull) * 0xbf58476d1ce4e5b9ull) >> 48;
}

static inline uint64_t body_source(uint32_t run, uint32_t producer, uint64_t seq)
{
    return seq | (uint64_t)producer << BODY_SEQ_BITS | (uint64_t)run << (BODY_SEQ_BITS + BODY_PRODUCER_BITS);
}

static inline void body_store(uint8_t *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static inline uint64_t body_load(const uint8_t *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

/* Fills a body with the pattern, once; body_stamp then changes only what differs from message to message. */
void body_fill(uint8_t *body, size_t size);

static inline void body_stamp(uint8_t *body, size_t size, uint64_t source, uint64_t send_ns)
{
    if (size < BODY_SOURCE_SIZE)
        return;
    body_store(body, source);
    if (size < BODY_HEAD_SIZE)
        return;
    uint64_t age48 = send_ns & BODY_AGE_MASK;
    body_store(body + 8, age48 | body_check(source, age48, size) << 48);
    if (body_has_trailer(size))
        body_store(body + size - 8, source);
}

/* Compares [from, from + n) of a body with the pattern. */
bool body_pattern_ok(const uint8_t *part, size_t n, size_t from);

/* What a look at a whole body said. A body whose head cannot be trusted belongs to no known message. */
enum body_state { BODY_GOOD, BODY_DAMAGED, BODY_UNREADABLE };

static inline enum body_state body_read(const uint8_t *body, size_t size, uint64_t now,
                                        struct body_head *head)
{
    *head = (struct body_head){0};
    if (size < BODY_SOURCE_SIZE)
        return body_pattern_ok(body, size, 0) ? BODY_GOOD : BODY_UNREADABLE;
    uint64_t source = body_load(body);
    head->seq = source & ((1ull << BODY_SEQ_BITS) - 1);
    head->producer = source >> BODY_SEQ_BITS & (BODY_PRODUCERS_MAX - 1);
    head->run = (uint32_t)(source >> (BODY_SEQ_BITS + BODY_PRODUCER_BITS));
    if (size < BODY_HEAD_SIZE)
        return body_pattern_ok(body + 8, size - 8, 8) ? BODY_GOOD : BODY_DAMAGED;
    uint64_t stamp = body_load(body + 8);
    if (stamp >> 48 != body_check(source, stamp & BODY_AGE_MASK, size))
        return BODY_UNREADABLE;
    head->age_ns = (now - stamp) & BODY_AGE_MASK;
    size_t end = size;
    if (body_has_trailer(size)) {
        end -= 8;
        if (body_load(body + end) != source)
            return BODY_DAMAGED;
    }
    return end == BODY_HEAD_SIZE ||
                   body_pattern_ok(body + BODY_HEAD_SIZE, end - BODY_HEAD_SIZE, BODY_HEAD_SIZE)
               ? BODY_GOOD
               : BODY_DAMAGED;
}

#endif
