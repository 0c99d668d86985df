#include "journal_record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "journal/segment.h"
#include "router/access_change.h"
#include "router/message.h"
#include "router/persist.h"
#include "router/rows.h"
#include "router/table.h"

/* ---- values ------------------------------------------------------------------------------------------ */

/* A record that is being told of. */
struct said {
    FILE *out;
    const struct record_form *form;
    const struct record *record;
    const uint8_t *at; /* in what follows the fixed part, */
    size_t left;       /* which has so much more */
    bool wrong;        /* it says that there is more than there is */
};

static void key(struct said *s, const char *name)
{
    fprintf(s->out, s->form->json ? ", \"%s\": " : " %s=", name);
}

static void number(struct said *s, const char *name, uint64_t value)
{
    key(s, name);
    fprintf(s->out, "%" PRIu64, value);
}

static void flag(struct said *s, const char *name, bool value)
{
    key(s, name);
    fputs(value ? "true" : "false", s->out);
}

static void text(struct said *s, const char *name, struct span value)
{
    struct rows rows = {0};
    key(s, name);
    rows_string(&rows, value);
    fputs(rows.text, s->out);
    free(rows.text);
}

static void table(struct said *s, const char *name, struct span value)
{
    struct rows rows = {0};
    if (!table_check(value)) {
        s->wrong = true;
        return;
    }
    key(s, name);
    rows_table(&rows, value);
    fputs(rows.text, s->out);
    free(rows.text);
}

/* As an operator finds it in a file's name, and in it. */
static void place(struct said *s, const char *name, uint64_t lsn)
{
    key(s, name);
    fprintf(s->out, "\"%016" PRIx64 ":%" PRIu64 "\"", segment_of(lsn), lsn % SEGMENT_BYTES);
}

/* The next bytes; empty if there aren't so many. */
static struct span take(struct said *s, size_t len)
{
    if (len > s->left) {
        s->wrong = true;
        s->left = 0;
        return span_of(s->at, 0);
    }
    struct span taken = span_of(s->at, len);
    s->at += len;
    s->left -= len;
    return taken;
}

/* ---- messages ---------------------------------------------------------------------------------------- */

static void routes(struct said *s, const struct message *m)
{
    key(s, "queues");
    fputc('[', s->out);
    for (unsigned i = 0; i < m->routes; i++) {
        struct span bytes = take(s, sizeof(struct route));
        struct route route;
        if (!bytes.len)
            break;
        memcpy(&route, bytes.at, sizeof route);
        fprintf(s->out, "%s[%" PRIu32 ", %" PRIu64 "]", i ? ", " : "", route.queue,
                (uint64_t)route.seq_high << 32 | route.seq_low);
    }
    fputc(']', s->out);
}

static void parts(struct said *s, uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count && !s->wrong; i++) {
        struct span at = take(s, sizeof(struct part));
        struct part part = {0};
        if (at.len)
            memcpy(&part, at.at, sizeof part);
        if (i == 0 && at.len)
            place(s, "first_part", part.position);
        bytes += part.length;
    }
    number(s, "parts", count);
    number(s, "part_bytes", bytes);
}

static void say_message(struct said *s)
{
    const struct message *m = (const struct message *)s->record;
    routes(s, m);
    if (m->parts)
        parts(s, m->parts);
    uint64_t arrival = 0;
    struct produced produced;
    struct span bytes = take(s, message_arrival_bytes(m));
    if (bytes.len)
        memcpy(&arrival, bytes.at, sizeof arrival);
    if (arrival)
        number(s, "arrived_ms", arrival);
    bytes = take(s, m->flags & MESSAGE_PRODUCED ? sizeof produced : 0);
    if (bytes.len) {
        memcpy(&produced, bytes.at, sizeof produced);
        number(s, "producer", produced.producer);
        number(s, "producer_number", produced.seq);
    }
    text(s, "exchange", take(s, m->exchange_len));
    text(s, "routing_key", take(s, m->key_len));
    flag(s, "persistent", m->flags & MESSAGE_PERSISTENT);
    if (m->flags & MESSAGE_MOVED)
        flag(s, "copied_forward", true);
    number(s, "properties_bytes", m->properties_len);
    struct span properties = take(s, m->properties_len);
    number(s, "body_bytes", m->body_len);
    struct span body = take(s, m->body_len);
    if (s->form->bodies) {
        text(s, "properties", properties);
        text(s, "body", body);
    }
}

static void say_settled(struct said *s)
{
    const struct record_settled *r = (const struct record_settled *)s->record;
    number(s, "queue", r->queue);
    number(s, "first", r->seq);
    number(s, "count", r->count);
}

static void say_entries(struct said *s)
{
    const struct record_entries *r = (const struct record_entries *)s->record;
    number(s, "queue", r->queue);
    number(s, "from", r->from);
    number(s, "to", r->to);
    number(s, "entries", r->count);
    take(s, (size_t)r->count * sizeof(struct saved_entry));
}

static void say_notes(struct said *s)
{
    const struct record_notes *r = (const struct record_notes *)s->record;
    number(s, "queue", r->queue);
    number(s, "notes", r->count);
    take(s, (size_t)r->count * sizeof(struct saved_note));
}

static void say_gap(struct said *s)
{
    const struct record_gap *r = (const struct record_gap *)s->record;
    number(s, "queue", r->queue);
    number(s, "from", r->from);
    number(s, "to", r->to);
    number(s, "reason", r->reason);
}

static void say_large(struct said *s)
{
    const struct record_large *r = (const struct record_large *)s->record;
    place(s, "message", r->position);
    parts(s, r->parts);
}

static void say_keys(struct said *s)
{
    const struct record_keys *r = (const struct record_keys *)s->record;
    number(s, "queue", r->queue);
    key(s, "keys");
    fputc('[', s->out);
    for (uint32_t i = 0; i < r->count && !s->wrong; i++) {
        struct span bytes = take(s, sizeof(struct saved_key));
        struct saved_key saved = {0};
        if (bytes.len)
            memcpy(&saved, bytes.at, sizeof saved);
        struct rows rows = {0};
        rows_string(&rows, take(s, saved.len));
        fprintf(s->out, "%s%s", i ? ", " : "", rows.text);
        free(rows.text);
    }
    fputc(']', s->out);
}

/* ---- what exists ------------------------------------------------------------------------------------- */

static void say_queue(struct said *s)
{
    const struct record_queue *r = (const struct record_queue *)s->record;
    number(s, "queue", r->number);
    number(s, "vhost", r->vhost);
    struct span name = take(s, r->name_len);
    /* Queues of a router's own are named by numbers. */
    if (r->vhost)
        text(s, "name", name);
    flag(s, "auto_delete", r->flags & RECORD_AUTO_DELETE);
    number(s, "next_message", r->tail);
    table(s, "arguments", take(s, r->arguments_len));
}

static void say_binding(struct said *s)
{
    const struct record_binding *r = (const struct record_binding *)s->record;
    bool queue = r->record.type == RECORD_BOUND || r->record.type == RECORD_UNBOUND;
    number(s, "exchange", r->source);
    number(s, queue ? "queue" : "to_exchange", r->destination);
    text(s, "routing_key", take(s, r->key_len));
    table(s, "arguments", take(s, r->arguments_len));
}

static void say_exchange(struct said *s)
{
    const struct record_exchange *r = (const struct record_exchange *)s->record;
    number(s, "exchange", r->id);
    number(s, "vhost", r->vhost);
    text(s, "name", take(s, r->name_len));
    number(s, "type", r->type);
    text(s, "alternate", take(s, r->alternate_len));
    flag(s, "auto_delete", r->flags & RECORD_AUTO_DELETE);
    flag(s, "internal", r->flags & RECORD_INTERNAL);
    flag(s, "delayed", r->flags & RECORD_DELAYED);
    table(s, "arguments", take(s, r->arguments_len));
}

static void say_policy(struct said *s)
{
    const struct record_policy *r = (const struct record_policy *)s->record;
    number(s, "vhost", r->vhost);
    text(s, "name", take(s, r->name_len));
    text(s, "pattern", take(s, r->pattern_len));
    flag(s, "operator", r->flags & RECORD_OPERATOR);
    key(s, "priority");
    fprintf(s->out, "%" PRId32, r->priority);
    table(s, "definition", take(s, r->definition_len));
}

static void say_access(struct said *s)
{
    static const char *const kinds[ACCESS_KINDS] = {
        [ACCESS_USER] = "user",
        [ACCESS_USER_GONE] = "user-gone",
        [ACCESS_VHOST] = "vhost",
        [ACCESS_VHOST_GONE] = "vhost-gone",
        [ACCESS_PERMISSION] = "permission",
        [ACCESS_PERMISSION_GONE] = "permission-gone",
        [ACCESS_TOPIC] = "topic-permission",
        [ACCESS_TOPIC_GONE] = "topic-permission-gone",
        [ACCESS_USER_LIMITS] = "user-limits",
        [ACCESS_USER_LIMITS_GONE] = "user-limits-gone",
        [ACCESS_VHOST_LIMITS] = "vhost-limits",
        [ACCESS_VHOST_LIMITS_GONE] = "vhost-limits-gone",
    };
    static const char *const texts[ACCESS_TEXTS] = {
        [TEXT_USER] = "user",         [TEXT_VHOST] = "vhost",
        [TEXT_EXCHANGE] = "exchange", [TEXT_CONFIGURE] = "configure",
        [TEXT_WRITE] = "write",       [TEXT_READ] = "read",
        [TEXT_TAGS] = "tags",         [TEXT_DESCRIPTION] = "description",
    };
    const struct record_access *r = (const struct record_access *)s->record;
    struct access_change change;
    if (!access_unpack(take(s, r->len), &change)) {
        s->wrong = true;
        return;
    }
    text(s, "change", span_str(kinds[change.kind]));
    for (unsigned i = 0; i < ACCESS_TEXTS; i++)
        if (texts[i] && access_has(&change, (enum access_text)i))
            text(s, texts[i], change.text[i]);
}

/* ---- publishers -------------------------------------------------------------------------------------- */

static void say_producer(struct said *s)
{
    const struct record_producer *r = (const struct record_producer *)s->record;
    take(s, (size_t)r->words * sizeof *r->bits);
    number(s, "producer", r->number);
    number(s, "vhost", r->vhost);
    text(s, "id", take(s, r->id_len));
    number(s, "last", r->last);
}

static void say_sender(struct said *s)
{
    const struct record_sender *r = (const struct record_sender *)s->record;
    number(s, "session", r->number);
    number(s, "vhost", r->vhost);
    text(s, "name", take(s, r->name_len));
    number(s, "identifiers", r->count);
    take(s, (size_t)r->count * 2);
}

static void say_released(struct said *s)
{
    const struct record_ids *r = (const struct record_ids *)s->record;
    number(s, "session", r->number);
    number(s, "identifiers", r->count);
    take(s, (size_t)r->count * 2);
}

/* ---- the journal's own, and where the log is read from ------------------------------------------------- */

static void say_commit(struct said *s)
{
    const struct record_commit *r = (const struct record_commit *)s->record;
    place(s, "safe", r->safe);
}

static void say_checkpoint(struct said *s)
{
    const struct record_checkpoint *r = (const struct record_checkpoint *)s->record;
    number(s, "next_exchange", r->exchange_next);
    number(s, "next_queue", r->queue_next);
}

static void say_checkpoint_end(struct said *s)
{
    place(s, "from", ((const struct record_id *)s->record)->id);
}

static void say_id(struct said *s)
{
    number(s, "id", ((const struct record_id *)s->record)->id);
}

static void say_nothing(struct said *s)
{
    (void)s;
}

static const struct kind {
    const char *name;
    size_t fixed; /* bytes */
    void (*say)(struct said *s);
} kinds[] = {
    [RECORD_PAD] = {"pad", sizeof(struct record), say_nothing},
    [RECORD_COMMIT] = {"commit", sizeof(struct record_commit), say_commit},
    [RECORD_MESSAGE] = {"message", sizeof(struct message), say_message},
    [RECORD_SETTLED] = {"settled", sizeof(struct record_settled), say_settled},
    [RECORD_QUEUE] = {"queue", sizeof(struct record_queue), say_queue},
    [RECORD_QUEUE_GONE] = {"queue-gone", sizeof(struct record_id), say_id},
    [RECORD_BOUND] = {"bound", sizeof(struct record_binding), say_binding},
    [RECORD_UNBOUND] = {"unbound", sizeof(struct record_binding), say_binding},
    [RECORD_EXCHANGE] = {"exchange", sizeof(struct record_exchange), say_exchange},
    [RECORD_EXCHANGE_GONE] = {"exchange-gone", sizeof(struct record_id), say_id},
    [RECORD_LINKED] = {"linked", sizeof(struct record_binding), say_binding},
    [RECORD_UNLINKED] = {"unlinked", sizeof(struct record_binding), say_binding},
    [RECORD_CHECKPOINT] = {"checkpoint", sizeof(struct record_checkpoint), say_checkpoint},
    [RECORD_ENTRIES] = {"entries", sizeof(struct record_entries), say_entries},
    [RECORD_LARGE] = {"large", sizeof(struct record_large), say_large},
    [RECORD_CHECKPOINT_END] = {"checkpoint-end", sizeof(struct record_id), say_checkpoint_end},
    [RECORD_CLEAN] = {"clean-end", sizeof(struct record), say_nothing},
    [RECORD_STARTED] = {"started", sizeof(struct record_id), say_nothing},
    [RECORD_NOTES] = {"notes", sizeof(struct record_notes), say_notes},
    [RECORD_GAP] = {"gap", sizeof(struct record_gap), say_gap},
    [RECORD_POLICY] = {"policy", sizeof(struct record_policy), say_policy},
    [RECORD_POLICY_GONE] = {"policy-gone", sizeof(struct record_policy), say_policy},
    [RECORD_PRODUCER] = {"producer", sizeof(struct record_producer), say_producer},
    [RECORD_PRODUCER_GONE] = {"producer-gone", sizeof(struct record_id), say_id},
    [RECORD_KEYS] = {"keys", sizeof(struct record_keys), say_keys},
    [RECORD_SENDER] = {"session", sizeof(struct record_sender), say_sender},
    [RECORD_SENDER_GONE] = {"session-gone", sizeof(struct record_id), say_id},
    [RECORD_RELEASED] = {"released", sizeof(struct record_ids), say_released},
    [RECORD_ACCESS] = {"access", sizeof(struct record_access), say_access},
};

static const struct kind *kind_of(uint8_t type)
{
    return type < sizeof kinds / sizeof *kinds && kinds[type].name ? &kinds[type] : NULL;
}

const char *journal_record_name(uint8_t type, char text[16])
{
    const struct kind *kind = kind_of(type);
    if (kind)
        return kind->name;
    snprintf(text, 16, "kind-%u", type);
    return text;
}

void journal_record_write(FILE *out, const struct record *record, uint64_t lsn,
                          const struct record_form *form)
{
    char name[16];
    const struct kind *kind = kind_of(record->type);
    struct said s = {.out = out, .form = form, .record = record};
    fprintf(out,
            form->json ? "{\"segment\": \"%016" PRIx64 "\", \"offset\": %" PRIu64
                         ", \"kind\": \"%s\", \"bytes\": %" PRIu32
                       : "%016" PRIx64 " %8" PRIu64 " %s bytes=%" PRIu32,
            segment_of(lsn), lsn % SEGMENT_BYTES, journal_record_name(record->type, name), record->length);
    s.wrong = !kind || record->length < kind->fixed;
    if (!s.wrong) {
        s.at = (const uint8_t *)record + kind->fixed;
        s.left = record->length - kind->fixed;
        kind->say(&s);
    }
    if (s.wrong)
        flag(&s, "malformed", true);
    fputs(form->json ? "}\n" : "\n", out);
}
