/* A port of DPDK with our own TCP on it: the same stack as the broker's, on the client's side. */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include <stddef.h>
#include <stdint.h>

struct device;
struct port;
struct transport;
struct transport_user;

struct port_options {
    const char *eal;     /* DPDK's own arguments */
    const char *name;    /* of the port; "": the first */
    const char *address; /* "10.0.0.1/24", or several with commas between */
    const char *gateway; /* NULL: none */
    uint64_t mtu, buffers, connections;
};

/* Starts DPDK, once in a process. Returns NULL with one sentence in why. */
struct port *port_open(const struct port_options *o, char *why, size_t why_size);
/* Its streams; made once. The caller frees it. */
struct transport *port_transport(struct port *port, const struct transport_user *up);
/* What carries its frames. */
struct device *port_device(const struct port *port);
/* The calling thread is the one that polls from now on. */
void port_enter_thread(void);
/* Streams and transport are gone. */
void port_close(struct port *port);

#endif
