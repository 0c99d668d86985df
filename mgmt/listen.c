#include "listen.h"

#include <err.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static gid_t group_of(const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (*name && !*end)
        return (gid_t)number;
    const struct group *group = getgrnam(name);
    if (!group)
        errx(1, "there is no group '%s'", name);
    return group->gr_gid;
}

/* Socket names hold 107 bytes and paths more: the directory is named by a descriptor. Mode and group are set
 * before anybody can connect. */
int listen_unix(const char *data_dir, mode_t mode, const char *group)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int dir = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        err(1, "cannot open the data directory %s", data_dir);
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/mgmtd.sock", dir);
    unlinkat(dir, "mgmtd.sock", 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0777);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
              (!group || fchownat(dir, "mgmtd.sock", (uid_t)-1, group_of(group), 0) == 0) &&
              fchmodat(dir, "mgmtd.sock", mode, 0) == 0 && listen(fd, 64) == 0;
    umask(old);
    if (!ok)
        err(1, "cannot serve %s/mgmtd.sock", data_dir);
    close(dir);
    return fd;
}

static void say_where(int fd, const char *what, struct door *door)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    char host[64] = "", port[16] = "0";
    if (getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
        getnameinfo((struct sockaddr *)&name, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        fprintf(stderr, "gannet-mgmtd: %s on %s:%s\n", what, host, port);
    snprintf(door->host, sizeof door->host, "%s", host);
    door->port = (uint16_t)strtoul(port, NULL, 10);
}

struct door listen_tcp(const char *address, const char *what)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    struct door door = {0};
    struct addrinfo *found,
        hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    if (!colon || colon == address || colon - address >= (int)sizeof host)
        errx(1, "'%s' is not an address and a port, such as 127.0.0.1:15692 or [::1]:15692", address);
    bool bracketed = address[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * bracketed, address + bracketed);
    int failed = getaddrinfo(host, colon + 1, &hints, &found);
    if (failed)
        errx(1, "'%s' is not an address and a port: %s", address, gai_strerror(failed));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 64) < 0)
        err(1, "cannot listen on %s", address);
    freeaddrinfo(found);
    door.listener = fd;
    say_where(fd, what, &door);
    return door;
}
