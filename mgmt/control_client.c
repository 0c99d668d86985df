#include "control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A broker whose other askers wait, too, needs more than one of them would. */
enum { PATIENCE_S = 30 };

/* Socket names hold 107 bytes and paths more: the directory is named by a descriptor. */
int control_connect(const char *path)
{
    char for_dir[4400], for_base[4400];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(for_dir, sizeof for_dir, "%s", path);
    snprintf(for_base, sizeof for_base, "%s", path);
    int dir = open(dirname(for_dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/%.64s", dir, basename(for_base));
    const struct timeval limit = {.tv_sec = PATIENCE_S};
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof name) < 0) {
        int failed = errno;
        close(fd);
        errno = failed;
        fd = -1;
    }
    close(dir);
    return fd;
}

static char *read_all(int fd)
{
    char *text = NULL;
    size_t size = 0;
    char part[65536];
    FILE *out = open_memstream(&text, &size);
    ssize_t n = -1;
    while (out && (n = recv(fd, part, sizeof part, 0)) > 0)
        fwrite(part, 1, (size_t)n, out);
    if (out && fclose(out) == 0 && n == 0)
        return text;
    free(text);
    return NULL;
}

/* The broker's refusal. */
static enum control_trouble refusal(const char *text, const char *path, char *error, size_t error_size)
{
    static const char *const words[] = {
        [CONTROL_REFUSED] = "error ", [CONTROL_MISSING] = "missing ", [CONTROL_FAILED] = "failed "};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        size_t len = strlen(words[i]);
        if (strncmp(text, words[i], len) != 0)
            continue;
        snprintf(error, error_size, "%.*s", (int)strcspn(text + len, "\n"), text + len);
        return (enum control_trouble)i;
    }
    snprintf(error, error_size, "what answers at %s is not a broker", path);
    return CONTROL_FAILED;
}

static char *hear(int fd, const char *path, enum control_trouble *trouble, char *error, size_t error_size)
{
    char *text = read_all(fd);
    if (!text) {
        snprintf(error, error_size, "the broker's answer broke off: %s", strerror(errno));
        return NULL;
    }
    const char *end = strstr(text, "\n\n"), *wrong = end ? end + 2 : text;
    if (strncmp(text, "ok\n", 3) == 0 && (!end || !*wrong)) {
        memmove(text, text + 3, strlen(text + 3) + 1);
        return text;
    }
    *trouble = refusal(wrong, path, error, error_size);
    free(text);
    return NULL;
}

/* Connects and asks. Returns the descriptor to read the answer from, -1 with the reason in error. */
static int ask(const char *path, const char *request, enum control_trouble *trouble, char *error,
               size_t error_size)
{
    *trouble = CONTROL_REFUSED;
    char line[CONTROL_REQUEST_BYTES];
    int n = snprintf(line, sizeof line, "%s\n", request);
    if (n >= (int)sizeof line) {
        snprintf(error, error_size, "this is too long: a broker takes requests of at most %d bytes",
                 CONTROL_REQUEST_BYTES);
        return -1;
    }
    *trouble = CONTROL_FAILED;
    int fd = control_connect(path);
    if (fd < 0) {
        snprintf(error, error_size,
                 "no broker answers at %s: %s (does gannetd run? name its data directory with -D)", path,
                 strerror(errno));
        return -1;
    }
    if (send(fd, line, (size_t)n, MSG_NOSIGNAL) == n)
        return fd;
    snprintf(error, error_size, "the broker at %s does not listen", path);
    close(fd);
    return -1;
}

char *control_client_ask(const char *path, const char *request, enum control_trouble *trouble, char *error,
                         size_t error_size)
{
    enum control_trouble unwanted;
    trouble = trouble ? trouble : &unwanted;
    int fd = ask(path, request, trouble, error, error_size);
    if (fd < 0)
        return NULL;
    char *text = hear(fd, path, trouble, error, error_size);
    close(fd);
    return text;
}

/* What has come, until its end or a failure: tail is what the last two bytes were. */
static bool copy(int fd, FILE *to, char tail[2])
{
    char part[65536];
    ssize_t n;
    while ((n = recv(fd, part, sizeof part, 0)) > 0) {
        if (fwrite(part, 1, (size_t)n, to) != (size_t)n)
            return false;
        tail[0] = n > 1 ? part[n - 2] : tail[1];
        tail[1] = part[n - 1];
    }
    return n == 0 && fflush(to) == 0;
}

bool control_client_copy(const char *path, const char *request, FILE *to, enum control_trouble *trouble,
                         char *error, size_t error_size)
{
    char head[3], tail[2] = "";
    int fd = ask(path, request, trouble, error, error_size);
    if (fd < 0)
        return false;
    if (recv(fd, head, sizeof head, MSG_PEEK | MSG_WAITALL) != sizeof head || memcmp(head, "ok\n", 3) != 0) {
        char *text = hear(fd, path, trouble, error, error_size);
        free(text);
        close(fd);
        return false;
    }
    bool ok =
        recv(fd, head, sizeof head, 0) == sizeof head && copy(fd, to, tail) && memcmp(tail, "\n\n", 2) == 0;
    if (!ok)
        snprintf(error, error_size, "the broker's answer broke off, or there is no room for it");
    close(fd);
    return ok;
}

int control_client_open(const char *path, const char *request, char *error, size_t error_size)
{
    enum control_trouble unwanted;
    return ask(path, request, &unwanted, error, error_size);
}
