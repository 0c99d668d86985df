/* The other side of tcp-bench: echoes requests, takes bulk. Serves until it is killed; spins. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#define ECHO_BYTES 64 /* of a request and its answer */
#define ECHO_PORT  "7000"
#define SINK_PORT  "7001"

struct port;

int echo_streams(struct port *port);
/* address: to listen on. */
int echo_sockets(const char *address);

#endif
