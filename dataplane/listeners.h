/* Each listener of the configuration on the transport that carries it: kernel sockets or our own TCP, plain
 * or under TLS. A front has a transport of each kind that some listener asks for. On the main thread, before
 * there are workers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct gannetd;

/* Before recovery, which may take a while: is it worth it? Returns false with one sentence in error. */
bool listeners_free(const struct gannetd *g, char *error, size_t error_size);
/* Makes the fronts' transports. */
bool listeners_attach(struct gannetd *g, char *error, size_t error_size);
/* Gives the fronts' TLS the contexts that there are now. While workers run. */
void listeners_offer_tls(const struct gannetd *g);
/* They listen: from here on clients come. So they do on DATADIR/amqp.sock, for AMQP as any user: who may open
 * it may open the control socket, and say who there is. It is the first front's. */
bool listeners_open(struct gannetd *g, char *error, size_t error_size);
/* At a clean end: DATADIR/amqp.sock is gone. */
void listeners_forget(const struct gannetd *g);
/* Answers the control socket's request for them. Control thread. */
void listeners_write(const struct gannetd *g, FILE *out);
