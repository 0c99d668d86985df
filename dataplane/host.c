/* What a front offers its codecs (codec/host.h). */
#include "codec/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "front_inside.h"
#include "router/message.h"
#include "router/properties.h"

/* ---- the connection ------------------------------------------------------------------------------ */

uint64_t host_conn(const struct host *host)
{
    return host->id;
}

unsigned host_front(const struct host *host)
{
    return host->front->options.index;
}

const char *host_peer(const struct host *host)
{
    return host->peer;
}

bool host_peer_is_loopback(const struct host *host)
{
    return host->trusted || strncmp(host->peer, "127.", 4) == 0 || strncmp(host->peer, "[::1]", 5) == 0 ||
           strncmp(host->peer, "[::ffff:127.", 12) == 0;
}

uint16_t host_local_port(const struct host *host)
{
    return host->local_port;
}

uint64_t host_now(const struct host *host)
{
    return host->front->now_ns;
}

uint64_t host_wall_ms(const struct host *host)
{
    return (host->front->options.epoch_ns + host->front->now_ns) / 1000000;
}

uint64_t host_random(struct host *host)
{
    return prng_next(&host->front->prng);
}

void host_wake_at(struct host *host, uint64_t now_ns)
{
    if (now_ns)
        timer_set(&host->front->timers, &host->wake, now_ns);
    else
        timer_cancel(&host->front->timers, &host->wake);
}

void host_log(struct host *host, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_line(LOG_INFO, "front", "%s: %s", host->peer, text);
}

void host_close(struct host *host)
{
    host->closing = true;
    limits_leave_channels(host);
    limits_leave(host->login);
    front_touch(host);
}

const struct host_options *host_options(const struct host *host)
{
    return &host->front->options.host;
}

/* A client's name may be long: so much of it. */
static uint8_t shown(struct span s)
{
    return (uint8_t)(s.len < NAME_MAX_BYTES ? s.len : NAME_MAX_BYTES);
}

void host_describe(struct host *host, const char *protocol, struct span user, struct span vhost,
                   struct span client)
{
    struct about *about = malloc(sizeof *about + shown(user) + shown(vhost) + shown(client));
    CHECK(about);
    *about = (struct about){protocol, shown(user), shown(vhost), shown(client)};
    uint8_t *to = put_span(about->bytes, span_of(user.at, about->user_len));
    to = put_span(to, span_of(vhost.at, about->vhost_len));
    put_span(to, span_of(client.at, about->client_len));
    free(host->about);
    host->about = about;
}

/* ---- output -------------------------------------------------------------------------------------- */

uint8_t *host_reserve(struct host *host, size_t bytes)
{
    return output_reserve(&host->output, &host->front->pool, bytes);
}

void host_commit(struct host *host, size_t bytes)
{
    output_commit(&host->output, bytes);
    front_touch(host);
}

void host_write(struct host *host, struct span bytes)
{
    while (bytes.len) {
        size_t n = bytes.len < OUTPUT_CHUNK_BYTES ? bytes.len : OUTPUT_CHUNK_BYTES;
        memcpy(host_reserve(host, n), bytes.at, n);
        host_commit(host, n);
        bytes = span_of(bytes.at + n, bytes.len - n);
    }
}

void host_lend(struct host *host, unsigned router, uint64_t page, struct span bytes)
{
    if (bytes.len == 0) {
        front_done(host->front, router, page);
        return;
    }
    output_lend(&host->output, router, page, bytes);
    front_touch(host);
}

size_t host_backlog(const struct host *host)
{
    return host->output.unsent;
}

/* ---- publishing ---------------------------------------------------------------------------------- */

const struct exchange_row *host_exchange(struct host *host, uint32_t vhost, struct span name)
{
    return exchange_table_find(&host->front->exchanges, vhost, name);
}

uint64_t host_exchange_version(const struct host *host)
{
    return host->front->exchanges.version;
}

/* Whether a command can go to all of the routers at once, and nobody needs to be asked whether it may. */
static bool can_send(struct host *host, uint64_t routers, uint8_t flags)
{
    struct front *front = host->front;
    for (uint64_t left = routers; left; left &= left - 1) {
        unsigned r = (unsigned)__builtin_ctzll(left);
        if (front->gate[r] && front_is_shut(host, r, flags))
            host->waits = WAIT_GATE;
        else if (!link_open(&front->router[r], 1))
            host->waits = WAIT_RING;
    }
    return !(host->waits | host->rated);
}

static bool is_delayed(const struct command_publish *p)
{
    return (p->flags & PUBLISH_MARKED) && header_delay(command_headers(p)) > 0;
}

static uint64_t routers_for(const struct host *host, const struct exchange_row *exchange,
                            const struct command_publish *publish)
{
    if (host->front->options.routers == 1)
        return 1;
    if (exchange->delayed && is_delayed(publish))
        return UINT64_C(1) << router_of_delays(exchange->id, host->front->options.routers);
    if (exchange->is_default) {
        struct span copies = command_copies(publish), key = span_of(publish->bytes, publish->key_len);
        uint64_t routers = 0;
        do
            routers |= UINT64_C(1) << host_router_of(host, exchange->vhost, key);
        while (copies_next(&copies, &key));
        return routers;
    }
    uint64_t routers = exchange->interest ? exchange->interest : 1;
    if (publish->protocol & ORIGIN_RETAIN)
        routers |= UINT64_C(1) << router_of_retained(exchange->id, span_of(publish->bytes, publish->key_len),
                                                     host->front->options.routers);
    return routers;
}

unsigned host_publish(struct host *host, const struct exchange_row *exchange, struct command_publish *publish,
                      void *owned)
{
    struct front *front = host->front;
    uint64_t routers = routers_for(host, exchange, publish);
    unsigned count = (unsigned)__builtin_popcountll(routers);
    if (!can_send(host, routers, publish->flags) && !rate_allows(host, publish)) {
        front_ask_room(host, exchange, publish);
        return 0;
    }
    host->admitted = 0;
    publish->kind = COMMAND_PUBLISH;
    publish->exchange = exchange->id;
    publish->flags |= count > 1 ? PUBLISH_SHARED | PUBLISH_KEEPER : 0;
    for (uint64_t left = routers; left; left &= left - 1) {
        front->turn.to[__builtin_ctzll(left)]++;
        front_command(front, (unsigned)__builtin_ctzll(left))->publish = *publish;
        publish->flags &= (uint8_t)~PUBLISH_KEEPER;
    }
    front->published_to = routers;
    measure_publish(front, publish);
    if (!host->publishes) {
        host->publishes = true;
        stat_add(&front->stats.publishers, 1);
    }
    if (owned)
        lent_add(front, owned);
    return count;
}

uint64_t host_published_to(const struct host *host)
{
    return host->front->published_to;
}

bool host_part(struct host *host, uint64_t routers, struct command_part *part, void *owned)
{
    struct front *front = host->front;
    bool abort = part->flags & PART_ABORT;
    if (!abort && !can_send(host, routers, 0) && host->waits)
        return false;
    part->kind = COMMAND_PART;
    for (uint64_t left = routers; left; left &= left - 1)
        front_command(front, (unsigned)__builtin_ctzll(left))->part = *part;
    if (owned)
        lent_add(front, owned);
    return true;
}

/* ---- the rest ------------------------------------------------------------------------------------ */

void host_settle(struct host *host, unsigned router, uint64_t queue, uint64_t seq, uint32_t count,
                 enum settle how, uint64_t consumer)
{
    front_command(host->front, router)->settle = (struct command_settle){.kind = COMMAND_SETTLE,
                                                                         .how = (uint8_t)how,
                                                                         .count = count,
                                                                         .queue = queue,
                                                                         .seq = seq,
                                                                         .consumer = consumer};
}

void host_credit(struct host *host, unsigned router, uint64_t consumer, uint32_t bytes, uint8_t flags)
{
    front_command(host->front, router)->credit =
        (struct command_credit){.kind = COMMAND_CREDIT, .flags = flags, .bytes = bytes, .consumer = consumer};
}

void host_resume(struct host *host, unsigned router, uint64_t consumer, uint16_t round, uint64_t seen)
{
    front_command(host->front, router)->credit = (struct command_credit){
        .kind = COMMAND_CREDIT, .flags = CREDIT_RESUME, .round = round, .consumer = consumer, .seen = seen};
}

void host_done(struct host *host, unsigned router, uint64_t page)
{
    front_done(host->front, router, page);
}

struct op *host_op(struct host *host)
{
    struct front *front = host->front;
    struct op *op = front->ops;
    if (op)
        front->ops = op->next;
    else
        op = malloc(sizeof *op);
    CHECK(op);
    memset(op, 0, sizeof *op);
    op->front = front->options.index;
    op->conn = host->id;
    return op;
}

void host_send_op_to(struct host *host, unsigned router, struct op *op)
{
    host->ops++;
    if (op->kind == OP_QUEUE_DECLARE)
        stat_add(&host->front->stats.queues_declared, 1);
    front_command(host->front, router)->op = (struct command_op){.kind = COMMAND_OP, .op = op};
}

void host_send_op(struct host *host, struct op *op)
{
    unsigned router = 0;
    if (op->kind > OP_EXCHANGE_UNBIND)
        router = host_router_of(host, op->vhost, name_span(&op->name));
    host_send_op_to(host, router, op);
}

void host_free_op(struct host *host, struct op *op)
{
    front_free_op(host->front, op);
}

unsigned host_router_of(const struct host *host, uint32_t vhost, struct span queue)
{
    return router_of_queue(vhost, queue, host->front->options.routers);
}

unsigned host_routers(const struct host *host)
{
    return host->front->options.routers;
}
