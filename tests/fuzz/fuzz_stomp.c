/*
 * A hostile STOMP client, and routers that answer as they like: no input, however it is cut, may break the
 * codec, make it keep memory, stall, or write what is not STOMP.
 *
 * The fuzzer's bytes are a script: what arrives raw, as a frame of any headers, or as one that is nearly
 * right; what the routers answer, deliver and return; what the front says. In the end all is answered, and
 * nothing may still wait. Of what is written it must hold:
 * CONNECTED or ERROR is the first, nothing comes behind ERROR or the end, each frame is whole, escaped as its
 * version wants and has the headers that it must, and receipts come in the order in which they were wanted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "codec/stomp/connection.h"
#include "codec/stomp/stomp.h"
#include "codec_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
    struct script s;
    struct stomp *c;  /* the codec's state */
    size_t read, end; /* of the output; end: as it was when the connection was closed */
    bool greeted, failed, closed;
    uint32_t wanted, received; /* receipts: "r1", "r2", ... */
    uint64_t sent;             /* number of the last delivery */
};

/* ---- frames in ------------------------------------------------------------------------------------- */

static const char *const commands[] = {"SEND",   "SUBSCRIBE", "UNSUBSCRIBE", "ACK",   "NACK",    "BEGIN",
                                       "COMMIT", "ABORT",     "CONNECT",     "STOMP", "MESSAGE", "send",
                                       ""};
static const char *const names[] = {"destination",
                                    "id",
                                    "receipt",
                                    "transaction",
                                    "ack",
                                    "content-length",
                                    "durable",
                                    "auto-delete",
                                    "exclusive",
                                    "x-message-ttl",
                                    "x-queue-type",
                                    "x-stream-offset",
                                    "persistent",
                                    "reply-to",
                                    "message-id",
                                    "prefetch-count",
                                    "x-queue-name",
                                    "priority",
                                    "expiration",
                                    "content-type",
                                    "timestamp",
                                    "heart-beat",
                                    "accept-version",
                                    "x-priority",
                                    "x-delay",
                                    "x-max-length",
                                    "x\\ca\\\\b",
                                    "a\\r",
                                    "login",
                                    "x-expires"};
static const char *const values[] = {"true",          "false", "1",    "0",        "100",      "client",
                                     "individual",    "auto",  "t",    "u",        "/queue/a", "/topic/a.#",
                                     "/temp-queue/a", "77-1",  "77-2", "stream",   "first",    "offset=3",
                                     "timestamp=9",   "-1",    "",     "a\\nb\\c", "1.2,1.1",  "1\\x"};
static const char *const destinations[] = {"/queue/a",
                                           "/queue/b",
                                           "/topic/a.b",
                                           "/exchange/amq.direct/k",
                                           "/exchange/secret/k",
                                           "/exchange/none",
                                           "/amq/queue/a",
                                           "/temp-queue/a",
                                           "/reply-queue/a",
                                           "/queue/a%2Fb%",
                                           "/queue/",
                                           "nowhere",
                                           "/topic/a/b",
                                           "/exchange//",
                                           "/exchange/amq.topic"};

#define ONE_OF(array, which) array[(which) % (sizeof array / sizeof *array)]

static void text(struct play *p, const char *s)
{
    script_append(&p->s, span_str(s));
}

static void header(struct play *p, const char *name, const char *value)
{
    text(p, name), text(p, ":"), text(p, value), text(p, "\n");
}

static void number(struct play *p, const char *name, const char *prefix, uint64_t n)
{
    char value[40];
    snprintf(value, sizeof value, "%s%llu", prefix, (unsigned long long)n);
    header(p, name, value);
}

/* Bits of `how`: of a receipt, of a transaction. */
static void common(struct play *p, uint8_t how)
{
    if (how & 1)
        number(p, "receipt", "r", ++p->wanted);
    if (how & 2)
        header(p, "transaction", how & 4 ? "t" : "u");
}

static void some_headers(struct play *p, unsigned count)
{
    for (; count; count--) {
        uint8_t name = script_next(&p->s), value = script_next(&p->s);
        if (name & 128)
            script_append(&p->s, script_take(&p->s, name & 15));
        else
            text(p, ONE_OF(names, name));
        text(p, ":");
        if (value & 128)
            script_append(&p->s, script_take(&p->s, value & 63));
        else
            text(p, ONE_OF(values, value));
        text(p, value & 64 ? "\r\n" : "\n");
    }
}

static void end_frame(struct play *p)
{
    script_append(&p->s, span_of("\n\0", 2));
}

static void frame(struct play *p)
{
    uint8_t command = script_next(&p->s), how = script_next(&p->s);
    text(p, ONE_OF(commands, command)), text(p, "\n");
    common(p, command >> 5);
    some_headers(p, how & 15);
    text(p, "\n");
    script_append(&p->s, script_take(&p->s, how >> 4));
    script_append(&p->s, span_of("\0\n", how & 128 ? 2 : 1));
}

static void send(struct play *p)
{
    static const uint8_t zeros[30000] = {0};
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    uint8_t how = script_next(&p->s), size = script_next(&p->s);
    text(p, "SEND\n");
    header(p, "destination", ONE_OF(destinations, how >> 4));
    common(p, how);
    some_headers(p, size >> 6);
    if (how & 8) {
        size_t len = (size & 63) * (size & 32 ? 400u : 3u);
        number(p, "content-length", "", len);
        text(p, "\n");
        script_append(&p->s, span_of(zeros, len + 1));
    } else {
        text(p, "\n");
        script_append(&p->s, span_of(letters, size % sizeof letters));
        script_append(&p->s, span_of("", 1));
    }
}

static void subscription(struct play *p, bool un)
{
    uint8_t how = script_next(&p->s), more = script_next(&p->s);
    text(p, un ? "UNSUBSCRIBE\n" : "SUBSCRIBE\n");
    common(p, how & 1);
    number(p, "id", "", how >> 1 & 3);
    if (!un)
        header(p, "destination", ONE_OF(destinations, how >> 4));
    if (more & 4)
        header(p, "ack", more & 8 ? "client" : "client-individual");
    some_headers(p, more & 3);
    end_frame(p);
}

static void client_answer(struct play *p, bool positive)
{
    uint8_t how = script_next(&p->s);
    text(p, positive ? "ACK\n" : "NACK\n");
    common(p, how);
    number(p, how & 8 ? "message-id" : "id", "77-", how & 16 ? how >> 5 : p->sent);
    end_frame(p);
}

static void transaction(struct play *p, uint8_t what)
{
    uint8_t how = script_next(&p->s);
    if (what & 4 && how < 250)
        what &= 3;
    text(p, what & 4          ? "DISCONNECT\n"
            : (what & 3) == 0 ? "BEGIN\n"
            : (what & 3) == 1 ? "ABORT\n"
                              : "COMMIT\n");
    common(p, how | 2);
    end_frame(p);
}

/* ---- frames out ------------------------------------------------------------------------------------ */

static struct span line_of(struct span *in)
{
    const uint8_t *end = memchr(in->at, '\n', in->len);
    CHECK(end);
    struct span line = span_of(in->at, (size_t)(end - in->at));
    *in = span_of(end + 1, in->len - line.len - 1);
    return line;
}

static void check_escapes(struct span s, enum stomp_version version)
{
    for (size_t i = 0; version >= STOMP_11 && i < s.len; i++) {
        CHECK(s.at[i] != ':' && (s.at[i] != '\r' || version == STOMP_11));
        if (s.at[i] != '\\')
            continue;
        CHECK(++i < s.len);
        CHECK(s.at[i] == 'n' || s.at[i] == 'c' || s.at[i] == '\\' || (s.at[i] == 'r' && version == STOMP_12));
    }
}

/* The headers that are looked at, as they are written. */
struct seen {
    struct span length, receipt, message, id, subscription, destination, version;
};

static void look_at(struct seen *seen, struct span name, struct span value)
{
    struct {
        const char *name;
        struct span *at;
    } wanted[] = {{"content-length", &seen->length},     {"receipt-id", &seen->receipt},
                  {"message", &seen->message},           {"message-id", &seen->id},
                  {"subscription", &seen->subscription}, {"version", &seen->version},
                  {"destination", &seen->destination}};
    for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (span_is(name, wanted[i].name) && !wanted[i].at->at) /* the first one counts */
            *wanted[i].at = value;
}

static struct seen read_headers(struct span *in, enum stomp_version version)
{
    struct seen seen = {0};
    struct span line;
    while ((line = line_of(in)).len) {
        const uint8_t *colon = memchr(line.at, ':', line.len);
        CHECK(colon);
        struct span name = span_of(line.at, (size_t)(colon - line.at));
        struct span value = span_of(colon + 1, line.len - name.len - 1);
        CHECK(!memchr(line.at, 0, line.len));
        check_escapes(name, version);
        check_escapes(value, version);
        look_at(&seen, name, value);
    }
    return seen;
}

static void read_body(struct span *in, const struct seen *seen)
{
    uint64_t len = 0;
    if (seen->length.at)
        CHECK(stomp_number(seen->length, &len) && len < in->len);
    CHECK(in->len && !in->at[len]);
    *in = span_of(in->at + len + 1, in->len - len - 1);
}

static void read_receipt(struct play *p, struct span id)
{
    uint64_t n;
    CHECK(id.at);
    if (!id.len || id.at[0] != 'r' || !stomp_number(span_of(id.at + 1, id.len - 1), &n) || n > p->wanted)
        return; /* one of a raw frame */
    CHECK(n > p->received);
    p->received = (uint32_t)n;
}

static void read_message(struct play *p, const struct seen *seen)
{
    CHECK(seen->length.at && seen->destination.len && seen->subscription.at && seen->id.len);
    p->sent = p->c->tag;
}

static void read_frame(struct play *p, struct span *in)
{
    struct span command = line_of(in);
    bool is_first = span_is(command, "CONNECTED");
    struct seen seen = read_headers(in, is_first ? STOMP_10 : p->c->version);
    read_body(in, &seen);
    CHECK(!p->failed);
    if (span_is(command, "ERROR")) {
        CHECK(seen.message.len);
        p->failed = true;
        return;
    }
    CHECK(p->greeted != is_first);
    p->greeted = true;
    if (is_first) {
        CHECK(seen.version.len == 3);
    } else if (span_is(command, "RECEIPT")) {
        read_receipt(p, seen.receipt);
    } else {
        CHECK(span_is(command, "MESSAGE"));
        read_message(p, &seen);
    }
}

static void read_output(struct play *p)
{
    const struct fake_bytes *out = &p->s.host->output;
    CHECK(!p->closed || out->len == p->end);
    while (p->read < out->len) {
        struct span in = span_of(out->at + p->read, out->len - p->read);
        if (in.at[0] == '\n')
            in = span_of(in.at + 1, in.len - 1);
        else
            read_frame(p, &in);
        p->read = out->len - in.len;
    }
    p->closed = p->s.host->closed;
    p->end = out->len;
}

/* What of the input may be left, unless something must wait: the beginning of a frame. */
#define REST_MAX (STOMP_HEAD_MAX + INLINE_BODY_MAX)

static void show(struct play *p, size_t more)
{
    script_show(&p->s, more);
    CHECK(p->s.shown <= REST_MAX || p->s.host->park || p->s.host->ops);
    read_output(p);
}

/* ---- routers --------------------------------------------------------------------------------------- */

static void answer(struct play *p)
{
    unsigned router;
    uint8_t how;
    struct op *op = script_op(&p->s, 240, &how, &router);
    if (op)
        script_op_back(&p->s, op, router);
}

/* A message that is delivered, or that comes back. */
static void send_message(struct play *p, bool back)
{
    uint8_t flags = script_next(&p->s), shape = script_next(&p->s);
    struct span exchange = script_take(&p->s, back ? 0 : flags & 4 ? shape & 7 : 0);
    struct span key = script_take(&p->s, back ? 1 : shape & 15),
                properties = script_take(&p->s, script_next(&p->s));
    if (back && !key.len) /* a queue has a name */
        key = span_str("a");
    size_t body_len = (shape >> 4) * 100u;
    struct message *m = script_message(&p->s, exchange.len + key.len + properties.len + body_len);
    m->protocol = back ? PROPERTIES_AMQP : flags & 8 ? ORIGIN_MQTT : PROPERTIES_AMQP;
    m->flags = flags & 16 ? MESSAGE_PERSISTENT : 0;
    m->exchange_len = (uint8_t)exchange.len;
    m->key_len = (uint8_t)key.len;
    m->properties_len = (uint32_t)properties.len;
    m->body_len = (uint32_t)body_len;
    put_span(put_span(put_span((uint8_t *)(m + 1), exchange), key), properties);
    struct event_deliver event = {
        .kind = back ? EVENT_RETURN : EVENT_DELIVER,
        .flags = back        ? 0
                 : flags & 1 ? DELIVER_REDELIVERED
                             : 0,
        .tag = back          ? script_next(&p->s)
               : flags & 128 ? script_next(&p->s)
                             : p->s.handle,
        .queue = 5,
        .seq = flags & 64 ? p->s.seq : ++p->s.seq,
        .page = 1,
        .message = m,
        .parts = back && flags & 32 ? NULL : script_parts(&p->s),
    };
    script_deliver(&p->s, flags >> 5 & 1, &event);
}

/* ---- one step -------------------------------------------------------------------------------------- */

static void front(struct play *p, uint8_t what)
{
    struct event_cancel cancel = {.kind = EVENT_CANCEL, .tag = p->s.handle};
    if (script_front(&p->s, what) || (what % 8 == 6 && script_next(&p->s) < 128))
        return;
    cancel.flags = what % 8 == 6 ? CANCEL_LAPSED : 0;
    codec_stomp.event(p->c, p->s.host, 0, &(union event){.cancel = cancel});
}

static void client(struct play *p, uint8_t what)
{
    switch (what >> 4) {
    case 4:
    case 5:
        frame(p);
        break;
    case 6:
    case 7:
        send(p);
        break;
    case 8:
        subscription(p, what & 8);
        break;
    case 9:
        client_answer(p, what & 8);
        break;
    case 10:
    case 11:
        transaction(p, what >> 1 & 7);
        break;
    default: /* 0 to 3 */
        script_append(&p->s, script_take(&p->s, what));
    }
}

static void step(struct play *p)
{
    uint8_t what = script_next(&p->s);
    if (p->s.input.len > SCRIPT_INPUT_MAX && what >> 4 < 12)
        what = 0xc0;
    switch (what >> 4) {
    default:
        client(p, what);
        break;
    case 12:
        answer(p);
        break;
    case 13:
        send_message(p, what & 8);
        break;
    case 14:
        script_confirm(&p->s);
        break;
    case 15:
        front(p, what);
    }
    show(p, what & 1 ? p->s.input.len : script_next(&p->s));
}

/* CONNECT, so that not every script needs it. */
static void negotiate(struct play *p, uint8_t how)
{
    static const char *const versions[] = {"1.0", "1.1", "1.2", "1.2"};
    text(p, how & 4 ? "STOMP\n" : "CONNECT\n");
    header(p, "accept-version", versions[how & 3]);
    header(p, "host", "/");
    if (how & 8)
        header(p, "heart-beat", "1000,500");
    common(p, how >> 4 & 1);
    end_frame(p);
    show(p, p->s.input.len);
}

/* All is answered and nothing must wait any more: then nothing does. */
static void settle(struct play *p)
{
    p->s.host->park = false;
    show(p, p->s.input.len);
    while (p->s.host->ops) {
        answer(p);
        show(p, p->s.input.len);
    }
    CHECK(p->s.host->closed || p->c->rest.going || !p->c->again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {0};
    script_begin(&p.s, &codec_stomp, data, size);
    p.c = p.s.state;
    fake_exchange(p.s.host, "amq.topic", false);
    fake_exchange(p.s.host, "secret", true);
    p.s.host->options.stomp_anonymous = true;
    p.s.host->options.max_message_size = 20000;
    uint8_t how = script_next(&p.s);
    p.s.host->interest = how & 32 ? 3 : 1;
    p.s.host->buffers_most = how & 64 ? 100000 : 4u << 20;
    script_open(&p.s);
    if (!(how & 128))
        negotiate(&p, how);
    while (p.s.bytes.len)
        step(&p);
    settle(&p);
    script_end(&p.s);
    return 0;
}
