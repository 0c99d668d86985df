/* gannetctl trace connection NAME | queue NAME: looks on until --count, --seconds, Ctrl-C or the end. */
#include "trace.h"

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "control_client.h"
#include "verb.h"

static volatile sig_atomic_t interrupted;

struct tracing {
    const struct line *line;
    int fd;
    bool of_queue, ended;
    uint64_t until_ms, count, seen, lost; /* 0: there is no end */
    char *head;                           /* the broker's lines */
    uint8_t *bytes;                       /* what has come and isn't looked at */
    size_t len;
    struct trace_lines lines;
    struct trace_pcap *pcap;
};

enum { ROOM = TRACE_RECORD_BYTES + 65536 };

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- records ----------------------------------------------------------------------------------------- */

static bool is_enough(const struct tracing *t)
{
    return t->ended || interrupted || (t->count && t->seen >= t->count) ||
           (t->until_ms && now_ms() >= t->until_ms);
}

static void take(struct tracing *t, const struct tap_record *record, const uint8_t *bytes)
{
    if (record->kind == TRACE_LOST) {
        fprintf(stderr, "gannetctl: %" PRIu64 " records have been lost: more came than could be taken\n",
                record->offset - t->lost);
        t->lost = record->offset;
        trace_lines_lost(&t->lines);
        return;
    }
    t->ended = record->kind == TRACE_ENDED;
    if (t->pcap)
        trace_pcap_add(t->pcap, record, bytes);
    if (record->kind == TRACE_EVENT)
        trace_queue_line(stdout, record, bytes, (t->line->flag[FLAG_BODIES] != NULL));
    else if (!t->ended && !t->pcap)
        trace_lines_add(&t->lines, record, bytes);
    t->seen = t->pcap || t->of_queue ? t->seen + !t->ended : t->lines.lines;
}

static void take_all(struct tracing *t)
{
    size_t at = 0;
    struct tap_record record;
    while (t->len - at >= sizeof record && !is_enough(t)) {
        memcpy(&record, t->bytes + at, sizeof record);
        if (record.bytes > TRACE_RECORD_BYTES)
            errx(1, "the broker sends what is no trace");
        if (t->len - at < sizeof record + record.bytes)
            break;
        take(t, &record, t->bytes + at + sizeof record);
        at += sizeof record + record.bytes;
    }
    memmove(t->bytes, t->bytes + at, t->len - at);
    t->len -= at;
    fflush(stdout);
}

/* False: the broker has gone, or it is over. */
static bool wait_for_more(struct tracing *t)
{
    struct pollfd fd = {.fd = t->fd, .events = POLLIN};
    uint64_t now = now_ms();
    if (is_enough(t))
        return false;
    int wait = t->until_ms ? (int)(t->until_ms - now < 60000 ? t->until_ms - now : 60000) : -1;
    if (poll(&fd, 1, wait) <= 0)
        return true;
    ssize_t n = recv(t->fd, t->bytes + t->len, ROOM - t->len, 0);
    if (n <= 0 && errno != EINTR)
        t->ended = true;
    t->len += n > 0 ? (size_t)n : 0;
    return !t->ended;
}

/* ---- beginning and end -------------------------------------------------------------------------------- */

/* The broker's refusal, or its two lines, which end with an empty one. */
static bool read_head(struct tracing *t)
{
    const char *end = NULL;
    while (!(end = memmem(t->bytes, t->len, "\n\n", 2)) && t->len < ROOM) {
        ssize_t n = recv(t->fd, t->bytes + t->len, ROOM - t->len, 0);
        if (n <= 0)
            break;
        t->len += (size_t)n;
    }
    size_t len = end ? (size_t)(end - (char *)t->bytes) : t->len;
    t->head = strndup((char *)t->bytes, len);
    if (!t->head)
        errx(1, "no memory");
    if (!end || strncmp(t->head, "ok\n", 3) != 0) {
        const char *said = strchr(t->head, ' ');
        t->head[strcspn(t->head, "\n")] = '\0';
        fprintf(stderr, "gannetctl: %s\n", said ? said + 1 : "the broker does not answer");
        return false;
    }
    t->len -= len + 2;
    memmove(t->bytes, t->bytes + len + 2, t->len);
    return true;
}

/* The word in that place of the connection's line. */
static char *word_of(const struct tracing *t, unsigned place)
{
    const char *at = strchr(t->head + 3, '\n');
    for (at = at ? at + 1 : ""; place && at; place--)
        at = strchr(at, '\t') ? strchr(at, '\t') + 1 : NULL;
    char *word = strndup(at ? at : "", at ? strcspn(at, "\t\n") : 0);
    if (!word)
        errx(1, "no memory");
    return word;
}

static bool open_pcap(struct tracing *t)
{
    char error[512], *peer = word_of(t, 2), *local = word_of(t, 3);
    t->pcap = trace_pcap_new(t->line->flag[FLAG_PCAP], peer, local, error, sizeof error);
    if (!t->pcap)
        fprintf(stderr, "gannetctl: %s\n", error);
    free(peer);
    free(local);
    return t->pcap;
}

static int look_on(struct tracing *t)
{
    if (!read_head(t) || (t->line->flag[FLAG_PCAP] && !open_pcap(t)))
        return 1;
    char *protocol = word_of(t, 1);
    t->lines = (struct trace_lines){
        .out = stdout, .protocol = protocol, .bodies = (t->line->flag[FLAG_BODIES] != NULL)};
    do
        take_all(t);
    while (wait_for_more(t));
    take_all(t);
    bool good = !t->pcap || trace_pcap_close(t->pcap);
    if (!good)
        fprintf(stderr, "gannetctl: %s could not be written in full\n", t->line->flag[FLAG_PCAP]);
    trace_lines_free(&t->lines);
    free(protocol);
    return good ? 0 : 1;
}

/* A whole number from 1 up; 0 if there is no text. False: it is none. */
static bool number_of(const char *text, uint64_t *number)
{
    char *end = NULL;
    *number = text ? strtoull(text, &end, 10) : 0;
    return !text || (*text >= '0' && *text <= '9' && !*end && *number && *number < 1000000000);
}

static char *trace_request(const struct line *line, bool of_queue)
{
    char *request = NULL;
    bool one_line = !strpbrk(line->argv[1], "\t\n") && !strpbrk(line_vhost(line), "\t\n");
    if (one_line && asprintf(&request, of_queue ? "trace_queue\t%s\t%s" : "trace_connection\t%s%s",
                             of_queue ? line_vhost(line) : "", line->argv[1]) >= 0)
        return request;
    fputs("gannetctl: names have no tab and no new line here\n", stderr);
    return NULL;
}

int trace(const struct line *line)
{
    struct tracing t = {.line = line};
    uint64_t seconds;
    char error[512];
    if (wants_json(line))
        return complain("trace has no JSON: it shows lines for people, and --pcap FILE is for programs");
    t.of_queue = line->argc && strcmp(line->argv[0], "queue") == 0;
    if (line->argc != 2 || (!t.of_queue && strcmp(line->argv[0], "connection") != 0) ||
        (t.of_queue && line->flag[FLAG_PCAP]) || !number_of(line->flag[FLAG_COUNT], &t.count) ||
        !number_of(line->flag[FLAG_SECONDS], &seconds)) {
        return complain("trace takes connection NAME [--pcap FILE] or queue NAME, --count N, --seconds N "
                        "and --bodies");
    }
    char *request = trace_request(line, t.of_queue);
    t.fd = request ? control_client_open(line->socket, request, error, sizeof error) : -1;
    if (request && t.fd < 0)
        fprintf(stderr, "gannetctl: %s\n", error);
    free(request);
    if (t.fd < 0)
        return 1;
    t.until_ms = seconds ? now_ms() + seconds * 1000 : 0;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = interrupt}, NULL);
    t.bytes = malloc(ROOM);
    if (!t.bytes)
        errx(1, "no memory");
    int status = look_on(&t);
    close(t.fd);
    free(t.bytes);
    free(t.head);
    return status;
}
