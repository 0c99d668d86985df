/*
 * lwIP as the other side: its raw API on one thread, frames over a descriptor that was handed down. It sends
 * so many bytes and checks as many; the first line on stdout says that all was right. Of Gannet there is
 * nothing in this program: both stacks have functions of the same names.
 */
#include <err.h>
#include <lwip/etharp.h>
#include <lwip/init.h>
#include <lwip/tcp.h>
#include <lwip/timeouts.h>
#include <netif/ethernet.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pattern.h"

enum { FRAME_MOST = 1514, MTU = 1500, POLL_MS = 20, PORT = 7000 };

static struct peer {
    int fd;
    bool listens, over;
    uint64_t bytes, sent, received;
} peer;

/* ---- frames -------------------------------------------------------------------------------------------- */

static err_t send_frame(struct netif *netif, struct pbuf *p)
{
    (void)netif;
    uint8_t frame[FRAME_MOST];
    uint16_t len = pbuf_copy_partial(p, frame, sizeof frame, 0);
    /* Full, or nobody there any more: lost. */
    (void)!write(peer.fd, frame, len);
    return ERR_OK;
}

static err_t set_up(struct netif *netif)
{
    static const uint8_t mac[6] = {0x02, 0x6c, 0x77, 0x69, 0x70, 1};
    memcpy(netif->hwaddr, mac, sizeof mac);
    netif->hwaddr_len = sizeof mac;
    netif->name[0] = 'l';
    netif->name[1] = 'w';
    netif->mtu = MTU;
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

/* False when the other end is closed. */
static bool take_frames(struct netif *netif)
{
    uint8_t frame[FRAME_MOST];
    ssize_t len;
    while ((len = read(peer.fd, frame, sizeof frame)) > 0) {
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
        if (!p)
            errx(1, "no memory");
        pbuf_take(p, frame, (u16_t)len);
        if (netif->input(p, netif) != ERR_OK)
            pbuf_free(p);
    }
    return len != 0;
}

/* ---- the connection ------------------------------------------------------------------------------------ */

static void send_more(struct tcp_pcb *pcb)
{
    enum pattern_way way = peer.listens ? FROM_LISTENING : FROM_CONNECTING;
    while (peer.sent < peer.bytes && tcp_sndbuf(pcb)) {
        struct span piece = pattern_at(way, peer.sent);
        uint64_t left = peer.bytes - peer.sent;
        u16_t n = tcp_sndbuf(pcb) < left ? (u16_t)tcp_sndbuf(pcb) : (u16_t)left;
        n = n < piece.len ? n : (u16_t)piece.len;
        if (tcp_write(pcb, piece.at, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        peer.sent += n;
    }
    tcp_output(pcb);
}

static err_t on_sent(void *owner, struct tcp_pcb *pcb, u16_t len)
{
    (void)owner, (void)len;
    send_more(pcb);
    return ERR_OK;
}

static err_t on_received(void *owner, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    (void)owner, (void)error;
    if (!p) {
        peer.over = true;
        tcp_close(pcb);
        return ERR_OK;
    }
    for (struct pbuf *q = p; q; q = q->next) {
        enum pattern_way way = peer.listens ? FROM_CONNECTING : FROM_LISTENING;
        if (!pattern_is(way, peer.received, span_of(q->payload, q->len)))
            errx(2, "damaged behind byte %llu", (unsigned long long)peer.received);
        peer.received += q->len;
    }
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static void on_error(void *owner, err_t error)
{
    (void)owner;
    errx(3, "error %d after %llu bytes", error, (unsigned long long)peer.received);
}

static err_t on_open(void *owner, struct tcp_pcb *pcb, err_t error)
{
    (void)owner, (void)error;
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    send_more(pcb);
    return ERR_OK;
}

static void begin(void)
{
    ip_addr_t other = IPADDR4_INIT_BYTES(10, 0, 0, 2);
    struct tcp_pcb *pcb = tcp_new();
    if (!peer.listens) {
        tcp_connect(pcb, &other, PORT, on_open);
        return;
    }
    tcp_bind(pcb, IP_ADDR_ANY, PORT);
    tcp_accept(tcp_listen(pcb), on_open);
}

int main(int argc, char **argv)
{
    struct netif netif = {0};
    ip4_addr_t own, mask, none = {0};
    if (argc != 4)
        errx(1, "usage: lwip-peer FD listen|connect BYTES");
    peer.fd = (int)strtol(argv[1], NULL, 10);
    peer.listens = strcmp(argv[2], "listen") == 0;
    peer.bytes = strtoull(argv[3], NULL, 10);
    signal(SIGPIPE, SIG_IGN);
    lwip_init();
    IP4_ADDR(&own, 10, 0, 0, 1);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    netif_add(&netif, &own, &mask, &none, NULL, set_up, ethernet_input);
    netif_set_default(&netif);
    netif_set_up(&netif);
    begin();
    /* As long as the other side is there: it may not have got the acknowledgement of its last segment. */
    while (take_frames(&netif)) {
        sys_check_timeouts();
        poll(&(struct pollfd){peer.fd, POLLIN, 0}, 1, POLL_MS);
    }
    if (!peer.over || peer.sent != peer.bytes || peer.received != peer.bytes)
        errx(4, "sent %llu, received %llu", (unsigned long long)peer.sent, (unsigned long long)peer.received);
    printf("good\n");
    return 0;
}
