/*
 * A hostile peer of our TCP: no frame, in no order and at no time, may break it, keep a buffer, make it send
 * what its device refuses, or tie it up.
 *
 * The fuzzer's bytes are a script: segments near the numbers of a connection (or anywhere), with right sums,
 * so that deep states are reached; raw frames; time; calls of the user. corpus/tcp holds one script per file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"
#include "tcp/device_sim.h"
#include "tcp/sim_offload.h"
#include "tcp/stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ETHERNET = 14, CONNS = 4, STEPS_MAX = 400, HELD = 64, SENT_MAX = 1 << 16 };

struct play {
    struct span script;
    struct sim_wire *wire;
    struct device *ours, *peers;
    struct stack *stack;
    uint64_t now_ns, id[CONNS];
    unsigned conns;
    /* What was last heard of us, by the low bits of the port. */
    uint32_t our_next[CONNS], our_ack[CONNS];
    uint16_t our_port[CONNS];
    void *held[HELD];
    unsigned helds;
    bool refuses, live[CONNS];
};

static uint8_t bytes_lent[SENT_MAX];

static uint8_t next(struct play *p)
{
    if (!p->script.len)
        return 0;
    p->script.len--;
    return *p->script.at++;
}

/* ---- the user -------------------------------------------------------------------------------------------
 */

static void *on_accepted(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                         const struct ip_address *local, uint16_t local_port)
{
    struct play *p = owner;
    (void)tag;
    (void)peer;
    (void)local;
    (void)local_port;
    unsigned i = peer_port % CONNS;
    if (p->refuses || p->live[i])
        return NULL;
    p->id[i] = id;
    p->live[i] = true;
    return &p->live[i];
}

static void on_event(void *owner, void *user)
{
    (void)owner;
    CHECK(*(bool *)user);
}

static bool on_data(void *owner, void *user, struct span bytes, uint8_t *room, void *buffer)
{
    struct play *p = owner;
    CHECK(*(bool *)user && bytes.len);
    if (p->refuses || p->helds == HELD)
        return false;
    memset(room, 0, (size_t)(bytes.at - room) + bytes.len);
    p->held[p->helds++] = buffer;
    return true;
}

static void on_gone(void *owner, void *user, int error)
{
    (void)owner;
    (void)error;
    CHECK(*(bool *)user);
    *(bool *)user = false;
}

static void give_back(struct play *p)
{
    while (p->helds)
        tcp_free_buffer(stack_tcp(p->stack), p->held[--p->helds]);
}

static void connect_one(struct play *p, unsigned i, struct tcp_upcalls up)
{
    struct ip_address peer;
    int error;
    CHECK(ip_address_parse("192.0.2.2", &peer));
    if (p->live[i])
        return;
    p->live[i] = true;
    p->id[i] = tcp_connect(stack_tcp(p->stack), &peer, (uint16_t)(7000 + i), up, &p->live[i], &error);
    p->live[i] = p->id[i] != 0;
}

static void call(struct play *p, struct tcp_upcalls up)
{
    struct tcp *tcp = stack_tcp(p->stack);
    uint8_t what = next(p);
    unsigned i = what % CONNS;
    struct iovec iov = {bytes_lent, next(p) * 256u};
    switch (what / CONNS % 8) {
    case 0:
        tcp_send(tcp, p->id[i], &iov, 1);
        break;
    case 1:
        tcp_close(tcp, p->id[i], next(p) * 100u);
        break;
    case 2:
        tcp_abort(tcp, p->id[i]);
        p->live[i] = false;
        break;
    case 3:
        p->refuses = !p->refuses;
        tcp_resume(tcp, p->id[i]);
        break;
    case 4:
        give_back(p);
        break;
    case 5:
        connect_one(p, i, up);
        break;
    default:
        (void)tcp_released(tcp, p->id[i]);
    }
}

/* ---- the peer -------------------------------------------------------------------------------------------
 */

static void inject(struct play *p, uint8_t *frame, uint32_t len)
{
    struct tx_frame f = {.head = frame, .head_len = (uint16_t)len};
    p->peers->ops->tx(p->peers, &f);
    p->peers->ops->flush(p->peers);
}

static uint8_t *headers(uint8_t *frame, uint32_t l4_len)
{
    uint8_t *l3 = frame + ETHERNET;
    memcpy(frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", ETHERNET);
    memset(l3, 0, 20);
    l3[0] = 0x45;
    put_be16(l3 + 2, (uint16_t)(20 + l4_len));
    l3[8] = 64;
    l3[9] = 6;
    memcpy(l3 + 12, "\xc0\0\x02\x02\xc0\0\x02\x01", 8);
    put_be16(l3 + 10, sim_sum_field(sim_sum(0, l3, 20)));
    return l3 + 20;
}

/* A segment whose numbers are near those of the connection, with any flags and options. */
static void segment(struct play *p)
{
    uint8_t frame[2048], how = next(p), i = how % CONNS, flags = next(p), option_words = next(p) % 11;
    uint32_t len = how & 4 ? next(p) * 6u : 0, head = 20u + option_words * 4u;
    uint8_t *l4 = headers(frame, head + len);
    int8_t seq = (int8_t)next(p), ack = (int8_t)next(p);
    memset(l4, 0, head + len);
    put_be16(l4, (uint16_t)(how & 8 ? 7000 + i : 40000 + i));
    put_be16(l4 + 2, how & 8 ? p->our_port[i] : 5672);
    put_be32(l4 + 4, p->our_ack[i] + (uint32_t)(how & 16 ? seq * 4096 : how & 32 ? seq : 0));
    put_be32(l4 + 8, p->our_next[i] + (uint32_t)(how & 64 ? ack * 100 : 0));
    l4[12] = (uint8_t)(head / 4 << 4);
    l4[13] = flags;
    put_be16(l4 + 14, (uint16_t)(how & 128 ? next(p) : 65535));
    for (unsigned n = 0; n < option_words * 4u; n++)
        l4[20 + n] = next(p);
    uint32_t sum = sim_sum_pseudo(frame + ETHERNET, 6, head + len);
    put_be16(l4 + 16, sim_sum_field(sim_sum(sum, l4, head + len)));
    inject(p, frame, ETHERNET + 20 + head + len);
}

static void raw(struct play *p)
{
    uint8_t frame[320];
    uint32_t len = ETHERNET + next(p);
    memcpy(frame, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0", ETHERNET);
    frame[12] = next(p) & 1 ? 0x08 : 0x86;
    frame[13] = next(p);
    for (uint32_t n = ETHERNET; n < len; n++)
        frame[n] = next(p);
    inject(p, frame, len);
}

/* Answers who-has, and remembers our numbers. */
static void hear(struct play *p)
{
    struct frame f[DEVICE_BURST];
    unsigned n = p->peers->ops->rx(p->peers, f, DEVICE_BURST);
    for (unsigned k = 0; k < n; k++) {
        uint8_t *at = f[k].at;
        if (get_be16(at + 12) == 0x0806 && at[21] == 1) {
            uint8_t answer[42];
            memcpy(answer, "\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x06\0\x01\x08\0\x06\x04\0\x02", 22);
            memcpy(answer + 22, "\x02\0\0\0\0\x02\xc0\0\x02\x02\x02\0\0\0\0\x01\xc0\0\x02\x01", 20);
            inject(p, answer, sizeof answer);
        } else if (get_be16(at + 12) == 0x0800 && at[23] == 6 && f[k].len >= 54) {
            uint8_t *l4 = at + 34;
            unsigned i = get_be16(l4 + 2) % CONNS;
            CHECK(sim_look_at_sums(at, f[k].len) == (FRAME_IP_SUM_GOOD | FRAME_L4_SUM_GOOD));
            uint32_t len = get_be16(at + 16) - 20u - (l4[12] >> 4) * 4u;
            p->our_port[i] = get_be16(l4);
            p->our_next[i] = get_be32(l4 + 4) + len + (l4[13] & 1) + (l4[13] >> 1 & 1);
            p->our_ack[i] = get_be32(l4 + 8);
        }
        p->peers->ops->free(p->peers, f[k].buffer);
    }
}

static void turn(struct play *p)
{
    for (unsigned n = 0; n < 3; n++) {
        p->now_ns += 1000;
        sim_wire_advance(p->wire, p->now_ns);
        stack_poll(p->stack, p->now_ns);
        stack_flush(p->stack);
        sim_wire_advance(p->wire, p->now_ns);
        hear(p);
    }
}

static void begin(struct play *p, struct tcp_upcalls up)
{
    struct device_sim_options device = {.mac = {2, 0, 0, 0, 0, 1},
                                        .offers = next(p) & (TX_IP_SUM | TX_TCP_SUM)};
    p->wire = sim_wire_new(1);
    p->ours = device_sim_new(p->wire, &device);
    device = (struct device_sim_options){.mac = {2, 0, 0, 0, 0, 2}, .mtu_max = 4000, .hears_all = true};
    p->peers = device_sim_new(p->wire, &device);
    struct stack_options o = {.ip = {.device = p->ours, .addresses = 1, .mtu = 1500}};
    CHECK(ip_prefix_parse("192.0.2.1/24", &o.ip.address[0]));
    o.tcp =
        (struct tcp_options){.connections_max = 8, .half_open_max = next(p) & 1 ? 1 : 8, .time_wait_max = 4};
    o.tcp.rx_window_max = next(p) & 1 ? 8192 : 0;
    p->now_ns = 1000000000;
    p->stack = stack_new(&o);
    struct ip_address any = {0};
    uint16_t port = 5672;
    CHECK(tcp_listen(stack_tcp(p->stack), &any, &port, 0, up) == 0);
    turn(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.script = span_of(data, size)};
    struct tcp_upcalls up = {&p, on_accepted, on_event, on_data, on_event, on_event, on_gone};
    begin(&p, up);
    for (unsigned steps = 0; p.script.len && steps < STEPS_MAX; steps++) {
        uint8_t what = next(&p);
        if (what % 8 < 5)
            segment(&p);
        else if (what % 8 == 5)
            call(&p, up);
        else if (what % 8 == 6)
            p.now_ns += (uint64_t)next(&p) * next(&p) * 1000000;
        else
            raw(&p);
        if (what < 200)
            turn(&p);
    }
    give_back(&p);
    stack_free(p.stack);
    CHECK(device_sim_lent(p.ours) == 0);
    p.ours->ops->close(p.ours);
    p.peers->ops->close(p.peers);
    sim_wire_free(p.wire);
    return 0;
}
