/* Where the consumer of a stream begins, what it wants of it, and how far it has come. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct known_consumer;
struct known_entry;
struct known_message;

struct known_cursor {
    enum {
        CURSOR_NEXT,
        CURSOR_FIRST,
        CURSOR_LAST,
        CURSOR_NUMBER,
        CURSOR_SINCE, /* a time; and one that is so long before its consume */
        CURSOR_AGO,
    } kind;                          /* where it began */
    uint64_t number;                 /* of the message; or ms, since the simulation's own beginning, or ago */
    uint64_t least_ms, most_ms;      /* of the last two: between these it begins; UINT64_MAX: not known yet */
    bool filters, unfiltered;        /* it wants some; and those that have no value to filter by */
    unsigned wants;                  /* bits of the values, as of messages */
    uint64_t shown;                  /* offsets below had been shown to somebody when it asked */
    uint64_t asked;                  /* stamp */
    uint64_t next;                   /* the offset behind the last that it has got; 0: it has got none */
    const struct known_entry *first; /* that it has got */
};

/* The consumer, whose cursor has been read and whose request began at begun_ns, is a new one. */
void model_cursor_joins(struct known_consumer *consumer);
/* It has been told that it is one. */
void model_cursor_joined(struct known_consumer *consumer, uint64_t now_ms);
/* Whether its filter lets the message through. */
bool model_cursor_passes(const struct known_cursor *cursor, const struct known_message *message);
/* Whether it can't have begun with the message; limited: its stream may have lost the oldest. */
bool model_cursor_is_wrong(const struct known_cursor *cursor, const struct known_message *message,
                           uint64_t offset, bool limited);
/* Whether the message, if it was there, surely had to be sent to it: at which offset it is doesn't tell. */
bool model_cursor_wants(const struct known_consumer *consumer, const struct known_entry *entry);
/* Whether the message is surely where it began, or behind that. */
bool model_cursor_is_behind(const struct known_consumer *consumer, const struct known_entry *entry);
/* For the report. */
void model_cursor_note(const struct known_consumer *consumer);
