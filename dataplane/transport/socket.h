/* What the transport over kernel sockets does with one descriptor, apart from waiting for it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* A non-blocking TCP listener on the address; TCP_NODELAY and SO_KEEPALIVE pass on to what it accepts.
 * shared: others may listen there too. Returns the descriptor, with the port in *port, or -1 with one
 * sentence in error. */
int socket_listen(const char *address, bool shared, uint16_t *port, char *error, size_t error_size);
/* The listener refuses who comes, until it listens again: where, is kept in *bound. */
struct address;
void socket_rest(int fd, struct address *bound);
/* False, with errno: it doesn't. */
bool socket_listen_again(int fd, const struct address *bound);
/* The same on "unix:DIRECTORY/NAME", which may be opened by owner and group; one that is there is a dead
 * process's, and is replaced. Returns as socket_listen. */
int socket_listen_unix(const char *address, char *error, size_t error_size);
bool socket_is_unix(const char *address);
/* Whether somebody listens on the address already: two processes may share a port in silence. At start only.
 */
bool socket_in_use(const char *address);
/* Sends what goes without waiting. Returns the bytes taken; *error: 0 if all were, EAGAIN or a real error if
 * not. */
size_t socket_send(int fd, const struct iovec *iov, int n, int *error);
/* Receives without waiting. Returns 0 at the peer's end, -1 with errno. */
ssize_t socket_receive(int fd, void *at, size_t room);
/* Throws away up to `most` received bytes, without copying them. Returns as socket_receive. */
ssize_t socket_discard(int fd, size_t most);
/* The error that ended the connection (an errno), taken from the socket; ECONNRESET if it tells none. */
int socket_error(int fd);
/* The addresses of both ends as text, each of ADDRESS_TEXT bytes; a Unix socket's are "local" with a number.
 */
void socket_names(int fd, char *peer, char *local);
/* Closes. reset: what was not sent yet is forgotten and the peer gets a reset. */
void socket_close(int fd, bool reset);
