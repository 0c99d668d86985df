/*
 * How connections begin. A SYN to a listener makes a half-open connection, up to half_open_max of them; more
 * are answered with a cookie: an initial sequence number from which the acknowledgement tells all that has to
 * be known (RFC 4987 section 3.6).
 *
 *      31      27 26   24 23                                 0
 *     +----------+-------+-----------------------------------+
 *     |  minute  |  mss  |  keyed hash of flow, peer's ISN,  |
 *     |          | index |  minute and mss index             |
 *     +----------+-------+-----------------------------------+
 *
 * With timestamps, the low bits of ours carry the other options (they come back in the echo).
 */
#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <string.h>

#include "tcp/tcp_inside.h"

enum {
    COOKIE_PERIOD_SHIFT = 26, /* 2^26 µs: 67 s */
    COOKIE_MINUTES = 32,
    COOKIE_AGE_MAX = 2, /* periods */
    COOKIE_HASH_BITS = 24,
    TS_SCALE_BITS = 4, /* of the timestamp: scale (15: none), */
    TS_SACK_BIT = 1u << TS_SCALE_BITS,
    TS_BITS = TS_SCALE_BITS + 1,
    PORT_FIRST = 49152, /* RFC 6335 section 6 */
    PORTS = 65536 - PORT_FIRST,
};

static const uint16_t cookie_mss[8] = {MSS_DEFAULT, 1200, 1220, 1360, 1440, 1460, 4312, 8960};

/* ---- initial sequence numbers ---------------------------------------------------------------------- */

static uint64_t keyed(const struct tcp *tcp, const struct flow *flow, uint32_t a, uint32_t b)
{
    uint8_t text[sizeof flow->local + sizeof flow->peer + 12], *p = text;
    uint64_t hash;
    p = put_span(p, span_of(&flow->local, sizeof flow->local));
    p = put_span(p, span_of(&flow->peer, sizeof flow->peer));
    p = put_be32(p, (uint32_t)flow->local_port << 16 | flow->peer_port);
    p = put_be32(p, a);
    p = put_be32(p, b);
    static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash gives 64 bits");
    static_assert(sizeof tcp->options.secret >= 2 * crypto_shorthash_KEYBYTES, "two keys");
    crypto_shorthash((unsigned char *)&hash, text, (size_t)(p - text),
                     tcp->options.secret + crypto_shorthash_KEYBYTES);
    return hash;
}

/* RFC 6528 section 3: a clock of 4 µs and a keyed hash of the connection. */
uint32_t open_isn(const struct tcp *tcp, const struct flow *flow)
{
    return (uint32_t)(tcp->now_us / 4) + (uint32_t)keyed(tcp, flow, 0, 0);
}

/* ---- options of a SYN ------------------------------------------------------------------------------ */

void open_take_options(struct conn *c, const struct segment *s)
{
    c->irs = s->seq;
    c->rcv_nxt = c->rcv_adv = c->last_ack_sent = s->seq + 1;
    if (s->mss)
        c->peer_mss = s->mss < MSS_LEAST ? MSS_LEAST : s->mss;
    c->sack = s->sack_permitted;
    c->timestamps = s->timestamps;
    c->scale_in = s->scaled ? s->scale : 0;
    if (!s->scaled)
        c->scale_out = 0;
    if (s->timestamps) {
        c->ts_recent = s->ts_value;
        c->ts_recent_ms = (uint32_t)(c->tcp->now_us / 1000);
    }
    /* RFC 7323 section 2.2: the window of a SYN is not scaled. */
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = c->iss;
    out_set_mss(c);
}

/* ---- cookies --------------------------------------------------------------------------------------- */

static uint32_t minute(const struct tcp *tcp)
{
    return (uint32_t)(tcp->now_us >> COOKIE_PERIOD_SHIFT) % COOKIE_MINUTES;
}

static uint32_t cookie(const struct tcp *tcp, const struct flow *flow, uint32_t peer_isn, uint32_t when,
                       uint32_t mss)
{
    uint32_t head = when << 3 | mss;
    return head << COOKIE_HASH_BITS |
           ((uint32_t)keyed(tcp, flow, peer_isn, head | 1u << 31) & ((1u << COOKIE_HASH_BITS) - 1));
}

static uint32_t mss_index(uint16_t mss)
{
    uint32_t i = 7;
    while (i && cookie_mss[i] > mss)
        i--;
    return i;
}

static void send_cookie(struct tcp *tcp, const struct flow *flow, const struct segment *s)
{
    uint16_t mss = s->mss ? s->mss : MSS_DEFAULT;
    struct ip_path path;
    struct segment answer = {
        .source = flow->local_port,
        .destination = flow->peer_port,
        .seq = cookie(tcp, flow, s->seq, minute(tcp), mss_index(mss)),
        .ack = s->seq + 1,
        .flags = SEG_SYN | SEG_ACK,
        .window = UINT16_MAX,
    };
    if (!ip_find_path(tcp->ip, &flow->local, &flow->peer, &path))
        return;
    answer.mss = out_offered_mss(&path);
    if (s->timestamps) {
        uint32_t options = (s->scaled ? s->scale : 15u) | (s->sack_permitted ? TS_SACK_BIT : 0);
        answer.timestamps = true;
        answer.ts_value = ((uint32_t)(tcp->now_us / 1000) >> TS_BITS << TS_BITS) | options;
        answer.ts_echo = s->ts_value;
        answer.sack_permitted = s->sack_permitted;
        answer.scaled = s->scaled;
        answer.scale = WINDOW_SCALE;
    }
    tcp->stats.cookies_sent++;
    tcp->cookies_until_us = tcp->now_us + ((uint64_t)COOKIE_AGE_MAX << COOKIE_PERIOD_SHIFT);
    out_bare(tcp, flow, &answer);
}

static bool cookie_good(const struct tcp *tcp, const struct flow *flow, const struct segment *s,
                        uint32_t *mss)
{
    /* Of what was sent before none is a cookie: a late segment of a connection that is gone must not bring it
     * back. */
    if (tcp->now_us >= tcp->cookies_until_us)
        return false;
    uint32_t value = s->ack - 1, when = value >> 27;
    uint32_t age = (minute(tcp) - when) % COOKIE_MINUTES;
    *mss = value >> COOKIE_HASH_BITS & 7;
    return age < COOKIE_AGE_MAX && value == cookie(tcp, flow, s->seq - 1, when, *mss);
}

/* The SYN that the cookie stands for, as far as it is known. */
static struct segment remembered_syn(const struct segment *s, uint32_t mss)
{
    struct segment syn = {.seq = s->seq - 1, .window = s->window, .mss = cookie_mss[mss]};
    if (s->timestamps) {
        uint32_t scale = s->ts_echo & ((1u << TS_SCALE_BITS) - 1);
        syn.timestamps = true;
        syn.ts_value = s->ts_value;
        syn.sack_permitted = s->ts_echo & TS_SACK_BIT;
        syn.scaled = scale <= WINDOW_SCALE_MAX;
        syn.scale = syn.scaled ? (uint8_t)scale : 0;
    }
    return syn;
}

/* ---- passive ---------------------------------------------------------------------------------------- */

struct tcp_listener *open_listener(struct tcp *tcp, const struct ip_address *local, uint16_t port)
{
    static const struct ip_address any;
    for (unsigned i = 0; i < tcp->listeners; i++) {
        struct tcp_listener *l = &tcp->listener[i];
        if (l->port == port &&
            (memcmp(&l->address, local, sizeof *local) == 0 || memcmp(&l->address, &any, sizeof any) == 0))
            return l;
    }
    return NULL;
}

static struct conn *half_open(struct tcp *tcp, const struct flow *flow, const struct segment *s,
                              const struct tcp_listener *l)
{
    struct ip_path path;
    if (tcp->stats.connections >= tcp->options.connections_max ||
        !ip_find_path(tcp->ip, &flow->local, &flow->peer, &path)) {
        tcp->stats.half_open_dropped++;
        return NULL;
    }
    struct conn *c = conn_new(tcp, flow, &path);
    c->passive = true;
    c->up = l->up;
    c->tag = l->tag;
    c->state = TCP_SYN_RECEIVED;
    tcp->stats.half_open++;
    open_take_options(c, s);
    return c;
}

static void from_cookie(struct tcp *tcp, const struct flow *flow, const struct segment *s,
                        const struct tcp_listener *l, uint32_t mss)
{
    struct segment syn = remembered_syn(s, mss);
    struct conn *c = half_open(tcp, flow, &syn, l);
    if (!c)
        return;
    tcp->stats.cookies_good++;
    /* As if we had sent the SYN and this were the answer. */
    c->iss = s->ack - 1;
    c->snd_una = c->snd_nxt = s->ack;
    queue_init(&c->queue, s->ack);
    /* What our timestamps were when the cookie was sent. */
    c->ts_offset = s->timestamps ? s->ts_echo - (uint32_t)(tcp->now_us / 1000) : 0;
    c->snd_wl2 = s->ack;
    c->snd_wnd = (uint32_t)s->window << c->scale_in;
    c->snd_wnd_max = c->snd_wnd;
    c->rcv_adv = c->rcv_nxt + UINT16_MAX; /* as the SYN-ACK has told */
    conn_established(c);
}

enum ip_taken open_passive(struct tcp *tcp, const struct flow *flow, const struct segment *s)
{
    const struct tcp_listener *l = open_listener(tcp, &flow->local, flow->local_port);
    uint32_t mss;
    if (!l || l->rests)
        return IP_NOBODY;
    if (s->flags & SEG_RST)
        return IP_DONE;
    if (s->flags & SEG_ACK) {
        if (!(s->flags & SEG_SYN) && cookie_good(tcp, flow, s, &mss)) {
            from_cookie(tcp, flow, s, l, mss);
        } else {
            tcp->stats.cookies_bad++;
            out_reset_for(tcp, flow, s);
        }
        return IP_DONE;
    }
    if (!(s->flags & SEG_SYN))
        return IP_DONE;
    if (tcp->stats.half_open >= tcp->options.half_open_max) {
        send_cookie(tcp, flow, s);
        return IP_DONE;
    }
    struct conn *c = half_open(tcp, flow, s, l);
    if (c)
        out_syn(c);
    return IP_DONE;
}

/* ---- listening and connecting ------------------------------------------------------------------------ */

int tcp_listen(struct tcp *tcp, const struct ip_address *address, uint16_t *port, int tag,
               struct tcp_upcalls user)
{
    static const struct ip_address any;
    if (memcmp(address, &any, sizeof any) != 0 && !ip_is_ours(tcp->ip, address))
        return EADDRNOTAVAIL;
    for (unsigned tries = 0; *port == 0 && tries < PORTS; tries++) {
        uint16_t free_port = (uint16_t)(PORT_FIRST + tcp->next_port++ % PORTS);
        if (!open_listener(tcp, address, free_port))
            *port = free_port;
    }
    if (*port == 0 || tcp->listeners == LISTENERS_MAX || open_listener(tcp, address, *port))
        return EADDRINUSE;
    tcp->listener[tcp->listeners++] =
        (struct tcp_listener){.address = *address, .port = *port, .tag = tag, .up = user};
    return 0;
}

void tcp_rest(struct tcp *tcp, void *owner, bool rests)
{
    for (unsigned i = 0; i < tcp->listeners; i++)
        if (tcp->listener[i].up.owner == owner)
            tcp->listener[i].rests = rests;
}

void tcp_stop_listening(struct tcp *tcp, void *owner)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < tcp->listeners; i++)
        if (tcp->listener[i].up.owner != owner)
            tcp->listener[kept++] = tcp->listener[i];
    tcp->listeners = kept;
}

uint64_t tcp_connect(struct tcp *tcp, const struct ip_address *peer, uint16_t port, struct tcp_upcalls up,
                     void *user, int *error)
{
    static const struct ip_address any;
    struct ip_path path;
    *error = EADDRNOTAVAIL;
    if (tcp->stats.connections >= tcp->options.connections_max)
        return 0;
    if (!ip_find_path(tcp->ip, &any, peer, &path)) {
        *error = ENETUNREACH;
        return 0;
    }
    struct flow flow = {.local = path.local, .peer = path.peer, .peer_port = port};
    for (unsigned tries = 0; tries < PORTS; tries++) {
        flow.local_port = (uint16_t)(PORT_FIRST + tcp->next_port++ % PORTS);
        if (conn_find(tcp, &flow, flow_hash(tcp, &flow)))
            continue;
        struct conn *c = conn_new(tcp, &flow, &path);
        c->up = up;
        c->user = user;
        c->state = TCP_SYN_SENT;
        c->sack = c->timestamps = true;
        out_syn(c);
        *error = 0;
        return c->id;
    }
    return 0;
}
