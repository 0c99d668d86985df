#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tcp/tcp_inside.h"

/* ---- the table ------------------------------------------------------------------------------------ */

static uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t flow_hash(const struct tcp *tcp, const struct flow *flow)
{
    uint64_t word[4];
    memcpy(word, flow, sizeof word);
    uint64_t ports = (uint64_t)flow->local_port << 16 | flow->peer_port;
    uint64_t h = fold(word[0] ^ tcp->hash_secret[0], word[1] ^ tcp->hash_secret[1]);
    h = fold(word[2] ^ h, word[3] ^ tcp->hash_secret[0]);
    return fold(h ^ ports, tcp->hash_secret[1]);
}

static bool same_flow(const struct map_node *node, const void *key)
{
    const struct conn *c = container_of(node, struct conn, node);
    const struct flow *flow = key;
    return c->local_port == flow->local_port && c->peer_port == flow->peer_port &&
           memcmp(&c->path.peer, &flow->peer, sizeof flow->peer) == 0 &&
           memcmp(&c->path.local, &flow->local, sizeof flow->local) == 0;
}

struct conn *conn_find(struct tcp *tcp, const struct flow *flow, uint64_t hash)
{
    if (tcp->last && tcp->last->node.hash == hash && same_flow(&tcp->last->node, flow))
        return tcp->last;
    struct map_node *node = map_find(&tcp->conns, hash, same_flow, flow);
    if (!node)
        return NULL;
    return tcp->last = container_of(node, struct conn, node);
}

struct conn *conn_of(struct tcp *tcp, uint64_t id)
{
    struct conn *c = slots_get(&tcp->slots, id);
    return c && !c->dead ? c : NULL;
}

/* ---- the life of a connection --------------------------------------------------------------------- */

struct conn *conn_new(struct tcp *tcp, const struct flow *flow, const struct ip_path *path)
{
    struct conn *c = calloc(1, sizeof *c);
    CHECK(c);
    c->tcp = tcp;
    c->path = *path;
    c->local_port = flow->local_port;
    c->peer_port = flow->peer_port;
    c->id = slots_add(&tcp->slots, c);
    c->kept_end = &c->kept;
    c->rto_us = RTO_FIRST_US;
    c->rcv_buffer =
        tcp->options.rx_window_max < RX_WINDOW_FIRST ? tcp->options.rx_window_max : RX_WINDOW_FIRST;
    c->scale_out = WINDOW_SCALE;
    c->ssthresh = UINT32_MAX;
    c->undo_retransmits = -1;
    c->heard_us = tcp->now_us;
    c->peer_mss = path->v6 ? MSS_DEFAULT_V6 : MSS_DEFAULT;
    c->iss = open_isn(tcp, flow);
    c->ts_offset = (uint32_t)prng_next(&tcp->prng);
    c->snd_una = c->snd_nxt = c->iss;
    queue_init(&c->queue, c->iss + 1);
    sent_init(&c->sent);
    map_add(&tcp->conns, &c->node, flow_hash(tcp, flow));
    tcp->stats.connections++;
    return c;
}

static void unlist(struct tcp *tcp, struct conn *c)
{
    for (unsigned list = 0; list < LISTS; list++) {
        if (!(c->listed >> list & 1))
            continue;
        struct conn **at = &tcp->list[list];
        while (*at != c)
            at = &(*at)->next[list];
        *at = c->next[list];
    }
    c->listed = 0;
}

static void conn_free(struct conn *c)
{
    struct tcp *tcp = c->tcp;
    unlist(tcp, c);
    timer_cancel_all(c);
    slots_remove(&tcp->slots, c->id);
    free(c);
}

void conn_list(struct conn *c, enum conn_list list)
{
    if (c->listed >> list & 1)
        return;
    c->listed |= (uint8_t)(1u << list);
    c->next[list] = c->tcp->list[list];
    c->tcp->list[list] = c;
}

void conn_end(struct conn *c, int error)
{
    struct tcp *tcp = c->tcp;
    if (c->dead)
        return;
    c->dead = true;
    if (c->state == TCP_SYN_RECEIVED && c->passive)
        tcp->stats.half_open--;
    if (error && c->state <= TCP_SYN_RECEIVED)
        tcp->stats.failed_opens++;
    c->state = TCP_CLOSED;
    map_remove(&tcp->conns, &c->node);
    if (tcp->last == c)
        tcp->last = NULL;
    tcp->stats.connections--;
    timer_no_soon(c);
    c->late_us = 0;
    data_forget(c);
    sent_free(&c->sent, &tcp->pools.sent);
    queue_free(&c->queue, &tcp->pools.queue);
    c->through_mark = tcp->device->tx_given;
    conn_list(c, LIST_LENT);
    if (!c->detached && c->user)
        c->up.gone(c->up.owner, c->user, error);
}

void conn_established(struct conn *c)
{
    struct tcp *tcp = c->tcp;
    if (c->state == TCP_SYN_RECEIVED && c->passive)
        tcp->stats.half_open--;
    c->state = TCP_ESTABLISHED;
    out_set_mss(c);
    c->cwnd = out_initial_window(c);
    /* The SYN was lost: RFC 6298 section 5.7, RFC 6928 section 2. */
    if (c->syn_again) {
        c->cwnd = c->mss;
        c->rto_us = c->srtt_us ? c->rto_us : RTO_AFTER_SYN_US;
    }
    c->tune_us = tcp->now_us;
    tcp->cc->begin(c);
    timer_idle(c);
    if (!c->passive) {
        tcp->stats.opened_active++;
        c->up.connected(c->up.owner, c->user);
        return;
    }
    tcp->stats.opened_passive++;
    void *user = c->up.accepted(c->up.owner, c->id, c->tag, &c->path.peer, c->peer_port, &c->path.local,
                                c->local_port);
    if (c->dead)
        return;
    c->user = user;
    if (!user)
        tcp_abort(tcp, c->id);
}

/* ---- lists worked off once a turn ----------------------------------------------------------------- */

/* What the device is through with. Two marks, so that a busy connection is not asked to become idle first. */
static void count_released(struct conn *c)
{
    if (c->released == c->acked || c->tcp->device->tx_done < c->through_mark)
        return;
    c->released = c->through;
    c->through = c->acked;
    c->through_mark = c->tcp->device->tx_given;
    if (c->tcp->device->tx_done >= c->through_mark)
        c->released = c->through;
}

/* Connections whose bytes are acknowledged but perhaps still looked at by the device; and the dead. */
static void look_at_lent(struct tcp *tcp)
{
    struct conn *all = tcp->list[LIST_LENT];
    tcp->list[LIST_LENT] = NULL;
    for (struct conn *c = all, *next; c; c = next) {
        next = c->next[LIST_LENT];
        c->listed &= (uint8_t) ~(1u << LIST_LENT);
        if (c->dead) {
            if (tcp->device->tx_done >= c->through_mark)
                conn_free(c);
            else
                conn_list(c, LIST_LENT);
            continue;
        }
        uint64_t before = c->released;
        count_released(c);
        if (c->released != c->acked)
            conn_list(c, LIST_LENT);
        if (c->released != before && !c->detached && c->user)
            c->up.progress(c->up.owner, c->user);
    }
}

/* Each once: those whom the device has no room for list themselves anew, for the next turn. */
static void for_each(struct tcp *tcp, enum conn_list list, void (*what)(struct conn *c))
{
    struct conn *all = tcp->list[list];
    tcp->list[list] = NULL;
    for (struct conn *c = all; c; c = all) {
        all = c->next[list];
        c->listed &= (uint8_t) ~(1u << list);
        if (!c->dead)
            what(c);
    }
}

static void acknowledge(struct conn *c)
{
    if (c->ack_owed || data_window_grew(c))
        out_ack(c);
}

static void resume(struct conn *c)
{
    if (c->paused)
        data_resume(c);
}

void conns_resume(struct tcp *tcp)
{
    for_each(tcp, LIST_RESUME, resume);
}

void tcp_flush(struct tcp *tcp)
{
    for_each(tcp, LIST_OUT, out_data);
    for_each(tcp, LIST_ACK, acknowledge);
    if (tcp->list[LIST_LENT])
        look_at_lent(tcp);
}

/* ---- the calls of tcp.h --------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t normal)
{
    return value ? value : normal;
}

struct tcp *tcp_new(const struct tcp_options *options, struct ip *ip)
{
    struct tcp *tcp = calloc(1, sizeof *tcp);
    CHECK(tcp);
    struct tcp_options *o = &tcp->options;
    *o = *options;
    o->connections_max = or_default(o->connections_max, 1u << 20);
    o->half_open_max = or_default(o->half_open_max, 1024);
    o->time_wait_max = or_default(o->time_wait_max, 65536);
    o->rto_min_us = or_default(o->rto_min_us, 20000);
    o->time_wait_ms = or_default(o->time_wait_ms, 60000);
    o->keepalive_ms = or_default(o->keepalive_ms, 60000);
    o->give_up_ms = or_default(o->give_up_ms, 60000);
    o->rx_window_max = or_default(o->rx_window_max, 4 * MIB);
    tcp->cc = cc_find(o->congestion ? o->congestion : "cubic");
    CHECK(tcp->cc);
    tcp->ip = ip;
    tcp->device = ip_device(ip);
    tcp->frames_kept_max = device_rx_share(tcp->device, TCP_FRAMES_KEPT);
    TAILQ_INIT(&tcp->waiting);
    prng_seed(&tcp->prng, o->seed);
    memcpy(tcp->hash_secret, o->secret, sizeof tcp->hash_secret);
    tcp->hash_secret[0] |= 1;
    tcp->hash_secret[1] |= 1;
    tcp->next_port = (uint16_t)prng_next(&tcp->prng);
    map_init(&tcp->conns);
    map_init(&tcp->waits);
    wheel_init(&tcp->wheel, 0);
    blocks_init(&tcp->pools.queue.blocks, sizeof(struct slice));
    blocks_init(&tcp->pools.sent.blocks, sizeof(struct sent));
    return tcp;
}

void tcp_free(struct tcp *tcp)
{
    for (uint32_t i = 0; i < tcp->slots.count; i++) {
        struct conn *c = tcp->slots.slot[i].thing;
        if (!c)
            continue;
        c->detached = true;
        conn_end(c, 0);
        conn_free(c);
    }
    wait_free(tcp);
    map_free(&tcp->conns);
    map_free(&tcp->waits);
    slots_free(&tcp->slots);
    blocks_end(&tcp->pools.queue.blocks);
    blocks_end(&tcp->pools.sent.blocks);
    free(tcp);
}

void tcp_set_now(struct tcp *tcp, uint64_t now_ns)
{
    tcp->now_ns = now_ns;
    tcp->now_us = now_ns / 1000;
}

void tcp_set_behind(struct tcp *tcp, bool behind)
{
    tcp->behind = behind;
}

size_t tcp_send(struct tcp *tcp, uint64_t id, const struct iovec *iov, int n)
{
    struct conn *c = conn_of(tcp, id);
    size_t taken = 0;
    if (!c || c->fin_queued || (c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT))
        return 0;
    uint32_t room = TCP_SEND_QUEUE - (c->queue.end - c->snd_una);
    for (int i = 0; i < n && room; i++) {
        uint32_t part = iov[i].iov_len < room ? (uint32_t)iov[i].iov_len : room;
        if (!part)
            continue;
        if (!queue_add(&c->queue, &tcp->pools.queue, iov[i].iov_base, part)) {
            room = 0;
            break;
        }
        taken += part;
        room -= part;
    }
    c->wants_room = !room;
    conn_list(c, LIST_OUT);
    return taken;
}

uint64_t tcp_released(struct tcp *tcp, uint64_t id)
{
    struct conn *c = slots_get(&tcp->slots, id);
    if (!c)
        return UINT64_MAX;
    if (!c->dead)
        count_released(c);
    return c->released;
}

void tcp_consumed(struct tcp *tcp, uint64_t id, size_t bytes)
{
    struct conn *c = conn_of(tcp, id);
    if (c)
        data_consumed(c, (uint32_t)bytes);
}

void tcp_resume(struct tcp *tcp, uint64_t id)
{
    struct conn *c = conn_of(tcp, id);
    if (c && c->paused)
        conn_list(c, LIST_RESUME);
}

void tcp_close(struct tcp *tcp, uint64_t id, uint32_t linger_ms)
{
    struct conn *c = conn_of(tcp, id);
    if (!c || c->fin_queued)
        return;
    c->fin_queued = true;
    /* Upcalls are made by timers. */
    if (c->state < TCP_ESTABLISHED) {
        timer_late(c, tcp->now_us);
        return;
    }
    /* Nobody wants what still comes. */
    c->paused = false;
    data_resume(c);
    if (c->dead)
        return;
    timer_late(c, tcp->now_us + linger_ms * UINT64_C(1000));
    conn_list(c, LIST_OUT);
}

void tcp_abort(struct tcp *tcp, uint64_t id)
{
    struct conn *c = conn_of(tcp, id);
    if (!c)
        return;
    c->detached = true;
    if (c->state != TCP_SYN_SENT)
        out_reset(c);
    conn_end(c, 0);
}

void tcp_abort_all(struct tcp *tcp, void *owner)
{
    for (uint32_t i = 0; i < tcp->slots.count; i++) {
        struct conn *c = tcp->slots.slot[i].thing;
        if (!c || c->dead || c->up.owner != owner)
            continue;
        if (c->state != TCP_SYN_SENT)
            out_reset(c);
        conn_end(c, ECANCELED);
    }
}

void *tcp_user(const struct tcp *tcp, uint64_t id)
{
    const struct conn *c = slots_get(&tcp->slots, id);
    return c && !c->dead && !c->detached ? c->user : NULL;
}

void tcp_free_buffer(struct tcp *tcp, void *buffer)
{
    if ((uintptr_t)buffer & 1)
        free((void *)((uintptr_t)buffer - 1));
    else
        tcp->device->ops->free(tcp->device, buffer);
}

enum tcp_state tcp_state(const struct tcp *tcp, uint64_t id)
{
    const struct conn *c = slots_get(&tcp->slots, id);
    return c ? (enum tcp_state)c->state : TCP_CLOSED;
}

uint16_t tcp_local_port(const struct tcp *tcp, uint64_t id)
{
    const struct conn *c = slots_get(&tcp->slots, id);
    return c ? c->local_port : 0;
}

const struct tcp_stats *tcp_stats(const struct tcp *tcp)
{
    return &tcp->stats;
}
