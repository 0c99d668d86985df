/* A front's part of a trace (trace.h): the connection that is looked at has its bytes copied into a tap. Of
 * all others, and when nobody looks, a branch on host->tap is all. */
#include <string.h>

#include "base/check.h"
#include "front_inside.h"
#include "trace_format.h"

static struct tap_record record_of(const struct host *host, enum trace_kind kind, size_t bytes,
                                   uint64_t offset)
{
    const struct front *front = host->front;
    return (struct tap_record){.bytes = (uint32_t)bytes,
                               .kind = (uint8_t)kind,
                               .flags = host->about ? TRACE_LOGGED_IN : 0,
                               .offset = offset,
                               .ns = front->options.epoch_ns + front->now_ns};
}

void trace_input(struct host *host, struct span bytes, bool logged_in)
{
    struct tap_record record = record_of(host, TRACE_IN, bytes.len, host->bytes_in);
    record.flags = logged_in ? TRACE_LOGGED_IN : 0;
    const struct iovec piece = {(void *)(uintptr_t)bytes.at, bytes.len};
    tap_put(host->tap, record, &piece, 1);
}

/* What was written before the trace began may end in the middle of a frame, and is left out. */
void trace_output(struct host *host, const struct iovec *iov, int n, size_t took)
{
    struct iovec piece[OUTPUT_IOVS];
    size_t skip = host->tap_skip < took ? host->tap_skip : took;
    struct tap_record record = record_of(host, TRACE_OUT, took - skip, host->output.taken + skip);
    host->tap_skip -= skip;
    memcpy(piece, iov, (size_t)n * sizeof *iov);
    for (int i = 0; i < n && skip; i++) {
        size_t less = piece[i].iov_len < skip ? piece[i].iov_len : skip;
        piece[i].iov_base = (uint8_t *)piece[i].iov_base + less;
        piece[i].iov_len -= less;
        skip -= less;
    }
    if (record.bytes)
        tap_put(host->tap, record, piece, n);
}

void trace_ended(struct host *host)
{
    tap_put(host->tap, record_of(host, TRACE_ENDED, 0, 0), NULL, 0);
    host->tap = NULL;
    host->front->traced = NULL;
}

void front_trace(struct front *front, struct host *host, struct tap *tap)
{
    if (front->traced)
        front->traced->tap = NULL;
    front->traced = host;
    if (!host)
        return;
    host->tap = tap;
    host->tap_skip = host->output.unsent;
}
