/*
 * A turn of the journal:
 *   storage answers → hear: a write, a side task (READ, SPILL, FETCH) or the reserve's task is done
 *   ring → take: WRITEs into one backlog, side tasks into another, RETIREs to the reserve
 *   backlog → start_writes: ranges that follow each other become one write (that is the group commit),
 * several in flight submit: one system call for all that was started tell: SAFE for the writes that are done
 * with none undone before them; FULL, ROOM, FAILED when that changes Writes may be done in any order;
 * `flights` is a queue, and only its front moves what is safe.
 */
#include "journal/journal.h"

#include <stdlib.h>

#include "base/check.h"
#include "journal/backlog.h"
#include "journal/reserve.h"
#include "journal/segment.h"
#include "journal/storage.h"

#define JOURNAL_MAGIC  0x6a6f75726e616c31u
#define SIDES          16u /* side tasks in flight */
#define TAKE           16u /* commands or answers taken at once */
#define EVENTS_IN_HAND 6u  /* of the event ring, for SAFE, READY, SET, FULL or ROOM, and FAILED */

static_assert(WRITES_IN_FLIGHT + SIDES + 1 <= STORAGE_REQUESTS, "what is under way at once");
static_assert(PAGE_BYTES <= WRITE_BYTES && RING_SLOTS > EVENTS_IN_HAND + 1, "progress is possible");

enum token { TOKEN_WRITE = 0, TOKEN_SIDE = 256, TOKEN_RESERVE = 512 };

/* One write under way. */
struct flight {
    uint64_t end;        /* LSN behind it */
    uint64_t checkpoint; /* LSN that a header in it names */
    bool done;
    uint64_t began_ns, sealed_ns; /* when it was started; when its first range was sealed, or 0 */
    uint32_t ranges;
};

struct side {
    uint64_t tag;
    bool busy;
};

/* Owned by whoever made it; used on one thread at a time. */
struct journal {
    uint64_t magic;
    struct storage *storage;
    struct ring *commands, *events;
    struct flight flights[WRITES_IN_FLIGHT];
    unsigned flight_first, flight_count;
    struct side sides[SIDES];
    unsigned sides_busy;
    uint64_t taken;      /* LSN behind the newest WRITE taken */
    uint64_t safe;       /* LSN */
    uint64_t claim;      /* LSN that may be called safe in a commit */
    uint64_t safe_told;  /* LSN */
    uint64_t ready_told; /* number of a segment */
    uint64_t checkpoint; /* LSN, named by a header that is safe */
    uint32_t error;      /* errno of the failure, for good */
    bool failed_told, aside_asked;
    enum reserve_level level_told;
    uint32_t router;
    uint64_t broker;
    struct backlog writes, asides;
    struct reserve reserve;
    struct journal_stats stats;
};

struct journal *journal_new(struct storage *storage, const struct journal_options *options,
                            struct ring *commands, struct ring *events, const struct journal_end *end)
{
    CHECK(end->lsn % BLOCK_BYTES == 0 && end->lsn >= SEGMENT_BYTES);
    struct journal *journal = calloc(1, sizeof *journal);
    CHECK(journal);
    journal->magic = JOURNAL_MAGIC;
    journal->storage = storage;
    journal->commands = commands;
    journal->events = events;
    journal->router = options->router;
    journal->broker = end->broker;
    journal->taken = journal->safe = journal->safe_told = end->lsn;
    journal->claim = end->safe;
    journal->checkpoint = end->checkpoint;
    journal->stats.disk_free_limit = options->disk_free_limit;
    reserve_init(&journal->reserve, storage, TOKEN_RESERVE, end->lsn, options->disk_free_limit);
    journal->reserve.margin = options->disk_free_margin;
    return journal;
}

void journal_free(struct journal *journal)
{
    CHECK(journal->magic == JOURNAL_MAGIC);
    journal->magic = 0;
    free(journal);
}

static void fail(struct journal *journal, uint32_t error)
{
    if (!journal->error)
        journal->error = error;
}

/* ---- hear -------------------------------------------------------------------------------------- */

static void measure(struct journal *journal, const struct flight *flight, uint64_t now_ns)
{
    histogram_add(&journal->stats.sync, elapsed_ns(flight->began_ns, now_ns), 1);
    if (flight->sealed_ns)
        histogram_add(&journal->stats.safe, elapsed_ns(flight->sealed_ns, now_ns), flight->ranges);
}

static void write_done(struct journal *journal, unsigned slot, uint32_t error, uint64_t now_ns)
{
    journal->flights[slot].done = true;
    if (!error)
        measure(journal, &journal->flights[slot], now_ns);
    if (error)
        fail(journal, error);
    while (journal->flight_count && journal->flights[journal->flight_first].done) {
        const struct flight *first = &journal->flights[journal->flight_first];
        if (!journal->error) {
            journal->safe = journal->claim = first->end;
            journal->checkpoint =
                first->checkpoint > journal->checkpoint ? first->checkpoint : journal->checkpoint;
        }
        journal->flight_first = (journal->flight_first + 1) % WRITES_IN_FLIGHT;
        journal->flight_count--;
    }
}

static void side_done(struct journal *journal, unsigned slot, uint32_t error)
{
    struct journal_event event = {.kind = JOURNAL_DONE, .error = error, .tag = journal->sides[slot].tag};
    CHECK(ring_put(journal->events, &event, 1) == 1);
    journal->sides[slot].busy = false;
    journal->sides_busy--;
}

static void reserve_done(struct journal *journal, uint32_t error, uint64_t now_ns)
{
    reserve_on_done(&journal->reserve, error, now_ns);
    if (journal->reserve.error)
        fail(journal, journal->reserve.error);
}

/* Every answer may become an event, so only as many are heard as there is room for. */
static unsigned hear(struct journal *journal, uint64_t now_ns)
{
    struct storage_done done[TAKE];
    unsigned room = ring_room(journal->events);
    if (room <= EVENTS_IN_HAND)
        return 0;
    unsigned most = room - EVENTS_IN_HAND < TAKE ? room - EVENTS_IN_HAND : TAKE;
    unsigned n = journal->storage->table->poll(journal->storage, done, most);
    for (unsigned i = 0; i < n; i++) {
        if (done[i].token >= TOKEN_RESERVE)
            reserve_done(journal, done[i].error, now_ns);
        else if (done[i].token >= TOKEN_SIDE)
            side_done(journal, (unsigned)(done[i].token - TOKEN_SIDE), done[i].error);
        else
            write_done(journal, (unsigned)(done[i].token - TOKEN_WRITE), done[i].error, now_ns);
    }
    return n;
}

/* ---- take -------------------------------------------------------------------------------------- */

/* What recovery relies on is the router's to keep: a range opens with a commit (behind a segment's header),
 * which is signed with what makes it ours and of this start. */
static void check_range(struct journal *journal, const struct journal_command *command)
{
    uint64_t lsn = command->lsn, end = lsn + command->len;
    CHECK(command->len && lsn % BLOCK_BYTES == 0 && command->len % BLOCK_BYTES == 0);
    CHECK(lsn / PAGE_BYTES == (end - 1) / PAGE_BYTES);
    CHECK(lsn == journal->taken || lsn == segment_start(segment_of(journal->taken) + 1));
    const uint8_t *at = command->bytes;
    if (lsn % SEGMENT_BYTES == 0) {
        const struct segment_header *header = (const struct segment_header *)at;
        CHECK(header->router == journal->router && header->segment == segment_of(lsn) && header->broker &&
              header->start && header->safe <= journal->claim);
        CHECK(command->len > BLOCK_BYTES);
        journal->broker = header->broker;
        at += BLOCK_BYTES;
    }
    const struct record_commit *commit = (const struct record_commit *)at;
    CHECK(commit->record.type == RECORD_COMMIT && commit->record.length == sizeof *commit);
    CHECK(commit->broker == journal->broker && commit->start && commit->safe <= journal->claim);
}

static void take_write(struct journal *journal, const struct journal_command *command)
{
    uint64_t lsn = command->lsn, end = lsn + command->len;
    check_range(journal, command);
    journal->taken = end;
    if (journal->error)
        return;
    journal->reserve.current = segment_of(lsn);
    backlog_put(&journal->writes, command);
}

static void take_command(struct journal *journal, const struct journal_command *command)
{
    switch ((enum journal_command_kind)command->kind) {
    case JOURNAL_WRITE:
        take_write(journal, command);
        return;
    case JOURNAL_RETIRE:
        CHECK(command->lsn % SEGMENT_BYTES == 0 && command->lsn + SEGMENT_BYTES <= journal->taken);
        if (!journal->error)
            reserve_retire(&journal->reserve, segment_of(command->lsn), journal->taken);
        return;
    case JOURNAL_ASIDE:
        reserve_put_aside(&journal->reserve, command->lsn);
        journal->aside_asked = true;
        return;
    case JOURNAL_READ:
    case JOURNAL_SPILL:
    case JOURNAL_FETCH:
        CHECK(command->len && command->len % BLOCK_BYTES == 0 && command->lsn % BLOCK_BYTES == 0);
        backlog_put(&journal->asides, command);
        return;
    }
    UNREACHABLE();
}

/* How many commands of any kind can be taken. */
static unsigned room_to_take(const struct journal *journal)
{
    unsigned used = journal->writes.count;
    if (journal->asides.count > used)
        used = journal->asides.count;
    if (journal->reserve.count > used)
        used = journal->reserve.count;
    return RING_SLOTS - used < TAKE ? RING_SLOTS - used : TAKE;
}

static unsigned take(struct journal *journal)
{
    struct journal_command commands[TAKE];
    unsigned taken = 0, n;
    do {
        n = ring_take(journal->commands, commands, room_to_take(journal));
        for (unsigned i = 0; i < n; i++)
            take_command(journal, &commands[i]);
        taken += n;
    } while (n == TAKE && taken < RING_SLOTS);
    return taken;
}

/* ---- start ------------------------------------------------------------------------------------- */

/* Adds a range to the pieces of a write; false if it takes another piece and there is none left. */
static bool add_piece(struct iovec *iov, unsigned *iovs, const struct journal_command *command)
{
    struct iovec *last = *iovs ? &iov[*iovs - 1] : NULL;
    if (last && (uint8_t *)last->iov_base + last->iov_len == command->bytes) {
        last->iov_len += command->len;
        return true;
    }
    if (*iovs == STORAGE_IOVS)
        return false;
    iov[(*iovs)++] = (struct iovec){command->bytes, command->len};
    return true;
}

/* Takes from the backlog what can go into one write. Returns the LSN behind it; *ranges: of how many
 * commands. */
static uint64_t gather(struct journal *journal, struct iovec *iov, unsigned *iovs, uint32_t *ranges)
{
    const struct journal_command *command = backlog_first(&journal->writes);
    uint64_t start = command->lsn, end = start;
    while (command && command->lsn == end && command->lsn + command->len - start <= WRITE_BYTES &&
           segment_of(command->lsn) == segment_of(start) && add_piece(iov, iovs, command)) {
        end = command->lsn + command->len;
        ++*ranges;
        backlog_drop_first(&journal->writes);
        command = backlog_first(&journal->writes);
    }
    return end;
}

static bool can_write(struct journal *journal)
{
    const struct journal_command *command = backlog_first(&journal->writes);
    return command && journal->flight_count < WRITES_IN_FLIGHT &&
           segment_of(command->lsn) <= journal->reserve.ready;
}

/* The checkpoint that a range names, if it begins with a segment's header. */
static uint64_t named_checkpoint(const struct journal_command *command)
{
    const struct segment_header *header = (const struct segment_header *)command->bytes;
    return command->lsn % SEGMENT_BYTES == 0 && header->checkpoint <= header->safe ? header->checkpoint : 0;
}

static void start_write(struct journal *journal, uint64_t now_ns)
{
    struct iovec iov[STORAGE_IOVS];
    uint32_t ranges = 0;
    unsigned iovs = 0;
    unsigned slot = (journal->flight_first + journal->flight_count++) % WRITES_IN_FLIGHT;
    const struct journal_command *first = backlog_first(&journal->writes);
    uint64_t start = first->lsn, checkpoint = named_checkpoint(first), sealed_ns = first->sealed_ns;
    uint64_t end = gather(journal, iov, &iovs, &ranges);
    journal->flights[slot] = (struct flight){
        .end = end, .checkpoint = checkpoint, .began_ns = now_ns, .sealed_ns = sealed_ns, .ranges = ranges};
    journal->storage->table->write(journal->storage, segment_of(start), start % SEGMENT_BYTES, iov, iovs,
                                   STORAGE_STABLE, TOKEN_WRITE + slot);
}

static unsigned start_writes(struct journal *journal, uint64_t now_ns)
{
    unsigned started = 0;
    for (; can_write(journal); started++)
        start_write(journal, now_ns);
    return started;
}

static void start_side(struct journal *journal, unsigned slot, const struct journal_command *command)
{
    const struct storage_table *table = journal->storage->table;
    struct iovec iov = {command->bytes, command->len};
    journal->sides[slot] = (struct side){.tag = command->tag, .busy = true};
    journal->sides_busy++;
    if (command->kind == JOURNAL_READ)
        table->read(journal->storage, segment_of(command->lsn), command->lsn % SEGMENT_BYTES, command->bytes,
                    command->len, TOKEN_SIDE + slot);
    else if (command->kind == JOURNAL_FETCH)
        table->read(journal->storage, STORAGE_SCRATCH, command->lsn, command->bytes, command->len,
                    TOKEN_SIDE + slot);
    else
        table->write(journal->storage, STORAGE_SCRATCH, command->lsn, &iov, 1, STORAGE_VOLATILE,
                     TOKEN_SIDE + slot);
}

static unsigned start_sides(struct journal *journal)
{
    unsigned started = 0;
    for (unsigned slot = 0; slot < SIDES && journal->asides.count; slot++) {
        if (journal->sides[slot].busy)
            continue;
        start_side(journal, slot, backlog_first(&journal->asides));
        backlog_drop_first(&journal->asides);
        started++;
    }
    return started;
}

/* After a failure nothing new is written: what waits is forgotten, the disk is only read. */
static unsigned start(struct journal *journal, uint64_t now_ns)
{
    unsigned started = start_sides(journal);
    if (journal->error) {
        journal->writes.count = 0;
    } else {
        started += start_writes(journal, now_ns);
        started += reserve_poll(&journal->reserve, journal->safe, journal->checkpoint, now_ns);
    }
    if (started)
        journal->storage->table->submit(journal->storage);
    return started;
}

/* ---- tell -------------------------------------------------------------------------------------- */

static bool tell_one(struct journal *journal, enum journal_event_kind kind, uint64_t lsn, uint32_t error)
{
    struct journal_event event = {.kind = (uint8_t)kind, .lsn = lsn, .error = error};
    return ring_put(journal->events, &event, 1) == 1;
}

static unsigned tell(struct journal *journal)
{
    unsigned told = 0;
    enum reserve_level level = reserve_level(&journal->reserve);
    if (journal->safe > journal->safe_told && tell_one(journal, JOURNAL_SAFE, journal->safe, 0)) {
        journal->safe_told = journal->safe;
        told++;
    }
    if (journal->reserve.ready != journal->ready_told &&
        tell_one(journal, JOURNAL_READY, segment_start(journal->reserve.ready + 1), 0)) {
        journal->ready_told = journal->reserve.ready;
        told++;
    }
    if (level != journal->level_told && !journal->error &&
        tell_one(journal, level == RESERVE_ROOM ? JOURNAL_ROOM : JOURNAL_FULL, level == RESERVE_ASIDE, 0)) {
        journal->level_told = level;
        told++;
    }
    if (journal->aside_asked && journal->reserve.measured &&
        tell_one(journal, JOURNAL_SET, journal->reserve.more, 0)) {
        journal->aside_asked = false;
        told++;
    }
    if (journal->error && !journal->failed_told && tell_one(journal, JOURNAL_FAILED, 0, journal->error)) {
        journal->failed_told = true;
        told++;
    }
    return told;
}

unsigned journal_poll(struct journal *journal, uint64_t now_ns)
{
    unsigned work = hear(journal, now_ns);
    work += take(journal);
    work += start(journal, now_ns);
    work += tell(journal);
    return work;
}

const struct journal_stats *journal_stats(const struct journal *journal)
{
    return &journal->stats;
}

bool journal_idle(const struct journal *journal)
{
    return !journal->flight_count && !journal->writes.count && !journal->asides.count &&
           !journal->sides_busy && journal->reserve.task == RESERVE_RESTS &&
           ring_waiting(journal->commands) == 0 && journal->safe_told == journal->safe;
}
