#include "fake_journal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "journal/segment.h"

void fake_journal_init(struct fake_journal *journal, uint64_t seed)
{
    *journal = (struct fake_journal){.commands = ring_new(), .handed = FAKE_FIRST, .safe = FAKE_FIRST};
    prng_seed(&journal->prng, seed);
}

void fake_journal_free(struct fake_journal *journal)
{
    ring_free(journal->commands);
    for (unsigned i = 0; i < FAKE_SEGMENTS; i++)
        free(journal->log[i]);
    for (unsigned i = 0; i < FAKE_PAGES_SPILLED; i++)
        free(journal->scratch[i]);
}

uint8_t *fake_journal_at(const struct fake_journal *journal, uint64_t lsn)
{
    uint8_t *segment = journal->log[lsn / SEGMENT_BYTES];
    cr_assert(segment);
    return segment + lsn % SEGMENT_BYTES;
}

static uint64_t sum_of(const struct journal_command *command)
{
    return hash_bytes(span_of(command->bytes, command->len), 1);
}

/* ---- what may be asked ---------------------------------------------------------------------------- */

/* Every write opens with a commit, behind the header if it opens a segment. */
static void check_opening(const struct fake_journal *journal, const struct journal_command *write)
{
    const uint8_t *bytes = write->bytes;
    uint64_t lsn = write->lsn;
    struct segment_header header;
    if (lsn % SEGMENT_BYTES == 0) {
        cr_assert_eq(segment_header_read(bytes, lsn / SEGMENT_BYTES, FAKE_ROUTER, &header), SEGMENT_VALID);
        cr_assert(header.broker == FAKE_BROKER && header.start == FAKE_START);
        cr_assert_leq(header.safe, journal->safe);
        cr_assert_leq(header.checkpoint, header.safe, "a checkpoint that is not safe is not believed");
        bytes += BLOCK_BYTES;
        lsn += BLOCK_BYTES;
    }
    const struct record_commit *commit = record_commit_at(bytes, lsn, FAKE_BROKER);
    cr_assert(commit, "the write at %lu has no commit", (unsigned long)write->lsn);
    cr_assert_eq(commit->start, FAKE_START);
    cr_assert_leq(commit->safe, journal->safe);
}

static void check_write(struct fake_journal *journal, const struct journal_command *write)
{
    cr_assert_eq(write->lsn, journal->handed, "writes leave no gap");
    cr_assert(write->len > 0 && write->len % BLOCK_BYTES == 0 && write->lsn % BLOCK_BYTES == 0);
    cr_assert_eq(write->lsn / PAGE_BYTES, (write->lsn + write->len - 1) / PAGE_BYTES, "one page at a time");
    check_opening(journal, write);
    journal->handed += write->len;
}

static unsigned spills_asked(const struct fake_journal *journal)
{
    unsigned spills = 0;
    for (size_t i = 0; i < journal->count; i++)
        spills += journal->asked[i].kind == JOURNAL_SPILL;
    return spills;
}

static void check_asked(struct fake_journal *journal, const struct journal_command *command)
{
    cr_assert_eq((uintptr_t)command->bytes % BLOCK_BYTES, 0);
    switch ((enum journal_command_kind)command->kind) {
    case JOURNAL_WRITE:
        check_write(journal, command);
        return;
    case JOURNAL_READ:
        cr_assert(command->len == PAGE_BYTES && command->lsn % PAGE_BYTES == 0);
        cr_assert_leq(command->lsn + command->len, journal->safe, "what is read must be there");
        cr_assert(!journal->retired[command->lsn / SEGMENT_BYTES]);
        return;
    case JOURNAL_ASIDE:
        cr_assert_fail("a store puts nothing aside");
    case JOURNAL_RETIRE:
        cr_assert_eq(command->lsn % SEGMENT_BYTES, 0);
        cr_assert(!journal->retired[command->lsn / SEGMENT_BYTES], "retired twice");
        cr_assert_leq(command->lsn + SEGMENT_BYTES, journal->named, "a replay would miss it");
        cr_assert_lt(journal->emptied[command->lsn / SEGMENT_BYTES], journal->safe,
                     "what emptied it is not safe");
        return;
    case JOURNAL_SPILL:
        cr_assert_lt(spills_asked(journal), WRITES_IN_FLIGHT);
        /* fall through */
    case JOURNAL_FETCH:
        cr_assert(command->len == PAGE_BYTES && command->lsn % PAGE_BYTES == 0);
        cr_assert_lt(command->lsn / PAGE_BYTES, FAKE_PAGES_SPILLED,
                     "places in the scratch file are used again");
        return;
    }
    cr_assert_fail("no such command");
}

void fake_journal_take(struct fake_journal *journal, unsigned most)
{
    struct journal_command command;
    while (most-- && ring_take(journal->commands, &command, 1)) {
        cr_assert_lt(journal->count, FAKE_ASKED);
        check_asked(journal, &command);
        bool out = command.kind == JOURNAL_WRITE || command.kind == JOURNAL_SPILL;
        journal->sum[journal->count] = out ? sum_of(&command) : 0;
        journal->asked[journal->count++] = command;
    }
}

bool fake_journal_busy(const struct fake_journal *journal)
{
    return journal->count || ring_waiting(journal->commands);
}

/* ---- doing it ------------------------------------------------------------------------------------- */

static struct journal_event do_write(struct fake_journal *journal, const struct journal_command *write)
{
    uint8_t **segment = &journal->log[write->lsn / SEGMENT_BYTES];
    if (!*segment)
        *segment = calloc(1, SEGMENT_BYTES);
    memcpy(fake_journal_at(journal, write->lsn), write->bytes, write->len);
    journal->safe = write->lsn + write->len;
    journal->writes++;
    if (write->lsn % SEGMENT_BYTES == 0) {
        struct segment_header header;
        memcpy(&header, write->bytes, sizeof header);
        journal->named = header.checkpoint;
    }
    return (struct journal_event){.kind = JOURNAL_SAFE, .lsn = journal->safe};
}

static struct journal_event do_move(struct fake_journal *journal, const struct journal_command *command)
{
    struct journal_event event = {.kind = JOURNAL_DONE, .tag = command->tag};
    bool spill = command->kind == JOURNAL_SPILL;
    uint8_t **place = command->kind == JOURNAL_READ ? NULL : &journal->scratch[command->lsn / PAGE_BYTES];
    if (prng_chance(&journal->prng, spill ? journal->fail_spills : journal->fail_reads)) {
        event.error = EIO;
        if (!spill)
            memset(command->bytes, 0xee, command->len);
        return event;
    }
    if (command->kind == JOURNAL_READ) {
        memcpy(command->bytes, fake_journal_at(journal, command->lsn), command->len);
        journal->reads++;
    } else if (spill) {
        if (!*place)
            *place = malloc(PAGE_BYTES);
        memcpy(*place, command->bytes, command->len);
        journal->spills++;
    } else {
        cr_assert(*place, "what is fetched was spilled before");
        memcpy(command->bytes, *place, command->len);
        journal->fetches++;
    }
    return event;
}

static void do_retire(struct fake_journal *journal, const struct journal_command *command)
{
    uint64_t segment = command->lsn / SEGMENT_BYTES;
    journal->retired[segment] = true;
    memset(journal->log[segment], 0xdd, SEGMENT_BYTES);
    journal->retires++;
}

static void forget(struct fake_journal *journal, size_t i)
{
    journal->count--;
    memmove(&journal->asked[i], &journal->asked[i + 1], (journal->count - i) * sizeof journal->asked[0]);
    memmove(&journal->sum[i], &journal->sum[i + 1], (journal->count - i) * sizeof journal->sum[0]);
}

/* Writes and retirements are done in their order, all else in any. */
bool fake_journal_do(struct fake_journal *journal, struct journal_event *event)
{
    if (!journal->count)
        return false;
    size_t i = prng_below(&journal->prng, journal->count);
    if (journal->asked[i].kind == JOURNAL_WRITE || journal->asked[i].kind == JOURNAL_RETIRE)
        for (i = 0; journal->asked[i].kind != JOURNAL_WRITE && journal->asked[i].kind != JOURNAL_RETIRE;)
            i++;
    struct journal_command command = journal->asked[i];
    if (journal->sum[i])
        cr_assert_eq(journal->sum[i], sum_of(&command), "what was to be written has changed");
    forget(journal, i);
    if (command.kind == JOURNAL_RETIRE) {
        do_retire(journal, &command);
        return false;
    }
    *event = command.kind == JOURNAL_WRITE ? do_write(journal, &command) : do_move(journal, &command);
    return true;
}

/* ---- reading it as a recovery would --------------------------------------------------------------- */

/* Returns the sum that the next page's first record must carry. end: of what is safe, in this page at most
 * PAGE_BYTES. */
static uint32_t walk_page(const uint8_t *page, uint64_t lsn, size_t end, uint32_t before,
                          void (*visit)(void *, const struct record *, uint64_t), void *owner)
{
    struct record_scan scan;
    const struct record *record;
    uint64_t at;
    record_scan_begin(&scan, page, lsn, FAKE_BROKER);
    if (lsn % SEGMENT_BYTES == 0) {
        struct segment_header header;
        cr_assert_eq(segment_header_read(page, lsn / SEGMENT_BYTES, FAKE_ROUTER, &header), SEGMENT_VALID);
        cr_assert(before == 0 || header.before == before, "the header chains");
        before = header.sum;
    }
    while (scan.at < end && (record = record_next(&scan, &at))) {
        cr_assert(before == 0 || record->before == before, "record at %lu chains", (unsigned long)at);
        cr_assert_leq(at % PAGE_BYTES + record->length, PAGE_BYTES);
        before = record->sum;
        if (record->type >= RECORD_OWN)
            visit(owner, record, at);
    }
    cr_assert_geq(scan.at, end, "the walk ends at %zu of %zu in page %lu", scan.at, end, (unsigned long)lsn);
    return before;
}

void fake_journal_walk(const struct fake_journal *journal,
                       void (*visit)(void *, const struct record *, uint64_t), void *owner)
{
    uint32_t before = 0;
    for (uint64_t lsn = FAKE_FIRST; lsn < journal->safe; lsn += PAGE_BYTES) {
        size_t end = journal->safe - lsn < PAGE_BYTES ? journal->safe - lsn : PAGE_BYTES;
        if (journal->retired[lsn / SEGMENT_BYTES])
            before = 0;
        else
            before = walk_page(fake_journal_at(journal, lsn), lsn, end, before, visit, owner);
    }
}
