/* What gannetctl trace makes of what it is sent (dataplane/trace_format.h): lines for people, or a file for
 * Wireshark. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trace_format.h"

/* ---- lines of a connection (trace_lines.c) ------------------------------------------------------------ */

/* What one side has sent and isn't told of yet: the beginning of a frame. */
struct trace_side {
    uint8_t *bytes;
    size_t len, room;
    uint64_t skip; /* bytes of a long frame that has been told of */
};

struct trace_lines {
    FILE *out;
    const char *protocol; /* the codec's name */
    bool bodies;
    struct trace_side side[2]; /* by enum trace_kind */
    uint64_t lines;
};

/* A line for each frame that is complete with the record's bytes. */
void trace_lines_add(struct trace_lines *lines, const struct tap_record *record, const uint8_t *bytes);
/* Some are missing: what comes next is taken for the beginning of a frame. */
void trace_lines_lost(struct trace_lines *lines);
void trace_lines_free(struct trace_lines *lines);
/* "12:34:56.123456 " */
void trace_put_time(FILE *out, uint64_t ns);
/* The first bytes, those that can't be shown as dots. */
void trace_put_bytes(FILE *out, const uint8_t *bytes, size_t len);

/* ---- lines of a queue (trace_queue.c) -------------------------------------------------------------------
 */

void trace_queue_line(FILE *out, const struct tap_record *record, const uint8_t *bytes, bool bodies);

/* ---- pcap (trace_pcap.c) ----------------------------------------------------------------------------------
 */

struct trace_pcap;

/* peer, local: "127.0.0.1:5672" or "[::1]:5672". NULL with one sentence in error. */
struct trace_pcap *trace_pcap_new(const char *path, const char *peer, const char *local, char *error,
                                  size_t error_size);
/* The record's bytes as TCP segments of IP packets, without what is below: in their places in the stream, so
 * that what has been lost is seen to be missing. */
void trace_pcap_add(struct trace_pcap *pcap, const struct tap_record *record, const uint8_t *bytes);
/* False: the file could not be written in full. */
bool trace_pcap_close(struct trace_pcap *pcap);
