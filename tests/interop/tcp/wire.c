/* A bad wire between two interfaces: a tap in each of two network namespaces, and what the one's kernel sends
 * arrives at the other's late, or never. Ours is asked how it does on it, and so is the kernel: the same wire
 * for both. */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "device_fd.h"
#include "tcp/device_faults.h"

enum { MTU = 1500, S_NS = 1000000000 };

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * S_NS + (uint64_t)t.tv_nsec;
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t n = strtoull(text, &end, 10);
    if (*end)
        errx(1, "no number: %s", text);
    return n;
}

/* namespace: "/proc/PID/ns/net". */
static struct device *open_in(const char *namespace, const char *tap)
{
    static const uint8_t nobody[6];
    int fd = open(namespace, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
        err(1, "%s", namespace);
    return device_fd_open(tap, nobody, MTU);
}

static unsigned carry(struct device *from, struct device *to)
{
    struct frame frame[DEVICE_BURST];
    unsigned n = from->ops->rx(from, frame, DEVICE_BURST);
    for (unsigned i = 0; i < n; i++) {
        struct tx_frame out = {.head = frame[i].at, .head_len = (uint16_t)frame[i].len};
        to->ops->tx(to, &out);
        from->ops->free(from, frame[i].buffer);
    }
    return n;
}

static void wait_for_work(const struct device *a, const struct device *b, uint64_t until_ns)
{
    uint64_t now_ns = clock_ns(), ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec time = {.tv_sec = ns < S_NS ? 0 : 1, .tv_nsec = ns < S_NS ? (long)ns : 0};
    struct pollfd fds[] = {{device_fd_number(a), POLLIN, 0}, {device_fd_number(b), POLLIN, 0}};
    ppoll(fds, 2, &time, NULL);
}

/* Faults of both directions are those of the device that the one side is behind. */
int main(int argc, char **argv)
{
    if (argc != 8)
        errx(1, "usage: wire NAMESPACE tap:NAME NAMESPACE tap:NAME LOST-PPM DELAY-US SEED");
    prctl(PR_SET_PDEATHSIG, 9);
    /* A timer that is 50 us late is 5 % of a delay of 1 ms. */
    prctl(PR_SET_TIMERSLACK, 1);
    struct device *a = open_in(argv[1], argv[2]), *b = open_in(argv[3], argv[4]);
    const struct device_faults_options options = {
        .lost_ppm = (uint32_t)number(argv[5]), .delay_ns = number(argv[6]) * 1000, .seed = number(argv[7])};
    struct device *bad = device_faults_new(a, &options);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        device_faults_advance(bad, clock_ns());
        unsigned n = carry(bad, b) + carry(b, bad);
        bad->ops->flush(bad);
        if (!n)
            wait_for_work(a, b, device_faults_deadline(bad));
    }
}
