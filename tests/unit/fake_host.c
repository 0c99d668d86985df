#include "fake_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"

static void append(struct fake_bytes *b, const void *at, size_t len)
{
    if (b->len + len > b->room) {
        b->room = 2 * (b->len + len);
        b->at = realloc(b->at, b->room);
        CHECK(b->at);
    }
    if (len)
        memcpy(b->at + b->len, at, len);
    b->len += len;
}

static void say(struct fake_bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct fake_bytes *b, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    append(b, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

#define ADD(host, array, count, ...)                                                                         \
    do {                                                                                                     \
        (host)->array = realloc((host)->array, ((host)->count + 1) * sizeof *(host)->array);                 \
        CHECK((host)->array);                                                                                \
        (host)->array[(host)->count++] = (__VA_ARGS__);                                                      \
    } while (0)

static const uint8_t *copy(const uint8_t *at, size_t len)
{
    uint8_t *bytes = malloc(len + 1);
    CHECK(bytes);
    if (len)
        memcpy(bytes, at, len);
    return bytes;
}

/* ---- made, freed
 * -------------------------------------------------------------------------------------------- */

struct host *fake_host_new(void)
{
    struct host *host = calloc(1, sizeof *host);
    CHECK(host);
    host->options = (struct host_options){131072, 2047, 60, 10000, 16 * MIB, 1000};
    host->options.mqtt_exchange = "amq.topic";
    host->options.mqtt_vhost = "/";
    host->routers = 2;
    host->interest = 1;
    host->buffers_most = 64 * MIB;
    host->now_ns = 1000000000;
    host->exchange_version = 1;
    fake_exchange(host, "", false);
    host->exchange[0].is_default = true;
    fake_exchange(host, "amq.direct", false);
    return host;
}

void fake_forget(struct host *host)
{
    for (size_t i = 0; i < host->publishes; i++)
        free((void *)host->publish[i].command.bytes);
    for (size_t i = 0; i < host->parts; i++)
        free((void *)host->part[i].command.bytes);
    host->publishes = host->parts = host->settles = host->credits = host->done = host->lent = 0;
    host->output.len = host->transcript.len = host->log.len = 0;
}

void fake_host_free(struct host *host)
{
    struct op *op;
    while ((op = fake_take_op(host, NULL)))
        host_free_op(host, op);
    CHECK(host->buffers == 0);
    CHECK(host->ops_alive == 0);
    fake_forget(host);
    free(host->scratch);
    free(host->publish);
    free(host->part);
    free(host->settle);
    free(host->credit);
    free(host->op);
    free(host->output.at);
    free(host->transcript.at);
    free(host->log.at);
    free(host);
}

void fake_exchange(struct host *host, const char *name, bool internal)
{
    CHECK(host->exchanges < FAKE_EXCHANGES);
    unsigned i = host->exchanges++;
    host->exchange[i] = (struct exchange_row){.id = 100 + i, .vhost = FAKE_VHOST, .internal = internal};
    host->exchange_name[i] = name;
    host->exchange_version++;
}

/* ---- the connection
 * ------------------------------------------------------------------------------------------- */

uint64_t host_conn(const struct host *host)
{
    (void)host;
    return 77;
}

unsigned host_front(const struct host *host)
{
    (void)host;
    return 0;
}

const char *host_peer(const struct host *host)
{
    (void)host;
    return "fake:1";
}

bool host_peer_is_loopback(const struct host *host)
{
    (void)host;
    return true;
}

uint64_t host_now(const struct host *host)
{
    return host->now_ns;
}

uint16_t host_local_port(const struct host *host)
{
    return host->local_port;
}

uint64_t host_wall_ms(const struct host *host)
{
    return host->now_ns / 1000000;
}

bool host_login_guest(struct host *host, struct span *user)
{
    (void)host;
    *user = span_str("guest");
    return true;
}

struct span host_certified(struct host *host)
{
    return host->certified ? span_str(host->certified) : span_of("", 0);
}

bool host_login_certified(struct host *host)
{
    return span_is(host_certified(host), "guest");
}

bool host_is_trusted(const struct host *host)
{
    return host->trusted;
}

bool host_login_trusted(struct host *host, struct span user)
{
    return host->trusted && span_is(user, "guest");
}

uint64_t host_random(struct host *host)
{
    return hash_id(++host->random);
}

void host_wake_at(struct host *host, uint64_t now_ns)
{
    host->wake_ns = now_ns;
}

void host_log(struct host *host, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    append(&host->log, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    append(&host->log, "\n", 1);
}

void host_close(struct host *host)
{
    CHECK(!host->closed);
    host->closed = true;
}

const struct host_options *host_options(const struct host *host)
{
    return &host->options;
}

void host_describe(struct host *host, const char *protocol, struct span user, struct span vhost,
                   struct span client)
{
    say(&host->transcript, "describe %s user %.*s vhost %.*s client %.*s\n", protocol, (int)user.len, user.at,
        (int)vhost.len, vhost.at, (int)client.len, client.at);
}

/* ---- output
 * ----------------------------------------------------------------------------------------------------- */

uint8_t *host_reserve(struct host *host, size_t bytes)
{
    CHECK(bytes <= FAKE_BUFFER);
    host->reserved = bytes;
    return host->buffer;
}

void host_commit(struct host *host, size_t bytes)
{
    CHECK(bytes <= host->reserved);
    if (!host->quiet)
        append(&host->output, host->buffer, bytes);
    host->reserved = 0;
}

void host_write(struct host *host, struct span bytes)
{
    if (!host->quiet)
        append(&host->output, bytes.at, bytes.len);
}

void host_lend(struct host *host, unsigned router, uint64_t page, struct span bytes)
{
    (void)router, (void)page;
    host->lent++;
    host_write(host, bytes);
}

size_t host_backlog(const struct host *host)
{
    return host->backlog;
}

/* ---- to the routers
 * --------------------------------------------------------------------------------------------- */

const struct exchange_row *host_exchange(struct host *host, uint32_t vhost, struct span name)
{
    for (unsigned i = 0; i < host->exchanges; i++)
        if (host->exchange[i].vhost == vhost && span_is(name, host->exchange_name[i]))
            return &host->exchange[i];
    return NULL;
}

uint64_t host_exchange_version(const struct host *host)
{
    return host->exchange_version;
}

static bool must_wait(struct host *host)
{
    if (!host->park || !host->admitted)
        return host->park;
    host->admitted--;
    return false;
}

static void keep_publish(struct host *host, const struct command_publish *p)
{
    struct fake_publish kept = {*p, host->published_to};
    size_t len = p->body_at + p->body_len;
    kept.command.bytes = copy(p->bytes, len);
    ADD(host, publish, publishes, kept);
    say(&host->transcript,
        "publish %lu flags %u channel %u seq %lu exchange %lu key %.*s properties %u body %u of %u %016lx\n",
        host->published_to, p->flags, p->channel, p->seq, p->exchange, p->key_len, (const char *)p->bytes,
        p->properties_len, p->body_len, p->total_len,
        hash_bytes(span_of(p->bytes + p->properties_at, p->properties_len), 0) ^
            hash_bytes(span_of(p->bytes + p->body_at, p->body_len), 1));
}

unsigned host_publish(struct host *host, const struct exchange_row *exchange, struct command_publish *publish,
                      void *owned)
{
    if (must_wait(host))
        return 0;
    host->published_to =
        exchange->is_default
            ? 1u << host_router_of(host, exchange->vhost, span_of(publish->bytes, publish->key_len))
            : host->interest;
    unsigned n = (unsigned)__builtin_popcountll(host->published_to);
    publish->exchange = exchange->id;
    publish->flags |= n > 1 ? PUBLISH_SHARED : 0;
    if (!host->quiet)
        keep_publish(host, publish);
    if (owned)
        host_buffer_free(host, owned);
    return n;
}

uint64_t host_published_to(const struct host *host)
{
    return host->published_to;
}

bool host_part(struct host *host, uint64_t routers, struct command_part *part, void *owned)
{
    if (!(part->flags & PART_ABORT) && must_wait(host))
        return false;
    struct fake_part kept = {*part, routers};
    kept.command.bytes = copy(part->bytes, part->len);
    ADD(host, part, parts, kept);
    say(&host->transcript, "part %lu flags %u channel %u %u bytes %016lx\n", routers, part->flags,
        part->channel, part->len, hash_bytes(span_of(part->bytes, part->len), 1));
    if (owned)
        host_buffer_free(host, owned);
    return true;
}

uint8_t *host_buffer(struct host *host, size_t bytes)
{
    if (host->buffer_bytes + bytes > host->buffers_most)
        return NULL;
    size_t *buffer = malloc(sizeof(size_t) * 2 + bytes);
    CHECK(buffer);
    buffer[0] = bytes;
    host->buffer_bytes += bytes;
    host->buffers++;
    return (uint8_t *)(buffer + 2);
}

void host_buffer_free(struct host *host, uint8_t *buffer)
{
    size_t *start = (size_t *)(void *)buffer - 2;
    host->buffer_bytes -= start[0];
    host->buffers--;
    free(start);
}

/* Fresh each time, so that writing beyond it is seen; publishes are copied when they are sent. */
uint8_t *host_scratch(struct host *host, size_t bytes)
{
    if (host->buffer_bytes + bytes > host->buffers_most)
        return NULL;
    free(host->scratch);
    host->scratch = malloc(bytes);
    CHECK(host->scratch);
    host->scratch_bytes = bytes;
    return host->scratch;
}

void host_scratch_keep(struct host *host, size_t bytes)
{
    CHECK(bytes <= host->scratch_bytes);
}

/* One line for each delivery: how they were gathered depends on turns. */
void host_settle(struct host *host, unsigned router, uint64_t queue, uint64_t seq, uint32_t count,
                 enum settle how, uint64_t consumer)
{
    struct fake_settle settle = {router, queue, seq, consumer, count, how};
    if (host->quiet)
        return;
    ADD(host, settle, settles, settle);
    for (uint32_t i = 0; queue && i < count; i++) /* queue 0: no deliveries, only a wider window */
        say(&host->transcript, "settle router %u queue %lu seq %lu how %d consumer %lu\n", router, queue,
            seq + i, how, consumer);
}

void host_credit(struct host *host, unsigned router, uint64_t consumer, uint32_t bytes, uint8_t flags)
{
    struct fake_credit credit = {.router = router, .consumer = consumer, .bytes = bytes, .flags = flags};
    if (!host->quiet)
        ADD(host, credit, credits, credit);
}

void host_resume(struct host *host, unsigned router, uint64_t consumer, uint16_t round, uint64_t seen)
{
    struct fake_credit credit = {
        .router = router, .consumer = consumer, .flags = CREDIT_RESUME, .round = round, .seen = seen};
    host->round = round;
    if (!host->quiet)
        ADD(host, credit, credits, credit);
}

void host_done(struct host *host, unsigned router, uint64_t page)
{
    (void)router, (void)page;
    host->done++;
}

struct op *host_op(struct host *host)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->conn = host_conn(host);
    host->ops_alive++;
    return op;
}

void host_send_op(struct host *host, struct op *op)
{
    host_send_op_to(host, host_router_of(host, op->vhost, name_span(&op->name)), op);
}

void host_send_op_to(struct host *host, unsigned router, struct op *op)
{
    CHECK(router < host->routers);
    struct fake_op sent = {op, router};
    ADD(host, op, ops, sent);
    say(&host->transcript,
        "op %d router %u flags %u channel %u '%.*s' '%.*s' key '%.*s' type '%.*s' prefetch %u consumer %lu\n",
        op->kind, router, op->flags, op->channel, op->name.len, op->name.bytes, op->other.len,
        op->other.bytes, op->key.len, op->key.bytes, op->type.len, op->type.bytes, op->prefetch,
        op->consumer);
}

struct op *fake_take_op(struct host *host, unsigned *router)
{
    if (!host->ops)
        return NULL;
    struct fake_op first = host->op[0];
    host->ops--;
    memmove(host->op, host->op + 1, host->ops * sizeof *host->op);
    if (router)
        *router = first.router;
    return first.op;
}

void host_free_op(struct host *host, struct op *op)
{
    host->ops_alive--;
    free((void *)op->arguments.at);
    free(op);
}

unsigned host_router_of(const struct host *host, uint32_t vhost, struct span queue)
{
    return (unsigned)(hash_bytes(queue, vhost) % host->routers);
}

unsigned host_routers(const struct host *host)
{
    return host->routers;
}
