/* gannetctl why-pinned [ROUTER[/SEGMENT]]: what keeps the oldest segments of the journal on disk, and what
 * can be done about it. Asks for segments, pins and deliveries (dataplane/lists.h), and puts together what
 * belongs together: as JSON, of which the text is printed. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "control_client.h"
#include "table.h"
#include "verb.h"

/* So many of a router's are looked at, unless one is named. */
enum { SEGMENTS_SHOWN = 5 };

/* What is asked about. */
struct wish {
    long router; /* -1: any */
    uint64_t segment;
    bool one; /* the segment is named */
};

/* False: that is none of the forms. */
static bool take_wish(const struct line *line, struct wish *wish)
{
    char *end;
    *wish = (struct wish){.router = -1};
    if (line->argc == 0)
        return true;
    wish->router = strtol(line->argv[0], &end, 10);
    if (line->argc > 1 || end == line->argv[0] || wish->router < 0 || (*end && *end != '/'))
        return false;
    if (!*end)
        return true;
    const char *hex = end + 1;
    wish->segment = strtoull(hex, &end, 16);
    wish->one = true;
    return end != hex && (!*end || strcmp(end, ".seg") == 0);
}

static bool ask(const struct line *line, const char *request, struct table *table)
{
    char error[512], *answer = control_client_ask(line->socket, request, NULL, error, sizeof error);
    if (!answer) {
        fprintf(stderr, "gannetctl: %s\n", error);
        return false;
    }
    *table = table_parse(answer);
    table_unescape(table);
    return true;
}

/* ---- what there is ---------------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static void add_to(json_t *object, const char *key, long long more)
{
    json_object_set_new(object, key, json_integer(number_of(object, key) + more));
}

/* The oldest that are wanted of each router, with an empty list of pins. NULL: there is no answer. */
static json_t *segments_of(const struct line *line, const struct wish *wish)
{
    struct table table;
    if (!ask(line, "segments", &table))
        return NULL;
    json_t *all = table_json(&table), *wanted = json_array(), *row;
    table_free(&table);
    long long router = -1, taken = 0;
    size_t i;
    json_array_foreach(all, i, row)
    {
        taken = number_of(row, "router") == router ? taken : 0;
        router = number_of(row, "router");
        if ((wish->router >= 0 && router != wish->router) ||
            (wish->one ? strtoull(text_of(row, "segment"), NULL, 16) != wish->segment
                       : taken == SEGMENTS_SHOWN))
            continue;
        taken++;
        json_object_set_new(row, "pins", json_array());
        json_array_append(wanted, row);
    }
    json_decref(all);
    return wanted;
}

static json_t *segment_named(json_t *segments, long long router, const char *name)
{
    json_t *segment;
    size_t i;
    json_array_foreach(segments, i,
                       segment) if (number_of(segment, "router") == router &&
                                    strcmp(text_of(segment, "segment"), name) == 0) return segment;
    return NULL;
}

/* The broker tells of a queue a slice at a time: the rows of one belong together. */
static json_t *pin_of(json_t *segment, const json_t *row)
{
    json_t *pins = json_object_get(segment, "pins"), *pin;
    size_t i;
    json_array_foreach(pins, i,
                       pin) if (strcmp(text_of(pin, "queue"), text_of(row, "queue")) == 0) return pin;
    pin = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:[]}", "vhost", text_of(row, "vhost"), "name",
                    text_of(row, "name"), "kind", text_of(row, "kind"), "queue", text_of(row, "queue"),
                    "consumers", (json_int_t)number_of(row, "consumers"), "oldest_message",
                    (json_int_t)number_of(row, "first"), "deliveries");
    json_array_append_new(pins, pin);
    return pin;
}

static void add_pin(json_t *segment, const json_t *row)
{
    json_t *pin = pin_of(segment, row);
    long long unacked = number_of(row, "unacknowledged");
    add_to(pin, "messages", number_of(row, "messages"));
    add_to(pin, "bytes", number_of(row, "bytes"));
    add_to(pin, "messages_unacknowledged", unacked);
    add_to(pin, "messages_ready", number_of(row, "messages") - unacked);
    if (!unacked)
        return;
    if (!json_object_get(pin, "unacknowledged_first"))
        json_object_set(pin, "unacknowledged_first", json_object_get(row, "unacknowledged_first"));
    json_object_set(pin, "unacknowledged_last", json_object_get(row, "unacknowledged_last"));
}

/* Those of the router's that are in segments. */
static bool add_pins(const struct line *line, json_t *segments, long long router)
{
    char request[100];
    const char *first = NULL, *last = NULL;
    json_t *segment, *row;
    size_t i;
    json_array_foreach(segments, i, segment) if (number_of(segment, "router") == router)
    {
        first = first ? first : text_of(segment, "segment");
        last = text_of(segment, "segment");
    }
    snprintf(request, sizeof request, "pins\t%lld\t%llu\t%llu", router, strtoull(first, NULL, 16),
             strtoull(last, NULL, 16));
    struct table table;
    if (!ask(line, request, &table))
        return false;
    json_t *rows = table_json(&table);
    table_free(&table);
    json_array_foreach(rows, i, row)
    {
        segment = segment_named(segments, router, text_of(row, "segment"));
        if (segment)
            add_pin(segment, row);
    }
    json_decref(rows);
    return true;
}

/* A row for each consumer: with the oldest of its deliveries, and how many it has. */
static void add_delivery(json_t *pin, json_t *row)
{
    json_t *deliveries = json_object_get(pin, "deliveries"), *delivery;
    size_t i;
    json_array_foreach(
        deliveries, i,
        delivery) if (strcmp(text_of(delivery, "connection"), text_of(row, "connection")) == 0 &&
                      number_of(delivery, "channel") == number_of(row, "channel") &&
                      strcmp(text_of(delivery, "consumer_tag"), text_of(row, "consumer_tag")) == 0)
    {
        add_to(delivery, "messages", 1);
        return;
    }
    json_object_set_new(row, "messages", json_integer(1));
    json_array_append(deliveries, row);
}

static bool add_deliveries(const struct line *line, const json_t *segment, json_t *pin)
{
    char request[200];
    struct table table;
    json_t *row;
    size_t i;
    snprintf(request, sizeof request, "deliveries\t%lld\t%s\t%lld\t%lld", number_of(segment, "router"),
             text_of(pin, "queue"), number_of(pin, "unacknowledged_first"),
             number_of(pin, "unacknowledged_last"));
    if (!ask(line, request, &table))
        return false;
    json_t *rows = table_json(&table);
    table_free(&table);
    json_array_foreach(rows, i, row) add_delivery(pin, row);
    json_decref(rows);
    return true;
}

/* ---- what it means ---------------------------------------------------------------------------------- */

static void size_text(char text[32], long long bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    unsigned unit = 0;
    for (; size >= 1024 && unit < 4; unit++)
        size /= 1024;
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

static void explain(json_t *segment)
{
    static const struct {
        const char *state, *text; /* %s: wait_bytes */
    } states[] = {
        {"open", "It is the one that is being written: it can't go yet."},
        {"replay",
         "A restart would begin to read in it or before: until the next checkpoint, which comes when the log "
         "has grown by %s, and at a clean end."},
        {"empty", "Nothing in it is needed any more: it goes when what says so is safe."},
        {"copying", "What is needed of it is being copied to the end of the log; then it goes."},
        {"sparse",
         "Less than a quarter of it is needed. That is copied to the end of the log when that has grown by "
         "%s, and its turn has come; then it goes, whoever still needs the messages."},
        {"failed", "It could not be emptied: part of it is damaged or in use. That is tried again when the "
                   "log has grown "
                   "by %s."},
        {"full", "More than a quarter of it is needed: that is not copied, so the segment stays until enough "
                 "of it has been "
                 "consumed."},
    };
    char wait[32], text[400];
    size_text(wait, number_of(segment, "wait_bytes"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i].state, text_of(segment, "state")) == 0) {
            const char *hole = strstr(states[i].text, "%s");
            int before = hole ? (int)(hole - states[i].text) : (int)strlen(states[i].text);
            snprintf(text, sizeof text, "%.*s%s%s", before, states[i].text, hole ? wait : "",
                     hole ? hole + 2 : "");
            json_object_set_new(segment, "explanation", json_string(text));
        }
}

static const char *advice_on(const json_t *pin)
{
    const char *kind = text_of(pin, "kind");
    if (strcmp(kind, "retained") == 0)
        return "An empty message published with RETAIN makes a topic forget what it keeps.";
    if (strcmp(kind, "delayed") == 0)
        return "They leave when their x-delay is over, or with the exchange.";
    if (strcmp(kind, "history") == 0)
        return "The exchange remembers as many as its x-recent-history-length says.";
    if (strcmp(kind, "stream") == 0)
        return "A stream keeps its messages, consumed or not: max-age or max-length-bytes, by a policy "
               "(gannetctl set_policy), say how long.";
    if (number_of(pin, "messages_unacknowledged"))
        return "Have the consumer acknowledge them; or close its connection (gannetctl close_connection), "
               "and they "
               "go back to the queue.";
    return number_of(pin, "consumers") ? "They wait for the queue's consumers."
                                       : "Nobody consumes from it: start a consumer, purge it (gannetctl "
                                         "purge_queue), or give it a message-ttl or max-length by a policy.";
}

/* Who wrote into it had done so by then. */
static void add_file(const struct line *line, json_t *segment)
{
    char path[5000];
    struct stat is;
    const char *slash = strrchr(line->socket, '/'); /* the socket is in the data directory */
    snprintf(path, sizeof path, "%.*s/router-%lld/%s.seg", slash ? (int)(slash - line->socket) : 0,
             line->socket, number_of(segment, "router"), text_of(segment, "segment"));
    json_object_set_new(segment, "file", json_string(path));
    if (stat(path, &is) == 0 && strcmp(text_of(segment, "state"), "open") != 0)
        json_object_set_new(segment, "written_until", json_integer(is.st_mtim.tv_sec));
}

/* All that there is to say of them. False: an answer didn't come. */
static bool find_out(const struct line *line, json_t *segments)
{
    json_t *segment, *pin;
    size_t i, k;
    long long router = -1;
    json_array_foreach(segments, i, segment)
    {
        bool known = number_of(segment, "router") == router;
        router = number_of(segment, "router");
        if (!known && !add_pins(line, segments, router))
            return false;
        explain(segment);
        add_file(line, segment);
        json_array_foreach(json_object_get(segment, "pins"), k, pin)
        {
            if (number_of(pin, "messages_unacknowledged") && !add_deliveries(line, segment, pin))
                return false;
            json_object_set_new(pin, "advice", json_string(advice_on(pin)));
        }
    }
    return true;
}

/* ---- for people -------------------------------------------------------------------------------------- */

static void print_time(const char *before, time_t at, const char *after)
{
    char text[40];
    struct tm parts;
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime_r(&at, &parts));
    printf("%s%s%s", before, text, after);
}

/* Clients choose names. */
static void print_name(const char *name)
{
    putchar('\'');
    for (; *name; name++)
        putchar((unsigned char)*name < ' ' || *name == 127 ? '?' : *name);
    putchar('\'');
}

static void print_delivery(const json_t *d)
{
    printf("      connection ");
    print_name(text_of(d, "connection"));
    print_time(" (since ", (time_t)(number_of(d, "connected_at") / 1000), ", user ");
    print_name(text_of(d, "user"));
    if (number_of(d, "channel"))
        printf("), channel %lld, ", number_of(d, "channel"));
    else
        printf("), ");
    if (*text_of(d, "consumer_tag")) {
        printf("consumer ");
        print_name(text_of(d, "consumer_tag"));
    } else {
        printf("no consumer of a name");
    }
    printf(": has %lld, the oldest is delivery %lld\n", number_of(d, "messages"),
           number_of(d, "delivery_tag"));
}

static void print_pin(const json_t *pin)
{
    const char *kind = text_of(pin, "kind");
    bool hidden =
        strcmp(kind, "delayed") == 0 || strcmp(kind, "history") == 0 || strcmp(kind, "retained") == 0;
    char size[32];
    size_text(size, number_of(pin, "bytes"));
    printf("  %s %s ", kind, hidden ? "messages of exchange" : strcmp(kind, "stream") == 0 ? "" : "queue");
    print_name(text_of(pin, "name"));
    printf(" in virtual host ");
    print_name(text_of(pin, "vhost"));
    printf(": %lld messages, %s: %lld ready, %lld unacknowledged; the oldest is its number %lld\n",
           number_of(pin, "messages"), size, number_of(pin, "messages_ready"),
           number_of(pin, "messages_unacknowledged"), number_of(pin, "oldest_message"));
    const json_t *d;
    size_t i;
    json_array_foreach(json_object_get(pin, "deliveries"), i, d) print_delivery(d);
    printf("    %s\n", text_of(pin, "advice"));
}

static void print_segment(const json_t *segment)
{
    char size[32];
    long long messages = number_of(segment, "messages");
    size_text(size, number_of(segment, "live_bytes"));
    printf("router %lld, segment %s: %lld needed in it, %s of %lld MiB\n", number_of(segment, "router"),
           text_of(segment, "segment"), messages, size, number_of(segment, "segment_bytes") >> 20);
    if (json_object_get(segment, "written_until"))
        print_time("  What it has was written by ", (time_t)number_of(segment, "written_until"), ".\n");
    printf("  %s\n", text_of(segment, "explanation"));
    const json_t *pin;
    size_t i;
    json_array_foreach(json_object_get(segment, "pins"), i, pin) print_pin(pin);
    if (messages && json_array_size(json_object_get(segment, "pins")) == 0)
        puts("  What it is needed for has gone meanwhile, or is a large message that is being published.");
}

int why_pinned(const struct line *line)
{
    struct wish wish;
    if (!take_wish(line, &wish)) {
        return complain("why-pinned takes a router's number, and a segment of it as its file is named: "
                        "why-pinned "
                        "0/000000000000001f");
    }
    json_t *segments = segments_of(line, &wish), *segment;
    size_t i;
    bool good = segments && find_out(line, segments);
    if (good && json_array_size(segments) == 0 && wish.router >= 0) {
        fputs("gannetctl: there is no such router or segment (any more)\n", stderr);
        good = false;
    } else if (good && wants_json(line)) {
        json_dumpf(segments, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (good) {
        json_array_foreach(segments, i, segment) print_segment(segment);
    }
    json_decref(segments);
    return good ? 0 : 1;
}
