/* Whose a frame is, and that it gets there once, or is counted as dropped. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "feed_device.h"
#include "tcp/device_steer.h"

enum { FRONTS = 4 };

/* ---- frames ---------------------------------------------------------------------------------------- */

struct bytes {
    uint8_t at[256];
    unsigned len;
};

static struct bytes ethernet(unsigned type, bool vlan)
{
    struct bytes b = {.len = 14};
    if (vlan) {
        b.at[12] = 0x81;
        b.at[15] = 7;
        b.len = 18;
    }
    b.at[b.len - 2] = (uint8_t)(type >> 8);
    b.at[b.len - 1] = (uint8_t)type;
    return b;
}

static struct bytes ipv4(unsigned protocol, unsigned sport, unsigned first_byte, bool vlan)
{
    struct bytes b = ethernet(0x0800, vlan);
    uint8_t *ip = b.at + b.len;
    ip[0] = 0x45;
    ip[9] = (uint8_t)protocol;
    memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
    ip[20] = protocol == 6 ? (uint8_t)(sport >> 8) : (uint8_t)first_byte;
    ip[21] = (uint8_t)sport;
    b.len += 40;
    return b;
}

static struct bytes ipv6(unsigned protocol, unsigned sport, unsigned first_byte)
{
    struct bytes b = ethernet(0x86dd, false);
    uint8_t *ip = b.at + b.len;
    ip[0] = 0x60;
    ip[6] = (uint8_t)protocol;
    ip[8] = ip[24] = 0xfd;
    ip[40] = protocol == 6 ? (uint8_t)(sport >> 8) : (uint8_t)first_byte;
    ip[41] = (uint8_t)sport;
    b.len += 60;
    return b;
}

static struct bytes arp(unsigned op, bool announces)
{
    struct bytes b = ethernet(0x0806, false);
    b.at[b.len + 7] = (uint8_t)op;
    memcpy(b.at + b.len + 14, "\x0a\0\0\1", 4);
    memcpy(b.at + b.len + 24, announces ? "\x0a\0\0\1" : "\x0a\0\0\2", 4);
    b.len += 28;
    return b;
}

static int owner(const struct steer *steer, struct bytes b, unsigned here)
{
    struct frame frame = {.at = b.at, .len = b.len};
    return steer_owner(steer, &frame, here);
}

/* ---- owners ---------------------------------------------------------------------------------------- */

Test(device_steer, flows_are_spread_and_stay)
{
    struct steer *steer = steer_new(FRONTS, STEER_FLOWS, 7);
    unsigned count[2][FRONTS] = {0};
    for (unsigned port = 1024; port < 5024; port++) {
        int of = owner(steer, ipv4(6, port, 0, false), 0);
        cr_assert(of >= 0 && of < FRONTS);
        cr_assert_eq(of, owner(steer, ipv4(6, port, 0, true), 3), "a tag changes nothing, nor the queue");
        count[0][of]++;
        count[1][owner(steer, ipv6(6, port, 0), 1)]++;
    }
    for (unsigned i = 0; i < FRONTS; i++)
        cr_assert(count[0][i] > 900 && count[0][i] < 1100 && count[1][i] > 900 && count[1][i] < 1100);
    steer_free(steer);
    steer = steer_new(FRONTS, 0, 7);
    cr_assert_eq(owner(steer, ipv4(6, 1, 0, false), 2), 2, "the port has chosen");
    steer_free(steer);
}

Test(device_steer, answers_go_to_all_and_questions_to_one)
{
    struct steer *steer = steer_new(FRONTS, STEER_FLOWS, 7);
    cr_assert_eq(owner(steer, arp(1, false), 2), 0);
    cr_assert_eq(owner(steer, arp(2, false), 2), STEER_ALL);
    cr_assert_eq(owner(steer, arp(1, true), 2), STEER_ALL);
    cr_assert_eq(owner(steer, ipv4(1, 0, 8, false), 2), 0, "echo request");
    cr_assert_eq(owner(steer, ipv4(1, 0, 3, false), 2), STEER_ALL, "unreachable");
    cr_assert_eq(owner(steer, ipv6(58, 0, 128), 2), 0, "echo request");
    cr_assert_eq(owner(steer, ipv6(58, 0, 135), 2), 0, "solicitation");
    cr_assert_eq(owner(steer, ipv6(58, 0, 136), 2), STEER_ALL, "advertisement");
    cr_assert_eq(owner(steer, ipv6(58, 0, 2), 2), STEER_ALL, "too big");
    cr_assert_eq(owner(steer, ipv4(17, 0, 0, false), 2), 0, "UDP");
    cr_assert_eq(owner(steer, ethernet(0x88cc, false), 2), 0, "LLDP, and short");
    struct bytes fragment = ipv4(6, 1, 0, false);
    fragment.at[14 + 6] = 0x20;
    cr_assert_eq(owner(steer, fragment, 2), 0);
    steer_free(steer);
}

/* Whatever comes, nothing is read beyond its end. */
Test(device_steer, any_bytes_have_an_owner)
{
    struct steer *steer = steer_new(FRONTS, STEER_FLOWS, 7);
    struct prng prng;
    static const unsigned types[] = {0x0800, 0x0806, 0x86dd, 0x8100, 0};
    prng_seed(&prng, 1);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned len = (unsigned)(prng_next(&prng) % 80), type = types[prng_next(&prng) % 5];
        uint8_t *bytes = malloc(len ? len : 1);
        for (unsigned b = 0; b < len; b++)
            bytes[b] = (uint8_t)prng_next(&prng);
        if (len > 13) {
            bytes[12] = (uint8_t)(type >> 8);
            bytes[13] = (uint8_t)type;
        }
        struct frame frame = {.at = bytes, .len = len};
        int of = steer_owner(steer, &frame, 1);
        cr_assert(of >= STEER_ALL && of < FRONTS);
        free(bytes);
    }
    steer_free(steer);
}

/* ---- devices --------------------------------------------------------------------------------------- */

struct net {
    struct steer *steer;
    struct feed_device *fake;
    struct device *d[FRONTS];
};

/* queues: how many fronts have one that receives. */
static struct net net_new(unsigned queues)
{
    struct net net = {.steer = steer_new(FRONTS, STEER_FLOWS, 3), .fake = calloc(FRONTS, sizeof *net.fake)};
    for (unsigned i = 0; i < FRONTS; i++) {
        feed_device_init(&net.fake[i]);
        net.d[i] = device_steer_new(net.steer, i, &net.fake[i].device, i < queues);
    }
    return net;
}

static unsigned freed(const struct net *net)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FRONTS; i++)
        n += net->fake[i].freed;
    return n;
}

static void net_drop(struct net *net)
{
    for (unsigned i = 0; i < FRONTS; i++) {
        net->d[i]->ops->close(net->d[i]);
        cr_assert(net->fake[i].closed);
        feed_device_drop(&net->fake[i]);
    }
    steer_free(net->steer);
    free(net->fake);
}

static unsigned take(struct device *d, struct frame *frames, unsigned n)
{
    unsigned got = d->ops->rx(d, frames, n);
    cr_assert(got <= n);
    return got;
}

Test(device_steer, every_frame_comes_to_its_front_once)
{
    struct net net = net_new(FRONTS);
    struct frame frame[DEVICE_BURST];
    unsigned got = 0, idle = 0;
    for (unsigned i = 0; i < 4 * 300; i++) {
        struct bytes b = ipv4(6, 2000 + i, 0, false);
        feed_device_put(&net.fake[i % FRONTS], b.at, b.len);
    }
    for (unsigned turn = 0; idle < 2 * FRONTS; turn++) {
        unsigned front = turn % FRONTS, n = take(net.d[front], frame, 1 + turn % DEVICE_BURST);
        for (unsigned i = 0; i < n; i++) {
            cr_assert_eq(steer_owner(net.steer, &frame[i], 9), (int)front);
            net.d[front]->ops->free(net.d[front], frame[i].buffer);
        }
        got += n;
        idle = n ? 0 : idle + 1;
    }
    cr_assert_eq(got, 1200);
    cr_assert_eq(freed(&net), 1200);
    net_drop(&net);
}

Test(device_steer, a_front_without_a_queue_gets_its_frames)
{
    struct net net = net_new(1);
    struct frame frame[DEVICE_BURST];
    unsigned got[FRONTS] = {0};
    for (unsigned i = 0; i < 100; i++) {
        struct bytes b = ipv4(6, 2000 + i, 0, false);
        feed_device_put(&net.fake[0], b.at, b.len);
    }
    for (unsigned turn = 0; turn < 40; turn++)
        for (unsigned f = 0; f < FRONTS; f++) {
            unsigned n = take(net.d[f], frame, DEVICE_BURST);
            for (unsigned i = 0; i < n; i++)
                net.d[f]->ops->free(net.d[f], frame[i].buffer);
            got[f] += n;
        }
    cr_assert_eq(got[0] + got[1] + got[2] + got[3], 100);
    for (unsigned f = 0; f < FRONTS; f++)
        cr_assert(got[f] > 5);
    net_drop(&net);
}

Test(device_steer, answers_are_copied_to_all_and_come_back)
{
    struct net net = net_new(FRONTS);
    struct frame frame[DEVICE_BURST];
    struct bytes b = arp(2, false);
    struct steer_stats stats;
    for (unsigned round = 0; round < 300; round++) {
        feed_device_put(&net.fake[2], b.at, b.len);
        for (unsigned i = 0; i < FRONTS; i++) {
            unsigned f = (i + 2) % FRONTS;
            cr_assert_eq(take(net.d[f], frame, DEVICE_BURST), 1);
            cr_assert(frame[0].len == b.len && memcmp(frame[0].at, b.at, b.len) == 0);
            cr_assert(frame[0].at - frame[0].room >= FRAME_HEADROOM);
            net.d[f]->ops->free(net.d[f], frame[0].buffer);
        }
    }
    device_steer_stats(net.d[2], &stats);
    cr_assert(stats.copied == 900 && stats.dropped_copy == 0);
    cr_assert_eq(freed(&net), 300);
    net_drop(&net);
}

Test(device_steer, a_front_that_does_not_take_loses_only_its_own)
{
    struct net net = net_new(FRONTS);
    struct frame frame[DEVICE_BURST];
    struct steer_stats stats;
    unsigned port = 1, of_one = 0;
    struct bytes b, answer = arp(2, false);
    for (; of_one < 400; port++) {
        b = ipv4(6, port, 0, false);
        if (owner(net.steer, b, 0) != 1)
            continue;
        feed_device_put(&net.fake[0], b.at, b.len);
        of_one++;
    }
    while (net.fake[0].taken < net.fake[0].come)
        take(net.d[0], frame, DEVICE_BURST);
    device_steer_stats(net.d[0], &stats);
    cr_assert(stats.handed_over == 256 && stats.dropped_full == 144);
    cr_assert_eq(net.fake[0].freed, 144);
    feed_device_put(&net.fake[0], answer.at, answer.len);
    cr_assert_eq(take(net.d[0], frame, DEVICE_BURST), 1);
    net.d[0]->ops->free(net.d[0], frame[0].buffer);
    device_steer_stats(net.d[0], &stats);
    cr_assert(stats.copied == 2 && stats.dropped_copy == 1);
    net_drop(&net); /* gives back what nobody took */
}

Test(device_steer, sending_passes_through)
{
    struct net net = net_new(FRONTS);
    struct iovec piece = {(void *)(uintptr_t) "x", 1};
    struct tx_frame out = {
        .head = (uint8_t *)(uintptr_t) "h", .head_len = 1, .pieces = 1, .payload = 1, .piece = &piece};
    cr_assert(net.d[3]->ops->tx(net.d[3], &out));
    cr_assert(net.d[3]->tx_given == 1 && net.d[3]->tx_done == 0 && net.fake[3].sent == 1);
    net.d[3]->ops->flush(net.d[3]);
    cr_assert(net.d[3]->tx_done == 1 && net.fake[3].flushed == 1);
    net.fake[3].full = true;
    cr_assert(!net.d[3]->ops->tx(net.d[3], &out));
    struct device_stats stats;
    net.d[3]->ops->stats(net.d[3], &stats);
    cr_assert(stats.link_up);
    net_drop(&net);
}

/* ---- threads --------------------------------------------------------------------------------------- */

struct taker {
    struct device *d;
    unsigned front, got;
    bool *end;
    const struct steer *steer;
};

static void *take_all(void *arg)
{
    struct taker *t = arg;
    struct frame frame[DEVICE_BURST];
    for (bool last = false;; last = __atomic_load_n(t->end, __ATOMIC_ACQUIRE)) {
        unsigned n = t->d->ops->rx(t->d, frame, DEVICE_BURST);
        for (unsigned i = 0; i < n; i++) {
            cr_assert_eq(frame[i].len, 28 + 14u);
            t->d->ops->free(t->d, frame[i].buffer);
        }
        t->got += n;
        if (last && n == 0)
            return NULL;
    }
}

Test(device_steer, copies_between_threads)
{
    struct net net = net_new(1);
    struct taker taker[FRONTS];
    pthread_t thread[FRONTS];
    struct frame frame;
    struct bytes b = arp(2, false);
    bool end = false;
    for (unsigned f = 1; f < FRONTS; f++) {
        taker[f] = (struct taker){.d = net.d[f], .front = f, .end = &end, .steer = net.steer};
        pthread_create(&thread[f], NULL, take_all, &taker[f]);
    }
    for (unsigned i = 0; i < FAKE_FRAMES; i++) {
        feed_device_put(&net.fake[0], b.at, b.len);
        cr_assert_eq(take(net.d[0], &frame, 1) + take(net.d[0], &frame, 1), 1);
        net.d[0]->ops->free(net.d[0], frame.buffer);
    }
    __atomic_store_n(&end, true, __ATOMIC_RELEASE);
    unsigned got = 0;
    for (unsigned f = 1; f < FRONTS; f++) {
        pthread_join(thread[f], NULL);
        got += taker[f].got;
    }
    struct steer_stats stats;
    device_steer_stats(net.d[0], &stats);
    cr_assert_eq(got, stats.copied);
    cr_assert_eq(stats.copied + stats.dropped_copy, (FRONTS - 1) * FAKE_FRAMES);
    net_drop(&net);
}
