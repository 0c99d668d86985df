#include "transport/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "transport/address.h"
#include "transport/transport.h"

/* linux/limits.h has no IOV_MAX; the kernel's UIO_MAXIOV is part of its ABI. */
enum { IOVECS_MAX = 1024 };

#define UNIX_PREFIX "unix:"

static void set(int fd, int level, int name, int value)
{
    /* Options that fail are missing from this kernel; the connection works without. */
    (void)!setsockopt(fd, level, name, &value, sizeof value);
}

static int open_listener(struct address *address, bool shared)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (shared)
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address->any.sa_family == AF_INET6)
        set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (bind(fd, &address->any, address->len) < 0 || listen(fd, SOMAXCONN) < 0 ||
        getsockname(fd, &address->any, &address->len) < 0) {
        int failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

int socket_listen(const char *text, bool shared, uint16_t *port, char *error, size_t error_size)
{
    struct address address;
    if (!address_parse(&address, text, error, error_size))
        return -1;
    int fd = open_listener(&address, shared);
    if (fd < 0) {
        snprintf(error, error_size, "cannot listen on %s: %s", text,
                 errno == EADDRINUSE ? "another program does (see ss -ltnp)" : strerror(errno));
        return -1;
    }
    *port = address_port(&address);
    return fd;
}

void socket_rest(int fd, struct address *bound)
{
    *bound = (struct address){.len = sizeof bound->v6};
    if (getsockname(fd, &bound->any, &bound->len) < 0)
        bound->len = 0;
    shutdown(fd, SHUT_RD);
}

/* A port that was the kernel's choice was given back; one that wasn't is still bound. */
bool socket_listen_again(int fd, const struct address *bound)
{
    if (bind(fd, &bound->any, bound->len) < 0 && errno != EINVAL)
        return false;
    return listen(fd, SOMAXCONN) == 0;
}

bool socket_is_unix(const char *text)
{
    return strncmp(text, UNIX_PREFIX, sizeof UNIX_PREFIX - 1) == 0;
}

/* Socket names hold 107 bytes and paths more: the directory is named by a descriptor. */
static int listen_in(int directory, const char *name)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    int len = snprintf(own.sun_path, sizeof own.sun_path, "/proc/self/fd/%d/%s", directory, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (len >= (int)sizeof own.sun_path)
        errno = ENAMETOOLONG;
    else if (fd >= 0 && (unlinkat(directory, name, 0) == 0 || errno == ENOENT) &&
             bind(fd, (struct sockaddr *)&own, sizeof own) == 0 && fchmodat(directory, name, 0660, 0) == 0 &&
             listen(fd, SOMAXCONN) == 0)
        return fd;
    int failed = errno;
    if (fd >= 0)
        close(fd);
    errno = failed;
    return -1;
}

int socket_listen_unix(const char *text, char *error, size_t error_size)
{
    char directory[PATH_MAX];
    const char *path = text + sizeof UNIX_PREFIX - 1, *name = strrchr(path, '/');
    int fd = -1, dir = -1;
    if (name && (size_t)(name - path) < sizeof directory) {
        snprintf(directory, sizeof directory, "%.*s", (int)(name - path), path);
        dir = open(*directory ? directory : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (dir >= 0)
        fd = listen_in(dir, name + 1);
    if (fd < 0)
        snprintf(error, error_size, "cannot serve %s: %s", path, strerror(errno));
    if (dir >= 0)
        close(dir);
    return fd;
}

bool socket_in_use(const char *text)
{
    struct address address;
    char error[128];
    if (!address_parse(&address, text, error, sizeof error) || address_port(&address) == 0)
        return false;
    /* Without SO_REUSEPORT a listener can't be opened beside another one, even one that has it. */
    int fd = open_listener(&address, false);
    if (fd < 0)
        return errno == EADDRINUSE;
    close(fd);
    return false;
}

static size_t total(const struct iovec *iov, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

size_t socket_send(int fd, const struct iovec *iov, int n, int *error)
{
    size_t taken = 0;
    *error = 0;
    while (n > 0) {
        int part = n < IOVECS_MAX ? n : IOVECS_MAX;
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)part};
        ssize_t sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            *error = errno;
            break;
        }
        taken += (size_t)sent;
        if ((size_t)sent < total(iov, part)) {
            *error = EAGAIN;
            break;
        }
        iov += part;
        n -= part;
    }
    return taken;
}

static ssize_t receive(int fd, void *at, size_t room, int flags)
{
    ssize_t n;
    do {
        n = recv(fd, at, room, MSG_DONTWAIT | flags);
    } while (n < 0 && errno == EINTR);
    return n;
}

ssize_t socket_receive(int fd, void *at, size_t room)
{
    return receive(fd, at, room, 0);
}

ssize_t socket_discard(int fd, size_t most)
{
    return receive(fd, NULL, most, MSG_TRUNC);
}

int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error == 0)
        return ECONNRESET;
    return error;
}

void socket_names(int fd, char *peer, char *local)
{
    struct address address = {.len = sizeof address.v6};
    if (getsockname(fd, &address.any, &address.len) == 0 && address.any.sa_family == AF_UNIX) {
        snprintf(peer, ADDRESS_TEXT, "local:%d", fd); /* another one for each that is open */
        snprintf(local, ADDRESS_TEXT, "local:0");
        return;
    }
    address.len = sizeof address.v6;
    if (getpeername(fd, &address.any, &address.len) < 0)
        address.any.sa_family = AF_UNSPEC;
    address_text(&address, peer);
    address = (struct address){.len = sizeof address.v6};
    if (getsockname(fd, &address.any, &address.len) < 0)
        address.any.sa_family = AF_UNSPEC;
    address_text(&address, local);
}

void socket_close(int fd, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (reset)
        (void)!setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}
