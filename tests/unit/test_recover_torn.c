/*
 * What a crash leaves behind the end of the log: torn writes, stale tails, and many random lives. Built with
 * GANNET_TINY.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "journal/segment.h"
#include "journal/storage.h"
#include "journal/storage_sim.h"
#include "test_journal_writer.h"

static struct sim_disk *disk;
static struct writer w;

static void set_up(void)
{
    disk = sim_disk_new(11);
    writer_init(&w);
}

static void tear_down(void)
{
    writer_free(&w);
    sim_disk_free(disk);
}

TestSuite(recover_torn, .init = set_up, .fini = tear_down, .timeout = 300);

static int reopen(void)
{
    return writer_open(&w, storage_sim_new(disk, WRITER_ROUTER));
}

static void open_good(void)
{
    cr_assert(reopen() == 0, "%s", w.error);
}

static void append_writes(unsigned writes, unsigned records, size_t len)
{
    for (unsigned i = 0; i < writes; i++) {
        for (unsigned j = 0; j < records; j++)
            writer_append(&w, len + 8 * j);
        cr_assert(writer_settle(&w));
    }
}

enum { TORN_RECORDS = 14 };

/* A log of which the last write, of some pages, is about to be torn: its disk before and after. */
struct torn {
    uint8_t before[SEGMENT_BYTES], after[SEGMENT_BYTES];
    uint64_t from, to; /* offsets of the write in its segment */
};

static void make_torn(struct torn *t)
{
    open_good();
    append_writes(2, 3, 500);
    memcpy(t->before, sim_disk_bytes(disk, WRITER_ROUTER, 1), SEGMENT_BYTES);
    size_t promised = w.promised;
    t->from = w.lsn % SEGMENT_BYTES;
    for (unsigned i = 0; i < TORN_RECORDS; i++)
        writer_append(&w, 1700);
    cr_assert(writer_settle(&w));
    t->to = w.lsn % SEGMENT_BYTES;
    memcpy(t->after, sim_disk_bytes(disk, WRITER_ROUTER, 1), SEGMENT_BYTES);
    writer_close(&w);
    w.promised = promised; /* as if it had never been told */
}

/* Recovers from what is there, goes on, and recovers again. `again` more records are like those that were
 * torn, so that they end where those did. */
static void go_on(unsigned again)
{
    open_good();
    cr_assert(w.end.lsn >= w.end.safe && w.end.lsn % BLOCK_BYTES == 0);
    for (unsigned i = 0; i < again; i++)
        writer_append(&w, 1700);
    cr_assert(writer_settle(&w));
    size_t count = w.count;
    writer_close(&w);
    open_good();
    cr_assert(w.count == count, "%zu records, not %zu", w.count, count);
    writer_close(&w);
}

enum tear { TEAR_HEAD, TEAR_TAIL, TEAR_ONE, TEARS };

static void tear(const struct torn *t, enum tear how, uint64_t sector, unsigned again)
{
    uint8_t *bytes = sim_disk_bytes(disk, WRITER_ROUTER, 1);
    for (uint64_t at = t->from; at < t->to; at += 512) {
        bool lost = how == TEAR_HEAD ? at >= sector : how == TEAR_TAIL ? at < sector : at == sector;
        if (lost)
            memcpy(bytes + at, t->before + at, 512);
    }
    go_on(again);
}

Test(recover_torn, a_write_torn_at_any_sector_is_cut)
{
    static struct torn t;
    for (unsigned how = 0; how < TEARS; how++)
        for (uint64_t i = 0;; i++) {
            tear_down();
            set_up();
            make_torn(&t);
            if (t.from + i * 512 >= t.to)
                break;
            tear(&t, (enum tear)how, t.from + i * 512, (unsigned)(i % TORN_RECORDS));
        }
    tear_down();
    set_up();
}

/* The same records at the same places, torn again: only the commit's `start` tells the two starts apart. */
Test(recover_torn, a_stale_tail_never_chains_to_what_a_later_start_wrote)
{
    static struct torn t;
    for (uint64_t lost = 0; lost < 40; lost++)
        for (uint64_t kept = 0; kept <= lost + 2; kept++) {
            tear_down();
            set_up();
            make_torn(&t);
            uint64_t id = w.next_id - TORN_RECORDS;
            uint8_t *bytes = sim_disk_bytes(disk, WRITER_ROUTER, 1);
            uint64_t at = t.from + lost * 512;
            if (at >= t.to)
                break;
            memcpy(bytes + at, t.before + at, 512);
            static uint8_t stale[SEGMENT_BYTES];
            memcpy(stale, bytes, SEGMENT_BYTES);
            open_good();
            size_t count = w.count;
            uint64_t from = w.lsn % SEGMENT_BYTES;
            w.next_id = id + (count > 6 ? count - 6 : 0);
            while (w.next_id < id + TORN_RECORDS)
                writer_append(&w, 1700);
            cr_assert(writer_settle(&w));
            writer_close(&w);
            w.promised = count;
            /* of the second try only the first sectors got there */
            for (uint64_t s = from + kept * 512; s < t.to + BLOCK_BYTES; s += 512)
                memcpy(bytes + s, stale + s, 512);
            open_good();
            for (size_t i = 0; i < w.replayed_count; i++)
                cr_assert(i < count || w.replayed[i].lsn < SEGMENT_BYTES + from + kept * 512,
                          "lost %lu kept %lu: record %zu came back to life", lost, kept, i);
            writer_close(&w);
        }
    tear_down();
    set_up();
}

/* Writes 2 and 3 were there, write 1 was not: their commits stay behind the end, and say nothing false. */
Test(recover_torn, stale_commits_prove_nothing)
{
    open_good();
    append_writes(2, 3, 500);
    size_t promised = w.promised;
    uint64_t hole = w.lsn % SEGMENT_BYTES;
    append_writes(4, 3, 500);
    uint64_t claim = w.claim;
    writer_close(&w);
    memset(sim_disk_bytes(disk, WRITER_ROUTER, 1) + hole, 0, BLOCK_BYTES);
    /* Those commits were made up while the write in the hole was still under way. */
    uint8_t *bytes = sim_disk_bytes(disk, WRITER_ROUTER, 1);
    for (uint64_t at = hole; at < SEGMENT_BYTES; at += BLOCK_BYTES) {
        struct record_commit *commit = (struct record_commit *)(bytes + at);
        if (!record_commit_at(bytes + at, SEGMENT_BYTES + at, w.broker))
            continue;
        commit->safe = SEGMENT_BYTES + hole;
        record_seal(&commit->record, SEGMENT_BYTES + at, commit->record.before);
    }
    cr_assert(claim > SEGMENT_BYTES + hole);
    w.promised = promised;
    open_good();
    cr_assert(w.count == promised && w.end.lsn == SEGMENT_BYTES + hole);
    cr_assert(w.end.cut_bytes >= 2 * BLOCK_BYTES, "%lu", w.end.cut_bytes);
    append_writes(1, 1, 100);
    size_t count = w.count;
    writer_close(&w);
    open_good();
    cr_assert(w.count == count);
    writer_close(&w);
    /* The new write is the last: damaged, it is cut, for nothing proves it. The stale commits behind it must
     * not. */
    w.promised = promised;
    sim_disk_corrupt(disk, WRITER_ROUTER, 1, hole + 50, 1);
    open_good();
    cr_assert(w.count == promised);
    writer_close(&w);
}

/* What a publisher sends can look like a commit in every byte but the broker's id. */
Test(recover_torn, a_forged_commit_in_a_body_proves_nothing)
{
    open_good();
    append_writes(2, 3, 500);
    size_t promised = w.promised;
    writer_append(&w, 7800);
    cr_assert(writer_settle(&w));
    uint64_t block = w.lsn - BLOCK_BYTES;
    writer_close(&w);
    uint8_t *bytes = sim_disk_bytes(disk, WRITER_ROUTER, 1) + block % SEGMENT_BYTES;
    struct record_commit *commit = (struct record_commit *)bytes;
    *commit = (struct record_commit){{.length = sizeof *commit, .type = RECORD_COMMIT}, UINT64_MAX, 1, 1};
    record_seal(&commit->record, block, 0);
    w.promised = promised;
    open_good();
    cr_assert(w.count == promised);
    writer_close(&w);
}

/* ---- chance -------------------------------------------------------------------------------------- */

/* When everything up to the candidate is safe it is named, and what is behind it retired. */
static void maybe_checkpoint(uint64_t *candidate)
{
    if (!*candidate || w.claim <= *candidate)
        return;
    w.checkpoint = *candidate;
    *candidate = 0;
    uint64_t numbers[64];
    struct journal_end end = {.lsn = w.lsn};
    unsigned count = journal_segments(w.storage, &end, numbers, 64);
    for (unsigned i = 0; i < count && i < 64; i++)
        if (segment_start(numbers[i] + 1) <= w.checkpoint)
            writer_command(&w, JOURNAL_RETIRE, segment_start(numbers[i]), NULL, 0, 0);
}

static void live(struct prng *prng)
{
    uint64_t candidate = 0;
    for (uint64_t steps = prng_below(prng, 60); steps; steps--) {
        uint64_t what = prng_below(prng, 20);
        if (what < 10)
            writer_append(&w, prng_below(prng, what < 8 ? 600 : 7000));
        else if (what < 14)
            writer_flush(&w);
        else if (what == 14 && prng_below(prng, 4) == 0) {
            writer_new_segment(&w, prng_below(prng, 2));
            candidate = candidate ? candidate : w.lsn + BLOCK_BYTES;
        } else
            writer_poll(&w);
        maybe_checkpoint(&candidate);
    }
    if (prng_below(prng, 4) == 0)
        writer_settle(&w);
}

Test(recover_torn, nothing_promised_is_lost_and_nothing_cut_returns)
{
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct prng prng;
        prng_seed(&prng, seed ^ 0x5555);
        tear_down();
        disk = sim_disk_new(seed);
        writer_init(&w);
        w.start = seed;
        sim_disk_faults(disk)->steps_max = (uint32_t)prng_below(&prng, 20);
        for (unsigned life = 0; life < 8; life++) {
            cr_assert(reopen() == 0, "seed %lu, life %u: %s", seed, life, w.error);
            live(&prng);
            cr_assert(w.failed == 0 && w.fulls == 0, "seed %lu, life %u: errno %u", seed, life, w.failed);
            sim_disk_crash(disk, prng_below(&prng, 2) ? SIM_POWER : SIM_KILL);
            writer_close(&w);
        }
    }
}
