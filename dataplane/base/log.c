/*
 * A line's way: log_line takes a slot, fills it, hands it over with the slot's turn, posts; the writer wakes,
 * turns slots into text, gives the slots back, writes.
 *
 * The buffer is a queue of many producers and one consumer. A slot's turn says whose it is: 2 * round for
 * producers, 2 * round + 1 for the writer, so that neither can mistake one round for the next.
 */
#include "base/log.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#define SLOTS      1024u /* a power of two */
#define TEXT_BYTES 488u  /* longer texts are cut */
#define LINE_BYTES (TEXT_BYTES + 128u)

struct slot {
    _Atomic uint64_t turn;
    uint64_t wall_ns; /* 0: unknown */
    const char *agent;
    enum log_level level;
    char text[TEXT_BYTES];
};

static struct {
    struct slot slots[SLOTS];
    _Atomic uint64_t tail; /* slots ever taken by producers */
    uint64_t head;         /* slots ever written; the writer's */
    _Atomic uint64_t lost; /* lines that found no slot */
    uint64_t lost_told;    /* the writer's */
    _Atomic bool running;
    _Atomic bool stopping;
    _Atomic int most;
    bool journal; /* stderr is systemd's journal; set before the writer runs */
    uint64_t (*wall_ns)(void);
    sem_t lines;
    pthread_t writer;
} log_state = {.most = LOG_DEBUG};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
/* The same as syslog(3) numbers them, in the form of sd-daemon(3). */
static const char *const priorities[] = {"<3>", "<4>", "<6>", "<7>"};

static uint64_t round_of(uint64_t n)
{
    return n / SLOTS;
}

/* ---- the writer's side ---------------------------------------------------------------------------- */

/* A log that can't be written has nobody to tell. */
static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, bytes, len);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static int format_time(char *out, size_t size, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / 1000000000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ ", tm.tm_year + 1900, tm.tm_mon + 1,
                    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(wall_ns / 1000000u % 1000u));
}

/* What stands before a line: its time, or for the journal, which keeps times itself, its priority. */
static int format_head(char *out, size_t size, const struct slot *slot)
{
    if (log_state.journal)
        return snprintf(out, size, "%s", priorities[slot->level]);
    return slot->wall_ns ? format_time(out, size, slot->wall_ns) : 0;
}

static void write_slot(const struct slot *slot)
{
    char line[LINE_BYTES];
    int at = format_head(line, sizeof line, slot);
    int room = (int)sizeof line - at;
    int len = snprintf(line + at, (size_t)room, "%s %.40s: %s\n", level_names[slot->level], slot->agent,
                       slot->text);
    CHECK(len > 0 && len < room);
    write_all(line, (size_t)(at + len));
}

static void tell_lost(void)
{
    uint64_t lost = atomic_load_explicit(&log_state.lost, memory_order_relaxed);
    if (lost == log_state.lost_told)
        return;
    struct slot told = {.wall_ns = log_state.wall_ns(), .agent = "log", .level = LOG_WARNING};
    snprintf(told.text, sizeof told.text, "%llu lines lost, the log was full",
             (unsigned long long)(lost - log_state.lost_told));
    log_state.lost_told = lost;
    write_slot(&told);
}

static bool write_next(void)
{
    uint64_t n = log_state.head;
    struct slot *slot = &log_state.slots[n % SLOTS];
    if (atomic_load_explicit(&slot->turn, memory_order_acquire) != 2 * round_of(n) + 1)
        return false;
    write_slot(slot);
    atomic_store_explicit(&slot->turn, 2 * round_of(n) + 2, memory_order_release);
    log_state.head++;
    return true;
}

static void *writer_main(void *unused)
{
    (void)unused;
    do {
        while (sem_wait(&log_state.lines) != 0)
            continue; /* a signal */
        while (write_next())
            continue;
        tell_lost();
    } while (!atomic_load(&log_state.stopping));
    while (write_next())
        continue;
    return NULL;
}

/* ---- the callers' side ---------------------------------------------------------------------------- */

static void fill(struct slot *slot, enum log_level level, const char *agent, const char *format, va_list args)
{
    slot->wall_ns = log_state.wall_ns ? log_state.wall_ns() : 0;
    slot->agent = agent;
    slot->level = level;
    if (vsnprintf(slot->text, sizeof slot->text, format, args) < 0)
        slot->text[0] = '\0';
    for (char *p = slot->text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
}

/* The next slot that the writer has given back, or NULL; *number is its place in the order of lines. */
static struct slot *take_slot(uint64_t *number)
{
    uint64_t n = atomic_load_explicit(&log_state.tail, memory_order_relaxed);
    for (;;) {
        struct slot *slot = &log_state.slots[n % SLOTS];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn < 2 * round_of(n))
            return NULL;
        if (turn == 2 * round_of(n) &&
            atomic_compare_exchange_weak_explicit(&log_state.tail, &n, n + 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *number = n;
            return slot;
        }
        if (turn > 2 * round_of(n))
            n = atomic_load_explicit(&log_state.tail, memory_order_relaxed);
    }
}

static void hand_over(enum log_level level, const char *agent, const char *format, va_list args)
{
    uint64_t n;
    struct slot *slot = take_slot(&n);
    if (slot) {
        fill(slot, level, agent, format, args);
        atomic_store_explicit(&slot->turn, 2 * round_of(n) + 1, memory_order_release);
    } else {
        atomic_fetch_add_explicit(&log_state.lost, 1, memory_order_relaxed);
    }
    sem_post(&log_state.lines);
}

void log_line(enum log_level level, const char *agent, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&log_state.most, memory_order_relaxed))
        return;
    va_list args;
    va_start(args, format);
    if (atomic_load_explicit(&log_state.running, memory_order_acquire)) {
        hand_over(level, agent, format, args);
    } else {
        struct slot slot;
        fill(&slot, level, agent, format, args);
        write_slot(&slot);
    }
    va_end(args);
}

/* The writer takes no signals: they are for the thread that waits for them. */
static bool start_writer(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&log_state.writer, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

/* systemd says in JOURNAL_STREAM which file it made stderr; somebody may have redirected it since
 * (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *told = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat file;
    return told && sscanf(told, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &file) == 0 &&
           file.st_dev == device && file.st_ino == inode;
}

void log_start(enum log_level most, uint64_t (*wall_ns)(void))
{
    static bool registered;
    CHECK(!atomic_load(&log_state.running));
    atomic_store(&log_state.most, (int)most);
    log_state.wall_ns = wall_ns;
    log_state.journal = stderr_is_journal();
    atomic_store(&log_state.stopping, false);
    CHECK(sem_init(&log_state.lines, 0, 0) == 0);
    if (!start_writer())
        return; /* no thread to be had: lines are written at once */
    atomic_store_explicit(&log_state.running, true, memory_order_release);
    if (!registered)
        registered = atexit(log_stop) == 0;
}

void log_set_level(enum log_level most)
{
    atomic_store(&log_state.most, (int)most);
}

/* A line handed over by another thread during this call may stay unwritten: agents have ended by now. */
void log_stop(void)
{
    if (!atomic_exchange(&log_state.running, false))
        return;
    atomic_store(&log_state.stopping, true);
    sem_post(&log_state.lines);
    pthread_join(log_state.writer, NULL);
}
