/*
 * The front's turn:
 *   front_take_events → routers' events become output
 *   transport poll → accepted, data: input becomes commands; closed
 *   timers
 *   flush → what was touched writes its collected answers; output goes to the transport, commands to rings
 */
#include "front.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "codec/codecs.h"
#include "front_inside.h"

enum { LINGER_S = 5 };
#define SECOND_NS UINT64_C(1000000000)

/* ---- commands ------------------------------------------------------------------------------------- */

union command *front_command(struct front *front, unsigned router)
{
    front->sent[router]++;
    return link_add(&front->router[router]);
}

void front_done(struct front *front, unsigned router, uint64_t page)
{
    struct command_done *last = link_last(&front->router[router]);
    if (last && last->kind == COMMAND_DONE && last->page == page) {
        last->count++;
        return;
    }
    front_command(front, router)->done =
        (struct command_done){.kind = COMMAND_DONE, .count = 1, .page = page};
}

/* ---- connections ---------------------------------------------------------------------------------- */

void front_touch(struct host *host)
{
    struct front *front = host->front;
    if (host->dirty)
        return;
    host->dirty = true;
    host->dirty_next = front->dirty;
    front->dirty = host;
}

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    const struct front_port *port = owner;
    struct front *front = port->front;
    const char *colon = strrchr(local, ':');
    if (front->stats.drained) {
        log_line(LOG_INFO, "front", "%s: refused: the broker is drained", peer);
        return NULL;
    }
    if (front->stopping || front->stats.connections >= front->options.connections_max) {
        log_line(LOG_WARNING, "front", "%s: refused: there are %u connections already (connections_max)",
                 peer, front->options.connections_max);
        return NULL;
    }
    const struct codec *codec = codecs[tag & ~FRONT_TRUSTED];
    struct host *host = calloc(1, sizeof *host);
    CHECK(host);
    host->state = calloc(1, codec->state_bytes);
    CHECK(host->state);
    host->front = front;
    host->transport = port->transport;
    host->stream = stream;
    host->codec = codec;
    host->trusted = tag & FRONT_TRUSTED;
    host->id = slots_add(&front->conns, host);
    snprintf(host->peer, sizeof host->peer, "%s", peer);
    host->local = strdup(local);
    CHECK(host->local);
    host->accepted_ns = front->now_ns;
    host->local_port = colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
    stat_add(&front->stats.connections, 1);
    stat_add(&front->stats.accepted, 1);
    codec->open(host->state, host);
    front_touch(host);
    return host;
}

static void page_out(void *front, unsigned router, uint64_t page)
{
    front_done(front, router, page);
}

static void unlist(struct host *host)
{
    struct front *front = host->front;
    struct host **at = &front->dirty;
    while (*at && *at != host)
        at = &(*at)->dirty_next;
    if (*at)
        *at = host->dirty_next;
    front_unlist_parked(host);
}

/* The transport may still look at what it took: then that is kept until it says that it doesn't. */
static void leave_output(struct host *host)
{
    struct front *front = host->front;
    if (host->transport->ops->released(host->transport, host->stream) >= host->output.taken) {
        output_free(&host->output, &front->pool, page_out, front);
        return;
    }
    struct leftover *left = malloc(sizeof *left);
    CHECK(left);
    *left = (struct leftover){front->leftovers, host->transport, host->stream, host->output};
    front->leftovers = left;
}

static void look_at_leftovers(struct front *front)
{
    for (struct leftover **at = &front->leftovers, *left; (left = *at);) {
        if (left->transport->ops->released(left->transport, left->stream) < left->output.taken) {
            at = &left->next;
            continue;
        }
        *at = left->next;
        output_free(&left->output, &front->pool, page_out, front);
        free(left);
    }
}

/* The stream is gone, the transport makes no upcall for it any more. */
static void forget(struct host *host)
{
    struct front *front = host->front;
    host->codec->gone(host->state, host);
    traced_ended(host);
    unlist(host);
    timer_cancel(&front->timers, &host->wake);
    timer_cancel(&front->lingers, &host->linger);
    timer_cancel(&front->pauses, &host->pause);
    leave_output(host);
    slots_remove(&front->conns, host->id);
    stat_add(&front->stats.connections, -1);
    stat_add(&front->stats.closed, 1);
    stat_add(&front->stats.publishers, -(int64_t)host->publishes);
    free(host->state);
    free(host->about);
    free(host->local);
    limits_leave_channels(host);
    login_free(host->login);
    free(host);
}

static void on_closed(void *owner, void *user, int error)
{
    struct host *host = user;
    (void)owner;
    if (!host->closing)
        host_log(host, "connection lost: %s", error ? strerror(error) : "closed by the peer");
    forget(host);
}

/* ---- input ---------------------------------------------------------------------------------------- */

/* Why there is no more to be had from this stream now. */
static void hold(struct host *host)
{
    struct transport *t = host->transport;
    if (host->waits)
        front_park(host);
    if (host->ops && host->rest && !host->op_paused) {
        host->op_paused = true;
        t->ops->pause(t, host->stream);
    }
    if (host->output.unsent > OUTPUT_HIGH_BYTES && !host->output_paused) {
        host->output_paused = true;
        t->ops->pause(t, host->stream);
    }
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct front_port *port = owner;
    struct host *host = user;
    port_next_epoch(port, epoch);
    if (host->closing)
        return bytes.len;
    if (host->waits || host->op_paused || host->draining)
        return 0;
    bool logged_in = host->about;
    size_t used = host->codec->input(host->state, host, bytes);
    traced_input(host, span_of(bytes.at, used), logged_in);
    stat_add(&port->front->stats.bytes_in, used);
    host->bytes_in += used;
    host->rest = used < bytes.len;
    if (host->parked_ns && used)
        measure_waited(host);
    front_touch(host);
    hold(host);
    return used;
}

void front_resume(struct host *host)
{
    struct transport *t = host->transport;
    if (!host->waits && !host->op_paused && !host->output_paused && !host->draining && !host->stream_closing)
        t->ops->resume(t, host->stream);
}

/* ---- output --------------------------------------------------------------------------------------- */

static void send_output(struct host *host)
{
    struct front *front = host->front;
    struct transport *t = host->transport;
    struct iovec iov[OUTPUT_IOVS];
    while (host->output.unsent) {
        int n = output_next(&host->output, iov);
        size_t offered = 0;
        for (int i = 0; i < n; i++)
            offered += iov[i].iov_len;
        size_t took = t->ops->send(t, host->stream, iov, n);
        stat_add(&front->stats.bytes_out, took);
        traced_output(host, iov, n, took);
        output_taken(&host->output, took);
        if (took < offered)
            break;
    }
    output_released(&host->output, &front->pool, t->ops->released(t, host->stream), page_out, front);
}

static void begin_close(struct host *host)
{
    struct transport *t = host->transport;
    host->stream_closing = true;
    timer_cancel(&host->front->timers, &host->wake);
    t->ops->close(t, host->stream);
}

static void after_output(struct host *host)
{
    struct front *front = host->front;
    if (host->output.unsent <= OUTPUT_HIGH_BYTES / 2) {
        host->codec->drained(host->state, host);
        if (host->output_paused) {
            host->output_paused = false;
            front_resume(host);
        }
    }
    if (!host->closing || host->stream_closing)
        return;
    if (host->output.unsent == 0)
        begin_close(host);
    else if (!host->linger.place)
        timer_set(&front->lingers, &host->linger, front->now_ns + LINGER_S * SECOND_NS);
}

static void on_writable(void *owner, void *user)
{
    (void)owner;
    front_touch(user);
}

static unsigned flush(struct front *front)
{
    unsigned n = 0;
    while (front->dirty) {
        struct host *host = front->dirty;
        front->dirty = host->dirty_next;
        bool waited = host->waits;
        host->codec->flush(host->state, host); /* if it is closing: of what still came */
        if (host->waits && !waited)
            front_park(host);
        if (host->parked_ns && !host->waits)
            measure_waited(host);
        if (!host->stream_closing) {
            send_output(host);
            after_output(host);
        }
        host->dirty = false;
        n++;
    }
    ports_flush(front);
    measure_turn(front);
    for (unsigned r = 0; r < front->options.routers; r++)
        n += link_flush(&front->router[r]);
    return n + link_flush(&front->login);
}

/* ---- time ----------------------------------------------------------------------------------------- */

static void drop(struct host *host)
{
    struct transport *t = host->transport;
    host_log(host, "closed: the peer doesn't take what it is sent");
    t->ops->abort(t, host->stream);
    forget(host);
}

static unsigned run_timers(struct front *front)
{
    unsigned n = 0;
    struct timer *timer;
    for (; (timer = timer_due(&front->timers, front->now_ns)); n++) {
        struct host *host = container_of(timer, struct host, wake);
        host->codec->tick(host->state, host);
        front_touch(host);
    }
    for (; (timer = timer_due(&front->lingers, front->now_ns)); n++)
        drop(container_of(timer, struct host, linger));
    return n + front_end_pauses(front);
}

uint64_t front_deadline(const struct front *front)
{
    uint64_t wake = timers_next(&front->timers), linger = timers_next(&front->lingers);
    uint64_t pause = timers_next(&front->pauses), first = wake < linger ? wake : linger;
    return pause < first ? pause : first;
}

/* ---- the turn ------------------------------------------------------------------------------------- */

unsigned front_poll(struct front *front, uint64_t now_ns)
{
    front->now_ns = now_ns;
    unsigned work = front_take_events(front) + front_take_logins(front);
    lent_take_back(front);
    if (front->leftovers)
        look_at_leftovers(front);
    if (front->parked)
        work += front_unpark(front);
    work += ports_poll(front);
    work += run_timers(front);
    work += listing_poll(front);
    work += flush(front);
    return work;
}

/* ---- making and ending one ------------------------------------------------------------------------ */

struct front *front_new(const struct front_options *options)
{
    struct front *front = calloc(1, sizeof *front);
    CHECK(front);
    front->options = *options;
    front->parked_end = &front->parked;
    front->pool.most = OUTPUT_POOL_CHUNKS;
    prng_seed(&front->prng, options->seed);
    exchange_table_init(&front->exchanges);
    front->access = access_new(options->tallies);
    listing_init(front);
    link_init(&front->login, options->to_login);
    front->attempts = attempts_new(options->host.login_pause_ms * UINT64_C(1000000), prng_next(&front->prng));
    for (size_t i = 0; i < sizeof front->logins.secret; i++)
        front->logins.secret[i] = (uint8_t)prng_next(&front->prng);
    for (unsigned r = 0; r < options->routers; r++)
        link_init(&front->router[r], options->to_router[r]);
    return front;
}

struct transport_user front_transport_user(struct front *front)
{
    CHECK(front->ports < FRONT_PORTS_MAX);
    front->port[front->ports].front = front;
    return (struct transport_user){.owner = &front->port[front->ports],
                                   .accepted = on_accepted,
                                   .data = on_data,
                                   .writable = on_writable,
                                   .closed = on_closed};
}

void front_stop(struct front *front, const char *why)
{
    front->stopping = true;
    ports_stop_listening(front);
    for (uint32_t i = 0; i < front->conns.count; i++) {
        struct host *host = front->conns.slot[i].thing;
        if (host && !host->closing) {
            host->codec->shutdown(host->state, host, why);
            if (host->waits == WAIT_RATE)
                timer_set(&front->pauses, &host->pause, front->now_ns);
            front_touch(host);
        }
    }
}

bool front_stopped(const struct front *front)
{
    for (unsigned r = 0; r < front->options.routers; r++)
        if (link_pending(&front->router[r]) || ring_waiting(front->router[r].ring))
            return false;
    return front->stats.connections == 0;
}

void front_unplug(struct front *front)
{
    for (uint32_t i = 0; i < front->conns.count; i++)
        if (front->conns.slot[i].thing)
            forget(front->conns.slot[i].thing);
    ports_free(front);
    for (struct leftover *left; (left = front->leftovers); free(left)) {
        front->leftovers = left->next;
        output_free(&left->output, &front->pool, page_out, front);
    }
}

void front_free(struct front *front)
{
    front_drain(front);
    front_free_logins(front);
    lent_free(front);
    for (struct op *op; (op = front->ops); free(op))
        front->ops = op->next;
    for (unsigned r = 0; r < front->options.routers; r++)
        link_free(&front->router[r]);
    output_pool_free(&front->pool);
    exchange_table_free(&front->exchanges);
    access_free(front->access);
    pattern_scratch_free(&front->topic_scratch);
    slots_free(&front->conns);
    timers_free(&front->timers);
    timers_free(&front->lingers);
    timers_free(&front->pauses);
    attempts_free(front->attempts);
    listing_free(front);
    free(front);
}
