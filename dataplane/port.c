/* A front's ports: its transports, and which of their receive buffers are in use. */
#include "base/check.h"
#include "front_inside.h"

void front_attach(struct front *front, struct transport *transport)
{
    struct front_port *port = transport->up.owner;
    CHECK(port == &front->port[front->ports]);
    port->transport = transport;
    front->ports++;
}

struct transport *front_transport(const struct front *front, unsigned port)
{
    return port < front->ports ? front->port[port].transport : NULL;
}

/* ---- receive buffers ------------------------------------------------------------------------------ */

static bool in_use(const struct front_port *port)
{
    return port->epoch > port->epoch_released;
}

bool ports_in_use(const struct front *front)
{
    for (unsigned i = 0; i < front->ports; i++)
        if (in_use(&front->port[i]))
            return true;
    return false;
}

void ports_release_all(struct front *front)
{
    for (struct front_port *port = front->port; port < front->port + front->ports; port++) {
        if (!in_use(port))
            continue;
        port->epoch_released = port->epoch;
        port->transport->ops->rx_release(port->transport, port->epoch);
    }
}

void port_next_epoch(struct front_port *port, uint64_t epoch)
{
    struct front *front = port->front;
    if (port->epoch != epoch && in_use(port)) {
        struct lent_row *row = fifo_add(&front->lent);
        row->buffer = NULL;
        row->port = (unsigned)(port - front->port);
        row->epoch = epoch - 1;
        memcpy(row->sent, front->sent, sizeof row->sent[0] * front->options.routers);
    }
    port->epoch = epoch;
}

/* ---- all of them ---------------------------------------------------------------------------------- */

unsigned ports_poll(struct front *front)
{
    unsigned work = 0;
    for (unsigned i = 0; i < front->ports; i++)
        work += front->port[i].transport->ops->poll(front->port[i].transport, front->now_ns);
    return work;
}

void ports_flush(struct front *front)
{
    for (unsigned i = 0; i < front->ports; i++)
        if (front->port[i].transport->ops->flush)
            front->port[i].transport->ops->flush(front->port[i].transport);
}

void ports_rest(struct front *front, bool rest)
{
    for (unsigned i = 0; i < front->ports; i++)
        if (front->port[i].transport->ops->rest)
            front->port[i].transport->ops->rest(front->port[i].transport, rest);
}

void ports_stop_listening(struct front *front)
{
    for (unsigned i = 0; i < front->ports; i++)
        front->port[i].transport->ops->stop_listening(front->port[i].transport);
}

void ports_free(struct front *front)
{
    for (unsigned i = 0; i < front->ports; i++)
        front->port[i].transport->ops->free(front->port[i].transport);
}
