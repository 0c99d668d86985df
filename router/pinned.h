/*
 * What operators are shown of the journal's segments, and of what keeps them on disk: OP_LIST of segments and
 * of pins, a slice in one turn as router/listing.h has it.
 *
 * A segment is there as long as a queue has a message in it (its record, or parts of its body), a restart
 * would begin to read in it or before it, or it is being written.
 */
#pragma once

struct op;
struct router;

/* state: open (being written), replay (a restart would read it: until the next checkpoint), copying (its
 * messages are being copied forward), sparse (they will be when the log has gone on by wait_bytes), failed
 * (they couldn't be, and it is tried again then), empty (it goes as soon as that is safe), full (more than a
 * quarter of it is needed: nobody copies that). wait_bytes: until then, or of the log until the next
 * checkpoint. */
#define SEGMENT_COLUMNS "router#\tsegment\tmessages#\tlive_bytes#\tsegment_bytes#\tstate\twait_bytes#"

/* Of the segments op->which[0] to [1]: a queue's messages in one of them, as far as the slice has seen them;
 * rows of the same queue and segment are to be added up. kind: a queue's type; delayed, history or retained
 * (name: of the exchange that they are kept for). queue: the router's handle. first, unacknowledged_first,
 * unacknowledged_last: numbers in the queue; the latter 0 if there are none. */
#define PIN_COLUMNS                                                                                          \
    "router#\tsegment\tvhost\tname\tkind\tqueue\tmessages#\tbytes#\tunacknowledged#\tfirst#\t"               \
    "unacknowledged_first#\tunacknowledged_last#\tconsumers#"

void pinned_segments(struct router *router, struct op *op);
void pinned_pins(struct router *router, struct op *op);
