#include "tcp/ip.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/log.h"
#include "tcp/ip_inside.h"

/* Ethernet's, until an MTU is set. */
enum { MTU_USUAL = 1500 };

static void make_links(struct ip *ip)
{
    static const uint16_t types[] = {ETHER_TYPE_IP4, ETHER_TYPE_IP6};
    for (int i = 0; i < 2; i++) {
        uint8_t *p = put_span(ip->link[i], span_of(ip->device->mac, ETHER_MAC));
        if (ip->vlan)
            p = put_be16(put_be16(p, ETHER_TYPE_VLAN), ip->vlan);
        p = put_be16(p, types[i]);
        ip->link_len = (uint8_t)(p - ip->link[i]);
    }
}

static uint16_t mtu_of(const struct ip_options *options)
{
    uint16_t mtu = options->mtu ? options->mtu : MTU_USUAL;
    return mtu < options->device->mtu_max ? mtu : options->device->mtu_max;
}

struct ip *ip_new(const struct ip_options *options, struct ip_user user)
{
    CHECK(options->addresses <= IP_ADDRESSES_MAX);
    struct ip *ip = calloc(1, sizeof *ip);
    CHECK(ip);
    ip->device = options->device;
    ip->kernel = options->kernel;
    ip->user = user;
    ip->addresses = options->addresses;
    memcpy(ip->address, options->address, sizeof ip->address);
    memcpy(ip->gateway, options->gateway, sizeof ip->gateway);
    ip->mtu = mtu_of(options);
    ip->vlan = options->vlan & VLAN_ID;
    ip->offers = options->device->offers;
    prng_seed(&ip->prng, options->seed);
    neighbours_init(&ip->neighbours, prng_next(&ip->prng));
    make_links(ip);
    return ip;
}

void ip_free(struct ip *ip)
{
    neighbours_free(&ip->neighbours);
    free(ip);
}

/* So that switches and neighbours know from the start where our addresses are now. */
static void announce(struct ip *ip)
{
    ip->announced++;
    ip->announce_ns = ip->now_ns + NEIGHBOUR_ASK_NS;
    for (unsigned i = 0; i < ip->addresses; i++) {
        const struct ip_address *address = &ip->address[i].address;
        if (ip_address_is_v4(address))
            arp_announce(ip, address);
        else
            nd_announce(ip, address);
    }
}

/* What is due by itself. */
static unsigned run_timers(struct ip *ip)
{
    unsigned work = 0;
    if (ip->announced < ANNOUNCEMENTS && ip->now_ns >= ip->announce_ns) {
        announce(ip);
        work++;
    }
    struct neighbour *neighbour;
    while (work < NEIGHBOURS_DUE_AT_ONCE && (neighbour = neighbours_due(&ip->neighbours, ip->now_ns))) {
        ip_ask(ip, neighbour);
        work++;
    }
    return work;
}

static void count_neighbours(struct ip *ip)
{
    stat_set(&ip->stats.neighbours, ip->neighbours.count);
    stat_set(&ip->stats.neighbours_evicted, ip->neighbours.evicted);
    stat_set(&ip->stats.neighbours_refused, ip->neighbours.refused);
    stat_add(&ip->stats.dropped_no_neighbour, (int64_t)ip->neighbours.frames_dropped);
    ip->neighbours.frames_dropped = 0;
}

unsigned ip_poll(struct ip *ip, uint64_t now_ns)
{
    struct frame frames[DEVICE_BURST];
    ip->now_ns = now_ns;
    unsigned n = ip->device->ops->rx(ip->device, frames, DEVICE_BURST);
    for (unsigned i = 0; i < n; i++)
        ip_input(ip, &frames[i]);
    unsigned work = n + run_timers(ip);
    if (ip->kernel)
        work += ip_from_kernel(ip);
    count_neighbours(ip);
    return work;
}

uint64_t ip_deadline(const struct ip *ip)
{
    uint64_t next = timers_next(&ip->neighbours.timers);
    return ip->announced < ANNOUNCEMENTS && ip->announce_ns < next ? ip->announce_ns : next;
}

void ip_flush(struct ip *ip)
{
    ip->device->ops->flush(ip->device);
}

struct device *ip_device(struct ip *ip)
{
    return ip->device;
}

const struct ip_stats *ip_stats(const struct ip *ip)
{
    return &ip->stats;
}

void ip_ask(struct ip *ip, struct neighbour *neighbour)
{
    const struct ip_address *from = ip_source_for(ip, &neighbour->address);
    if (!from)
        return;
    if (ip_address_is_v4(from))
        arp_ask(ip, neighbour, from);
    else
        nd_ask(ip, neighbour, from);
}

/* Frames that waited for the neighbour go out, each with its Ethernet address. */
static void send_waiting(struct ip *ip, struct neighbour *neighbour)
{
    struct neighbour_frame *waiting;
    while ((waiting = neighbour_take(neighbour))) {
        memcpy(waiting->bytes + ETHER_DESTINATION, neighbour->mac, ETHER_MAC);
        ip_transmit(ip, &(struct tx_frame){.head = waiting->bytes,
                                           .head_len = waiting->len,
                                           .l3_at = waiting->l3_at,
                                           .l4_at = waiting->l4_at,
                                           .flags = waiting->flags});
        neighbour_frame_free(&ip->neighbours, waiting);
    }
}

void ip_heard(struct ip *ip, const struct ip_address *address, const uint8_t *mac, bool confirmed,
              bool create)
{
    struct neighbour *neighbour = neighbour_find(&ip->neighbours, address);
    if (!neighbour && create && ip_is_host(ip, address) && ip_on_link(ip, address))
        neighbour = neighbour_make(&ip->neighbours, address, false, ip->now_ns);
    if (!neighbour)
        return;
    neighbour_heard(&ip->neighbours, neighbour, mac, confirmed, ip->now_ns);
    send_waiting(ip, neighbour);
}

void ip_conflict(struct ip *ip, const struct ip_address *address, const uint8_t *mac)
{
    char text[IP_TEXT];
    ip_count(&ip->stats.conflicts);
    if (!ip_rate_allows(&ip->conflicts, ip->now_ns, CONFLICT_NS, 1))
        return;
    log_line(LOG_WARNING, "ip", "%02x:%02x:%02x:%02x:%02x:%02x has our address %s too", mac[0], mac[1],
             mac[2], mac[3], mac[4], mac[5], ip_address_text(address, text));
    /* RFC 5227 section 2.4 (c): defend it, once in a while. */
    if (ip_address_is_v4(address))
        arp_announce(ip, address);
    else
        nd_announce(ip, address);
}
