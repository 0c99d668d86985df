/*
 * What a trace looks like on the control socket (trace.h), behind "ok", a line with columns and one with what
 * they hold: struct tap_record and its bytes, one behind the other, until either side has enough. Numbers are
 * as this machine has them.
 */
#pragma once

#include "base/tap.h"

enum trace_kind {
    TRACE_IN,  /* the connection's client has sent these, and they have been looked at. offset: in all that it
                  has */
    TRACE_OUT, /* it has been sent these. offset: likewise */
    TRACE_EVENT, /* of a queue: router/trace.h */
    TRACE_ENDED, /* the connection or queue is gone */
    TRACE_LOST,  /* offset: so many records are missing, in all */
};

enum { TRACE_LOGGED_IN = 1 /* flags, of TRACE_IN */ };

#define TRACE_CONNECTION_COLUMNS "name\tprotocol\tpeer\tlocal\tuser"
#define TRACE_QUEUE_COLUMNS      "vhost\tname"

/* The most bytes of a record. */
enum { TRACE_RECORD_BYTES = 2 << 20 };
