/* gannetctl journal check|dump [DIRECTORY]: what stands in the journals of a data directory, of -D or named.
 * Reads the files, changes nothing, and needs no broker; beside one that runs, the end of the log moves while
 * it is read. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_client.h"
#include "journal/record.h"
#include "journal/segment.h"
#include "journal_look.h"
#include "journal_record.h"
#include "router/persist.h"
#include "verb.h"

/* What is being said of one router's journal. */
struct report {
    const struct line *line;
    struct journal_look *look;
    struct record_form form;
    uint64_t counts[256], bytes; /* by kind */
    uint64_t last_lsn;
    bool clean; /* the last record that says something says that the end was clean */
    json_t *wrong;
};

static void count_record(void *owner, const struct record *record, uint64_t lsn)
{
    struct report *report = owner;
    report->counts[record->type]++;
    report->bytes += record->length;
    report->last_lsn = lsn;
    if (record->type >= RECORD_OWN)
        report->clean = record->type == RECORD_CLEAN;
}

static void dump_record(void *owner, const struct record *record, uint64_t lsn)
{
    const struct report *report = owner;
    journal_record_write(stdout, record, lsn, &report->form);
}

static void pass_over(void *owner, const struct record *record, uint64_t lsn)
{
    (void)owner;
    (void)record;
    (void)lsn;
}

static void note_wrong(void *owner, const char *what)
{
    json_array_append_new(((struct report *)owner)->wrong, json_string(what));
}

static void tell_wrong(void *owner, const char *what)
{
    (void)owner;
    fflush(stdout);
    fprintf(stderr, "gannetctl: %s\n", what);
}

static void say_nothing(void *owner, const char *what)
{
    (void)owner;
    (void)what;
}

/* ---- check ------------------------------------------------------------------------------------------- */

static json_t *place_json(uint64_t lsn)
{
    char segment[20];
    snprintf(segment, sizeof segment, "%016" PRIx64, segment_of(lsn));
    return json_pack("{s:s, s:I}", "segment", segment, "offset", (json_int_t)(lsn % SEGMENT_BYTES));
}

static json_t *counts_json(const struct report *report)
{
    json_t *counts = json_object();
    char name[16];
    for (unsigned type = 0; type < 256; type++)
        if (report->counts[type])
            json_object_set_new(counts, journal_record_name((uint8_t)type, name),
                                json_integer((json_int_t)report->counts[type]));
    return counts;
}

static json_t *check_one(const struct line *line, struct journal_look *look)
{
    struct report report = {.line = line, .look = look, .wrong = json_array()};
    const struct journal_looker looker = {count_record, note_wrong, &report};
    struct journal_end end;
    unsigned segments = 0;
    bool starts = journal_look_start(look, &looker, &end);
    bool clean = report.clean;
    uint64_t read = end.records;
    bool older = journal_look_older(look, &looker, &end, &segments);
    json_t *result =
        json_pack("{s:i, s:s, s:i, s:b, s:b, s:o, s:o}", "router", (int)look->router, "directory", look->path,
                  "segments", (int)segments, "starts", starts, "older_segments_right", older, "records",
                  counts_json(&report), "wrong", report.wrong);
    if (end.checkpoint)
        json_object_set_new(result, "checkpoint", place_json(end.checkpoint));
    if (starts) {
        json_object_set_new(result, "end", place_json(end.safe));
        json_object_set_new(result, "replayed", json_integer((json_int_t)read));
        json_object_set_new(result, "clean_end", json_boolean(clean));
        json_object_set_new(result, "cut_bytes",
                            json_integer((json_int_t)(end.cut_bytes - (end.lsn - end.safe))));
    }
    return result;
}

static void print_place(const char *before, const json_t *place, const char *after)
{
    printf("%ssegment %s, offset %lld%s", before, json_string_value(json_object_get(place, "segment")),
           (long long)json_integer_value(json_object_get(place, "offset")), after);
}

static void print_check(json_t *r)
{
    const char *kind;
    json_t *count, *wrong;
    size_t i;
    printf("router %lld: %lld segment files in %s\n",
           (long long)json_integer_value(json_object_get(r, "router")),
           (long long)json_integer_value(json_object_get(r, "segments")),
           json_string_value(json_object_get(r, "directory")));
    if (json_object_get(r, "checkpoint"))
        print_place("  a start reads from the checkpoint at ", json_object_get(r, "checkpoint"), "\n");
    else
        puts("  a start reads from the first segment: there is no checkpoint");
    if (json_object_get(r, "end")) {
        print_place("  and keeps all up to ", json_object_get(r, "end"), "");
        printf(": %lld records, %s\n", (long long)json_integer_value(json_object_get(r, "replayed")),
               json_is_true(json_object_get(r, "clean_end"))
                   ? "the last of which says that the broker ended cleanly"
                   : "and the broker did not end cleanly, or runs");
        long long cut = (long long)json_integer_value(json_object_get(r, "cut_bytes"));
        if (cut > 0)
            printf("  it cuts %lld bytes of writes behind that, which were under way and never confirmed\n",
                   cut);
    } else {
        puts("  a start REFUSES this journal");
    }
    printf("  records:");
    json_object_foreach(json_object_get(r, "records"), kind, count)
        printf(" %s %lld", kind, (long long)json_integer_value(count));
    putchar('\n');
    json_array_foreach(json_object_get(r, "wrong"), i, wrong)
        printf("  WRONG: %s\n", json_string_value(wrong));
}

static bool is_right(const json_t *result)
{
    return json_array_size(json_object_get(result, "wrong")) == 0;
}

static int check(const struct line *line, struct journal_look *looks, size_t count)
{
    json_t *results = json_array(), *result;
    bool right = true;
    size_t i;
    for (i = 0; i < count; i++) {
        result = check_one(line, &looks[i]);
        right &= is_right(result);
        json_array_append_new(results, result);
    }
    if (wants_json(line)) {
        json_dumpf(results, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        json_array_foreach(results, i, result) print_check(result);
        puts(right ? "everything is right" : "something is WRONG; nothing has been changed");
    }
    json_decref(results);
    return right ? 0 : 1;
}

/* ---- dump -------------------------------------------------------------------------------------------- */

/* Where a start begins is known when it has been through; what is before that comes first. */
static int dump(const struct line *line, struct journal_look *looks, size_t count)
{
    bool right = true;
    bool json = wants_json(line);
    for (size_t i = 0; i < count; i++) {
        struct report report = {
            .line = line, .look = &looks[i], .form = {json, line->flag[FLAG_BODIES] != NULL}};
        const struct journal_looker quiet = {pass_over, say_nothing, NULL},
                                    looker = {dump_record, tell_wrong, &report};
        struct journal_end end;
        unsigned segments;
        if (!json && count > 1)
            printf("# router %u\n", (unsigned)looks[i].router);
        journal_look_start(&looks[i], &quiet, &end);
        right &= journal_look_older(&looks[i], &looker, &end, &segments);
        right &= journal_look_start(&looks[i], &looker, &end);
    }
    return right ? 0 : 1;
}

/* ---- the verb ---------------------------------------------------------------------------------------- */

static void warn_if_running(const char *directory)
{
    char path[4400], error[512];
    snprintf(path, sizeof path, "%s/control.sock", directory);
    char *answer = control_client_ask(path, "limits", NULL, error, sizeof error);
    if (answer)
        fprintf(stderr,
                "gannetctl: a broker runs on %s: the end of its log moves while it is read, and segments "
                "come and go\n",
                directory);
    free(answer);
}

int journal(const struct line *line)
{
    const char *what = line->argc ? line->argv[0] : "", *directory = line->argc > 1 ? line->argv[1]
                                                                     : line->flag[FLAG_DATA]
                                                                         ? line->flag[FLAG_DATA]
                                                                         : "/var/lib/gannet";
    bool checks = strcmp(what, "check") == 0;
    if ((!checks && strcmp(what, "dump") != 0) || line->argc > 2) {
        return complain("journal check and journal dump take a data directory or a router's, or the one of "
                        "-D");
    }
    char error[512];
    size_t count;
    struct journal_look *looks = journal_looks(directory, &count, error, sizeof error);
    if (!looks) {
        fprintf(stderr, "gannetctl: %s\n", error);
        return 1;
    }
    warn_if_running(directory);
    int status = checks ? check(line, looks, count) : dump(line, looks, count);
    free(looks);
    return fflush(stdout) == 0 ? status : 1;
}
