/*
 * The configuration: dotted `key = value` lines, each key a row of options.def. A `#` at the start of a line
 * or behind a space begins a comment. Made at start on the main thread (and again at SIGHUP), read-only from
 * then on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"

/* Items are NUL-terminated. */
struct text_list {
    char **item;
    unsigned count;
};

struct core_list {
    uint16_t core[ROUTERS_MAX];
    unsigned count; /* 0: auto */
};

/* What carries the connections of a listener: the kernel's sockets, or our own TCP on a port of DPDK. */
enum net_transport { NET_SOCKETS, NET_DPDK, NET_TRANSPORTS };
enum congestion { CONGESTION_CUBIC, CONGESTION_NEWRENO };

/* The C type of each option type. SIZE and SHARE: bytes; DURATION: milliseconds. */
#define CONFIG_SIZE       uint64_t
#define CONFIG_SHARE      uint64_t
#define CONFIG_COUNT      uint64_t
#define CONFIG_DURATION   uint64_t
#define CONFIG_BOOL       bool
#define CONFIG_TEXT       char *
#define CONFIG_LIST       struct text_list
#define CONFIG_ADDRESSES  struct text_list
#define CONFIG_PREFIXES   struct text_list
#define CONFIG_IPS        struct text_list
#define CONFIG_CORES      struct core_list
#define CONFIG_LEVEL      enum log_level
#define CONFIG_TRANSPORT  enum net_transport
#define CONFIG_CONGESTION enum congestion

enum option_number {
#define OPTION(field, key, type, preset, least, most, when, help) OPTION_##field,
#define ABSENT(key, what)
#include "options.def"
#undef OPTION
#undef ABSENT
    OPTIONS
};

struct config {
#define OPTION(field, key, type, preset, least, most, when, help) CONFIG_##type field;
#define ABSENT(key, what)
#include "options.def"
#undef OPTION
#undef ABSENT
    char *text[OPTIONS];    /* each value as it was written */
    unsigned line[OPTIONS]; /* of the file, 0 if not from it */
    uint64_t memory;        /* of the machine, in bytes */
};

/* All defaults. memory: of the machine, in bytes, for options that are a share of it. */
void config_init(struct config *config, uint64_t memory);
void config_free(struct config *config);

/* Sets one option. Returns false with one sentence in error; the value is then unchanged. */
bool config_set(struct config *config, const char *key, const char *value, char *error, size_t error_size);
/* Sets one option from "KEY=VALUE". */
bool config_set_pair(struct config *config, const char *pair, char *error, size_t error_size);
/* Reads a file; writes a line to `errors` for each thing wrong in it. Returns how many there were. */
unsigned config_read(struct config *config, const char *path, FILE *errors);

/* The key of the first option from `from` on that differs and is not read again at SIGHUP; *next: where to go
 * on; NULL: no more. */
const char *config_changed(const struct config *old, const struct config *new, unsigned from, unsigned *next);

/* The table for people: as indented text for --help, and as Markdown for OPTIONS.md. */
void config_help(FILE *out);
void config_reference(FILE *out);
/* The same as a file that config_read takes, in which every key is a comment: what is installed as
 * gannet.conf. */
void config_sample(FILE *out);
