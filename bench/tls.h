/* A connection under TLS (amqps://...), over the socket that it has: by OpenSSL, whose client takes any
 * certificate, as what is measured is the load. Of 1.3's ciphers it offers AES-128-GCM alone, so that figures
 * of brokers are of the same work. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct conn;
struct uri;

/* Shakes hands on a connection that has just been opened; waits for some seconds at most. 0, or -1 with
 * c->why. */
int tls_begin(struct conn *c, const struct uri *u);
/* Ends it; the socket stays open. Nothing if there is none. */
void tls_end(struct conn *c);
/* As send(2) and recv(2) on a socket that doesn't wait, errno included. */
ssize_t tls_send(struct conn *c, const void *bytes, size_t n);
ssize_t tls_receive(struct conn *c, void *to, size_t room);
/* Whether something may be there to be received that no epoll tells of: it has been read already. */
bool tls_holds(const struct conn *c);

#endif
