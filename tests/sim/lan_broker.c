/* The fronts' hosts. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "history.h"
#include "lan_inside.h"
#include "network.h"
#include "transport/transport_tcp.h"

enum { FRONT_WHO = 1 }; /* the first one's last byte */

struct transport *lan_transport(struct lan *lan, struct transport_user up)
{
    unsigned f = 0;
    while (lan->front[f].device)
        f++;
    CHECK(f < LAN_FRONTS);
    struct host *host = &lan->front[f];
    host_on(lan, host, FRONT_WHO + f, true);
    host->transport = transport_tcp_new(host->stack, up);
    return host->transport;
}

/* What the device has been given before leaves. */
static void let_out(struct lan *lan)
{
    uint64_t leave_ns = sim_wire_faults(lan->wire)->leave_ns;
    sim_wire_advance(lan->wire, lan->now_ns + leave_ns);
}

void lan_transport_free(struct lan *lan, struct transport *transport)
{
    struct host *host = lan->front;
    while (host->transport != transport)
        host++;
    CHECK(host < lan->front + LAN_FRONTS);
    bool heard = prng_below(&lan->prng, 2);
    if (heard)
        let_out(lan);
    transport->ops->free(transport);
    if (heard)
        let_out(lan);
    host_off(host);
    host->transport = NULL;
}

bool lan_knows(const struct lan *lan, uint64_t id)
{
    const struct lan_stream *s = lan_find(lan, id);
    return s && !s->forgotten;
}

void lan_dies(struct lan *lan)
{
    if (prng_below(&lan->prng, 2))
        return;
    history_note("and its hosts are switched off");
    for (unsigned f = 0; f < LAN_FRONTS; f++)
        if (lan->front[f].device)
            device_sim_unplug(lan->front[f].device, true);
}

/* The youngest stream with that address and port. A host that was switched off and on again may have used
 * them before, and a SYN cookie can come back from the wire: then the broker has a stream that no client
 * knows. */
uint64_t lan_accepted(struct lan *lan, const char *peer)
{
    for (size_t i = lan->streams; i > lan->first; i--) {
        struct lan_stream *s = lan->stream[i - 1];
        if (!s || strcmp(s->peer, peer) != 0)
            continue;
        if (s->accepted)
            break;
        s->accepted = true;
        return s->id;
    }
    history_note("nobody knows %s any more", peer);
    return NETWORK_GHOSTS + lan->ghosts++;
}
