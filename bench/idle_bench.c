/* idle-bench N: what an idle connection costs in memory. Two stacks in one process on a wire that loses
 * nothing; N connections are established and left alone; the heap's growth is divided by the 2 N ends there
 * are. */
#include "buffer.h"

#include "tcp/stack.h"

#include <err.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RING = 256,
    BUFFER = 2048,
    PORTS =
        63, /* listeners: odd, so that with the 16,384 ports of our end no pair comes twice in a million */
    IN_FLIGHT = 64,    /* connections begun and not established */
    STEP_NS = 1000000, /* virtual time of a turn */
};

/* One end of the wire: frames go into the other's ring. */
struct end {
    struct device device;
    struct end *other;
    uint32_t head, tail;
    uint32_t len[RING];
    uint8_t *buffer[RING];
};

static unsigned end_rx(struct device *d, struct frame *frames, unsigned n)
{
    struct end *e = (struct end *)d;
    unsigned i;
    for (i = 0; i < n && e->head != e->tail; i++, e->head++) {
        uint8_t *b = e->buffer[e->head % RING];
        frames[i] =
            (struct frame){.at = b + FRAME_HEADROOM, .len = e->len[e->head % RING], .room = b, .buffer = b};
    }
    return i;
}

static void end_free(struct device *d, void *buffer)
{
    (void)d;
    free(buffer);
}

static bool end_tx(struct device *d, const struct tx_frame *f)
{
    struct end *to = ((struct end *)d)->other;
    if (to->tail - to->head == RING || f->pieces)
        return false;
    uint8_t *b = zalloc(1, BUFFER);
    memcpy(b + FRAME_HEADROOM, f->head, f->head_len);
    to->len[to->tail % RING] = f->head_len;
    to->buffer[to->tail++ % RING] = b;
    return true;
}

static void end_flush(struct device *d)
{
    (void)d;
}

static const struct device_ops end_ops = {.rx = end_rx, .free = end_free, .tx = end_tx, .flush = end_flush};

static struct stack *stack_on(struct end *e, struct end *other, uint8_t number)
{
    struct stack_options o = {
        .ip = {.device = &e->device, .mtu = 1500, .addresses = 1, .seed = number},
        .tcp = {.seed = number, .connections_max = 1u << 21, .keepalive_ms = UINT32_MAX}};
    char text[32];
    for (unsigned i = 0; i < sizeof o.tcp.secret; i++)
        o.tcp.secret[i] = (uint8_t)(i * 151 + number); /* a key of zeros hashes badly */
    e->other = other;
    e->device =
        (struct device){.ops = &end_ops, .mac = {2, 0, 0, 0, 0, number}, .mtu_max = 1500, .pieces_max = 1};
    snprintf(text, sizeof text, "10.0.0.%u/24", number);
    if (!ip_prefix_parse(text, &o.ip.address[0]))
        errx(2, "%s: no address", text);
    return stack_new(&o);
}

static uint64_t accepted, connected;

static void *on_accepted(void *owner, uint64_t id, int tag, const struct ip_address *peer, uint16_t peer_port,
                         const struct ip_address *local, uint16_t local_port)
{
    (void)id, (void)tag, (void)peer, (void)peer_port, (void)local, (void)local_port;
    accepted++;
    return owner;
}

static void on_connected(void *owner, void *user)
{
    (void)owner, (void)user;
    connected++;
}

static void on_gone(void *owner, void *user, int error)
{
    (void)owner, (void)user;
    errx(1, "a connection is gone: %s", strerror(error));
}

static uint64_t heap(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void establish(struct stack *const stack[2], uint64_t wanted)
{
    static uint64_t now = 1000000000;
    struct tcp_upcalls up = {
        .owner = &accepted, .accepted = on_accepted, .connected = on_connected, .gone = on_gone};
    struct ip_address to, any = {0};
    ip_address_parse("10.0.0.2", &to);
    for (uint16_t i = 0, port; i < PORTS; i++) {
        port = (uint16_t)(1000 + i);
        if (tcp_listen(stack_tcp(stack[1]), &any, &port, 0, up))
            errx(1, "cannot listen");
    }
    for (uint64_t begun = 0; connected < wanted || accepted < wanted; now += STEP_NS) {
        int error;
        while (begun < wanted && begun - connected < IN_FLIGHT) {
            if (!tcp_connect(stack_tcp(stack[0]), &to, (uint16_t)(1000 + begun % PORTS), up, &accepted,
                             &error))
                errx(1, "connection %llu: %s", (unsigned long long)begun, strerror(error));
            begun++;
        }
        for (int i = 0; i < 2; i++) {
            stack_poll(stack[i], now);
            stack_flush(stack[i]);
        }
    }
}

int main(int argc, char **argv)
{
    static struct end end[2];
    char *rest = NULL;
    uint64_t n = argc == 2 ? strtoull(argv[1], &rest, 10) : 0;
    if (!n || *rest || n > 1000000)
        errx(2, "usage: idle-bench CONNECTIONS (1 to 1000000)");
    struct stack *const stack[2] = {stack_on(&end[0], &end[1], 1), stack_on(&end[1], &end[0], 2)};
    uint64_t before = heap();
    establish(stack, n);
    uint64_t used = heap() - before;
    printf("{\"connections\": %llu, \"bytes_per_connection\": %.1f}\n", (unsigned long long)n,
           (double)used / (2.0 * (double)n));
    fflush(stdout);
    _exit(0); /* the memory goes with the process */
}
