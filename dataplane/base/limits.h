/*
 * Every bound of the broker, in one place. What a user can set is in options.def and is checked against
 * these. GANNET_TINY (the simulator's build) makes them so small that every one is met in a few thousand
 * steps; the relations at the end hold for both.
 */
#pragma once

#include <assert.h>
#include <stdint.h>

#define KIB 1024u
#define MIB (1024u * 1024u)

/* Agents. An interest set is one 64-bit word, a bit per router. */
#define ROUTERS_MAX 64u
#define FRONTS_MAX  64u

/* Protocol elements: AMQP 0-9-1 short strings hold 255 bytes. */
#define NAME_MAX_BYTES 255u
#define BLOCK_BYTES    4096u /* what O_DIRECT writes are padded to */

/* A binding's weight on an x-consistent-hash exchange; each unit costs 320 bytes (router/hash_ring.h). */
#define HASH_WEIGHT_MAX 256u
/* A queue looks through the priorities of its consumers one by one. */
#define CONSUMER_PRIORITIES_MAX 256u

#ifndef GANNET_TINY
#define RING_SLOTS      4096u       /* entries between two agents, one way; a power of two */
#define PAGE_BYTES      (1u * MIB)  /* a log page: unit of memory, of write and of read-back */
#define SEGMENT_BYTES   (64u * MIB) /* a journal segment file */
#define INLINE_BODY_MAX (64u * KIB) /* a body up to this is one PUBLISH; a larger one comes in parts */
#define PARTS_MAX       4096u       /* parts of one message */
#define FRAME_BYTES_MAX (128u * KIB)
#define CHANNELS_MAX    2047u
#define UNACKED_MAX     (1024u * 1024u) /* deliveries of one channel that its client has not answered for */
#define ROUTES_MAX      4096u           /* durable queues named by one record; more take another record */
#define RX_CHUNK_BYTES  (1u * MIB)      /* a receive chunk, shared by the connections of a front */
#define RX_CHUNKS       16u
#define SCRATCH_BYTES                                                                                        \
    (256u * KIB)                     /* of a front, for publishes that don't stand in the input as they must \
                                      */
#define OUTPUT_HIGH_BYTES (1u * MIB) /* a connection with more to send than this is not read from */
#define CONSUMER_WINDOW   (1u * MIB) /* bytes in flight to one consumer */
#define WRITES_IN_FLIGHT  4u         /* journal writes under way at once */
#define NEIGHBOURS_MAX    1024u      /* hosts on the wire that are remembered */
#define NEIGHBOUR_FRAMES  256u       /* copies of frames that wait for a neighbour's answer, all in all */
#define TCP_SEND_QUEUE    (4u * MIB) /* bytes lent to TCP by one connection, sent and not */
#define TCP_OUT_OF_ORDER  4096u      /* segments kept out of order, of one connection */
#define TCP_FRAMES_KEPT   4096u /* of the device's buffers, by all connections of a stack; more are copied */
#define TCP_COPIED_BYTES  (256u * MIB) /* of such copies */
#define PRODUCERS_MAX     16384u       /* publishers that number their messages, remembered by a router */
#define PRODUCER_WINDOW   4096u /* the latest numbers of one, of which it is known exactly which it took */
#define TCP_FRAMES_HELD   4096u /* of the device's buffers, by a front; with more, it reads nothing */
#define LIST_SLICE_STEPS  128u  /* entries that an agent looks at in one turn, for an operator's list, */
#define LIST_SLICE_BYTES  (64u * KIB) /* and after how many bytes of it the turn ends in any case */
#else
#define RING_SLOTS        16u
#define PAGE_BYTES        (16u * KIB)
#define SEGMENT_BYTES     (128u * KIB)
#define INLINE_BODY_MAX   (1u * KIB)
#define PARTS_MAX         64u
#define FRAME_BYTES_MAX   (4u * KIB)
#define CHANNELS_MAX      7u
#define UNACKED_MAX       1024u
#define ROUTES_MAX        8u
#define RX_CHUNK_BYTES    (32u * KIB)
#define RX_CHUNKS         3u
#define SCRATCH_BYTES     (4u * KIB)
#define OUTPUT_HIGH_BYTES (8u * KIB)
#define CONSUMER_WINDOW   (2u * KIB)
#define WRITES_IN_FLIGHT  2u
#define NEIGHBOURS_MAX    8u
#define NEIGHBOUR_FRAMES  6u
#define TCP_SEND_QUEUE    (12u * KIB)
#define TCP_OUT_OF_ORDER  6u
#define TCP_FRAMES_KEPT   8u
#define TCP_COPIED_BYTES  (8u * KIB)
#define TCP_FRAMES_HELD   8u
#define PRODUCERS_MAX     4u
#define PRODUCER_WINDOW   64u
#define LIST_SLICE_STEPS  3u
#define LIST_SLICE_BYTES  (1u * KIB)
#endif

/* A connection is handed whole frames: a window that one doesn't fit would never open again. */
#define TCP_RX_WINDOW_MIN (2u * FRAME_BYTES_MAX)

#define PAGES_PER_SEGMENT (SEGMENT_BYTES / PAGE_BYTES)

/* The largest properties list that can arrive: one content header frame. */
#define PROPERTIES_MAX FRAME_BYTES_MAX

static_assert((RING_SLOTS & (RING_SLOTS - 1)) == 0, "rings mask their index");
static_assert(SEGMENT_BYTES % PAGE_BYTES == 0, "a segment is whole pages");
static_assert(PAGE_BYTES % BLOCK_BYTES == 0, "a page is whole blocks");
/* A record: header, routes, parts, exchange, key, properties, inline body, behind a segment's header. */
static_assert(2 * BLOCK_BYTES + ROUTES_MAX * 12u + PARTS_MAX * 16u + PROPERTIES_MAX + INLINE_BODY_MAX <=
                  PAGE_BYTES,
              "the largest record fits a page");
static_assert(2 * FRAME_BYTES_MAX + 64 <= RX_CHUNK_BYTES,
              "a whole frame fits a receive chunk behind another's rest");
