/* The transport over kernel sockets against plain blocking sockets on the loopback interface. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "transport/rx.h"
#include "transport/transport_uring.h"

enum { STREAMS = 64, KEEP = 1 << 20 };

/* What the fake front knows of a stream. */
struct seen {
    uint64_t stream;
    size_t bytes;     /* used up */
    size_t offered;   /* by the last data() */
    unsigned upcalls; /* of data() */
    bool writable, closed;
    int error;
    char peer[ADDRESS_TEXT], local[ADDRESS_TEXT];
    uint8_t kept[KEEP]; /* the first bytes used up */
};

/* How the fake front behaves. */
struct fake {
    struct transport *t;
    struct seen *seen;
    unsigned accepted;
    int tag;
    bool refuse;
    bool pause_on_data;
    size_t frame; /* data() uses up multiples of it; 0: nothing */
    bool lend;    /* epochs are not given back by itself */
    uint64_t epoch;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct fake *f = owner;
    f->tag = tag;
    if (f->refuse)
        return NULL;
    struct seen *s = &f->seen[f->accepted++ % STREAMS];
    memset(s, 0, offsetof(struct seen, kept));
    s->stream = stream;
    snprintf(s->peer, sizeof s->peer, "%s", peer);
    snprintf(s->local, sizeof s->local, "%s", local);
    return s;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct fake *f = owner;
    struct seen *s = user;
    s->upcalls++;
    s->offered = bytes.len;
    f->epoch = epoch;
    if (f->pause_on_data)
        f->t->ops->pause(f->t, s->stream);
    size_t used = f->frame ? bytes.len - bytes.len % f->frame : 0;
    for (size_t i = 0; i < used && s->bytes + i < KEEP; i++)
        s->kept[s->bytes + i] = bytes.at[i];
    s->bytes += used;
    return used;
}

static void on_writable(void *owner, void *user)
{
    (void)owner;
    ((struct seen *)user)->writable = true;
}

static void on_closed(void *owner, void *user, int error)
{
    (void)owner;
    struct seen *s = user;
    cr_assert(!s->closed);
    s->closed = true;
    s->error = error;
}

static struct fake *fake_new(uint32_t streams_max)
{
    struct fake *f = calloc(1, sizeof *f);
    f->seen = calloc(STREAMS, sizeof *f->seen);
    f->frame = 1;
    char error[256];
    const struct transport_uring_options options = {
        .agent = "front 0", .streams_max = streams_max, .linger_ms = 300};
    const struct transport_user up = {f, on_accepted, on_data, on_writable, on_closed};
    f->t = transport_uring_new(&options, up, error, sizeof error);
    cr_assert(f->t, "%s", error);
    return f;
}

static void fake_free(struct fake *f)
{
    f->t->ops->free(f->t);
    free(f->seen);
    free(f);
}

/* One turn as the broker's thread makes it. */
static unsigned turn(struct fake *f, int wait_ms)
{
    unsigned work = f->t->ops->poll(f->t, clock_ns());
    if (!f->lend && f->epoch)
        f->t->ops->rx_release(f->t, f->epoch);
    if (!work) {
        struct pollfd wait = {.fd = f->t->ops->wait_fd(f->t), .events = POLLIN};
        poll(&wait, 1, wait_ms);
    }
    return work;
}

#define UNTIL(f, condition)                                                                                  \
    do {                                                                                                     \
        uint64_t until_ns = clock_ns() + 10000000000ull;                                                     \
        while (!(condition) && clock_ns() < until_ns)                                                        \
            turn(f, 20);                                                                                     \
        cr_assert(condition);                                                                                \
    } while (0)

static void turn_for(struct fake *f, unsigned ms)
{
    uint64_t end_ns = clock_ns() + ms * 1000000ull;
    while (clock_ns() < end_ns)
        turn(f, 5);
}

static uint16_t listen_on(struct fake *f, const char *address, int tag)
{
    char error[256] = "";
    uint16_t port = 0;
    cr_assert_eq(f->t->ops->listen(f->t, address, tag, &port, error, sizeof error), 0, "%s", error);
    cr_assert_neq(port, 0);
    return port;
}

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0, "%s", strerror(errno));
    return fd;
}

static void put(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Sends n bytes without waiting for the other side; returns how many went. */
static size_t put_some(int fd, size_t n)
{
    static uint8_t block[64 * 1024];
    size_t done = 0;
    while (done < n) {
        size_t part = n - done < sizeof block ? n - done : sizeof block;
        ssize_t sent = send(fd, block, part, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            break;
        done += (size_t)sent;
    }
    return done;
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 ^ i >> 8 ^ i >> 16);
}

Test(transport_uring, carries_bytes_both_ways_and_ends)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 7);
    int fd = dial(port);
    put(fd, "hello", 5);
    UNTIL(f, f->accepted == 1 && f->seen->bytes == 5);
    cr_assert_arr_eq(f->seen->kept, "hello", 5);
    cr_assert_eq(f->tag, 7);
    cr_assert_eq(strncmp(f->seen->peer, "127.0.0.1:", 10), 0);
    char local[ADDRESS_TEXT];
    snprintf(local, sizeof local, "127.0.0.1:%u", port);
    cr_assert_str_eq(f->seen->local, local);

    struct iovec iov[2] = {{"wor", 3}, {"ld", 2}};
    cr_assert_eq(f->t->ops->send(f->t, f->seen->stream, iov, 2), 5);
    cr_assert_eq(f->t->ops->released(f->t, f->seen->stream), 5);
    char back[8];
    cr_assert_eq(recv(fd, back, sizeof back, MSG_WAITALL | MSG_DONTWAIT), 5);
    cr_assert_arr_eq(back, "world", 5);

    put(fd, "bye", 3);
    close(fd);
    UNTIL(f, f->seen->closed);
    cr_assert_eq(f->seen->bytes, 8);
    cr_assert_eq(f->seen->error, 0);
    fake_free(f);
}

Test(transport_uring, whoever_sleeps_on_the_descriptor_is_woken)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    struct pollfd wait = {.fd = f->t->ops->wait_fd(f->t), .events = POLLIN};
    turn_for(f, 10);
    pid_t child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        int fd = -1;
        for (unsigned i = 0; i < 5; i++) {
            usleep(100000);
            if (i == 0)
                fd = dial(port);
            else
                put(fd, "x", 1);
        }
        usleep(100000);
        _exit(0);
    }
    for (unsigned i = 0; i < 6; i++) { /* accept, four bytes, the end */
        uint64_t from_ns = clock_ns();
        cr_assert_eq(poll(&wait, 1, 2000), 1);
        cr_assert(clock_ns() - from_ns < 1000000000ull, "woken %u only when time was up", i);
        while (f->t->ops->poll(f->t, clock_ns()))
            ;
    }
    cr_assert(f->seen->closed);
    cr_assert_eq(f->seen->bytes, 4);
    waitpid(child, NULL, 0);
    fake_free(f);
}

Test(transport_uring, a_rest_comes_again_in_one_piece)
{
    struct fake *f = fake_new(10);
    f->frame = 10;
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int a = dial(port), b = dial(port);
    UNTIL(f, f->accepted == 2);
    put(a, "0123456789abc", 13);
    UNTIL(f, f->seen[0].bytes == 10);
    cr_assert_eq(f->seen[0].offered, 13);
    put(b, "xyz", 3); /* goes where the rest was */
    UNTIL(f, f->seen[1].upcalls == 1);
    put(a, "defghij", 7);
    UNTIL(f, f->seen[0].bytes == 20);
    cr_assert_eq(f->seen[0].offered, 10);
    cr_assert_arr_eq(f->seen[0].kept, "0123456789abcdefghij", 20);
    put(b, "XYZXYZX", 7);
    UNTIL(f, f->seen[1].bytes == 10);
    cr_assert_arr_eq(f->seen[1].kept, "xyzXYZXYZX", 10);
    close(a);
    close(b);
    UNTIL(f, f->seen[0].closed && f->seen[1].closed);
    fake_free(f);
}

Test(transport_uring, a_paused_stream_is_left_alone_until_resumed)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    f->frame = 0;
    f->pause_on_data = true;
    put(fd, "first", 5);
    UNTIL(f, f->seen->upcalls == 1);
    put(fd, "second", 6);
    turn_for(f, 50);
    cr_assert_eq(f->seen->upcalls, 1);

    f->frame = 1;
    f->pause_on_data = false;
    f->t->ops->resume(f->t, f->seen->stream);
    struct pollfd wait = {.fd = f->t->ops->wait_fd(f->t), .events = POLLIN};
    cr_assert_eq(poll(&wait, 1, 1000), 1, "resume() must wake the thread");
    UNTIL(f, f->seen->bytes == 11);
    cr_assert_arr_eq(f->seen->kept, "firstsecond", 11);
    close(fd);
    UNTIL(f, f->seen->closed);
    fake_free(f);
}

Test(transport_uring, reading_waits_for_receive_chunks_to_be_given_back)
{
    struct fake *f = fake_new(10);
    f->lend = true;
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    const size_t all = (size_t)RX_CHUNKS * RX_CHUNK_BYTES + 8 * MIB;
    size_t sent = 0, before = 1;
    uint64_t still_ns = clock_ns();
    while (clock_ns() - still_ns < 200000000ull) {
        sent += put_some(fd, all - sent);
        turn(f, 1);
        if (f->seen->bytes != before)
            still_ns = clock_ns();
        before = f->seen->bytes;
    }
    cr_assert(f->seen->bytes <= (size_t)RX_CHUNKS * RX_CHUNK_BYTES);
    cr_assert(f->seen->bytes > (size_t)(RX_CHUNKS - 1) * (RX_CHUNK_BYTES - RX_READ_MAX));
    cr_assert_eq(f->t->ops->poll(f->t, clock_ns()), 0, "it must sleep, not spin");
    struct pollfd wait = {.fd = f->t->ops->wait_fd(f->t), .events = POLLIN};
    f->t->ops->rx_release(f->t, f->epoch - 2);
    cr_assert_eq(poll(&wait, 1, 1000), 1, "rx_release() must wake the thread");
    f->lend = false;
    uint64_t end_ns = clock_ns() + 10000000000ull;
    while (f->seen->bytes < all && clock_ns() < end_ns) {
        sent += put_some(fd, all - sent);
        turn(f, 1);
    }
    cr_assert_eq(f->seen->bytes, all);
    close(fd);
    UNTIL(f, f->seen->closed);
    fake_free(f);
}

Test(transport_uring, a_slow_reader_gets_all_in_order)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    UNTIL(f, f->accepted == 1);
    const size_t all = 24 * MIB;
    uint8_t *out = malloc(all), *in = malloc(all);
    for (size_t i = 0; i < all; i++)
        out[i] = pattern(i);
    size_t sent = 0, got = 0;
    bool was_short = false;
    uint64_t end_ns = clock_ns() + 20000000000ull;
    f->seen->writable = true;
    while (got < all && clock_ns() < end_ns) {
        if (f->seen->writable && sent < all) {
            struct iovec iov[3000];
            int n = 0;
            for (size_t at = sent; at < all && n < 3000; n++, at += 1000)
                iov[n] = (struct iovec){out + at, all - at < 1000 ? all - at : 1000};
            size_t asked = n == 3000 ? 3000 * 1000 : all - sent;
            size_t taken = f->t->ops->send(f->t, f->seen->stream, iov, n);
            f->seen->writable = taken == asked;
            was_short |= taken < asked;
            sent += taken;
        }
        ssize_t n = recv(fd, in + got, all - got < 300000 ? all - got : 300000, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        turn(f, n > 0 ? 0 : 5);
    }
    cr_assert(was_short);
    cr_assert_eq(got, all);
    cr_assert_eq(memcmp(in, out, all), 0);
    cr_assert_eq(f->t->ops->released(f->t, f->seen->stream), all);
    free(out);
    free(in);
    close(fd);
    fake_free(f);
}

Test(transport_uring, close_delivers_what_was_sent_although_input_was_not_read)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    UNTIL(f, f->accepted == 1);
    put_some(fd, 500000);
    f->t->ops->pause(f->t, f->seen->stream);
    f->t->ops->send(f->t, f->seen->stream, &(struct iovec){"the end", 7}, 1);
    f->t->ops->close(f->t, f->seen->stream);
    turn_for(f, 50);
    put_some(fd, 1000);
    cr_assert(!f->seen->closed, "the peer has not closed its side yet");
    char back[16];
    cr_assert_eq(recv(fd, back, sizeof back, MSG_WAITALL), 7);
    close(fd);
    UNTIL(f, f->seen->closed);
    cr_assert_eq(f->seen->error, 0);
    cr_assert_eq(f->seen->bytes, 0, "no data after close()");
    fake_free(f);
}

Test(transport_uring, close_does_not_wait_for_a_deaf_peer_for_ever)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    UNTIL(f, f->accepted == 1);
    f->t->ops->close(f->t, f->seen->stream);
    uint64_t from_ns = clock_ns();
    UNTIL(f, f->seen->closed);
    cr_assert_eq(f->seen->error, ETIMEDOUT);
    uint64_t took_ns = clock_ns() - from_ns;
    cr_assert(took_ns > 250000000ull && took_ns < 2000000000ull);
    close(fd);
    fake_free(f);
}

Test(transport_uring, abort_resets_and_says_nothing)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    UNTIL(f, f->accepted == 1);
    f->t->ops->abort(f->t, f->seen->stream);
    turn_for(f, 20);
    char back[4];
    cr_assert_eq(recv(fd, back, sizeof back, 0), -1);
    cr_assert_eq(errno, ECONNRESET);
    cr_assert(!f->seen->closed);
    cr_assert_eq(f->t->ops->send(f->t, f->seen->stream, &(struct iovec){"x", 1}, 1), 0);
    close(fd);
    fake_free(f);
}

/* unread: input has been reported, and nobody may read it. */
static void reset_paused(bool unread)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int fd = dial(port);
    UNTIL(f, f->accepted == 1);
    f->t->ops->pause(f->t, f->seen->stream);
    if (unread)
        put(fd, "x", 1);
    turn_for(f, 20);
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    UNTIL(f, f->seen->closed);
    cr_assert_eq(f->seen->error, ECONNRESET);
    cr_assert_eq(f->seen->upcalls, 0);
    fake_free(f);
}

Test(transport_uring, a_reset_ends_even_a_paused_stream)
{
    reset_paused(false);
    reset_paused(true);
}

Test(transport_uring, refuses_what_the_front_or_the_bound_refuses)
{
    struct fake *f = fake_new(2);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int a = dial(port), b = dial(port), c = dial(port);
    UNTIL(f, f->accepted == 2);
    char back[4];
    turn_for(f, 20);
    cr_assert(recv(c, back, sizeof back, 0) <= 0);
    close(a);
    UNTIL(f, f->seen[0].closed || f->seen[1].closed);
    turn_for(f, 20);
    f->refuse = true;
    int d = dial(port);
    turn_for(f, 20);
    cr_assert(recv(d, back, sizeof back, 0) <= 0);
    cr_assert_eq(f->accepted, 2);
    close(b);
    close(c);
    close(d);
    fake_free(f);
}

Test(transport_uring, a_flood_does_not_keep_others_from_their_turn)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int flood = dial(port), quiet = dial(port);
    UNTIL(f, f->accepted == 2);
    put_some(flood, 16 * MIB);
    turn(f, 0);
    size_t before = f->seen[0].bytes;
    put(quiet, "ping", 4);
    unsigned turns = 0;
    for (; f->seen[1].bytes < 4 && turns < 10; turns++) {
        put_some(flood, 16 * MIB);
        turn(f, 0);
    }
    cr_assert(turns <= 2, "%u turns", turns);
    cr_assert(f->seen[0].bytes - before <= (turns + 1) * 4 * (size_t)RX_READ_MAX);
    close(flood);
    close(quiet);
    fake_free(f);
}

Test(transport_uring, says_why_it_cannot_listen)
{
    struct fake *f = fake_new(10);
    char error[256], address[ADDRESS_TEXT];
    uint16_t port = listen_on(f, "127.0.0.1:0", 0), other;
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    cr_assert_eq(f->t->ops->listen(f->t, address, 0, &other, error, sizeof error), -1);
    cr_assert(strstr(error, "another program"), "%s", error);
    static const char *const wrong[] = {"",
                                        "5672",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "1.2.3:1",
                                        "127.0.0.1:x",
                                        "127.0.0.1:1 ",
                                        "127.0.0.1:65536",
                                        "[::1]",
                                        "::1:5672",
                                        "[127.0.0.1]:1",
                                        "[::1:5672",
                                        "]:1",
                                        "[:1",
                                        ":1",
                                        "[]:1",
                                        "localhost:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        *error = '\0';
        cr_assert_eq(f->t->ops->listen(f->t, wrong[i], 0, &other, error, sizeof error), -1, "%s", wrong[i]);
        cr_assert_neq(*error, '\0');
    }
    fake_free(f);
}

Test(transport_uring, listens_on_ipv6_too)
{
    struct fake *f = fake_new(10);
    char error[256];
    uint16_t port;
    if (f->t->ops->listen(f->t, "[::1]:0", 0, &port, error, sizeof error) < 0)
        cr_skip_test("no IPv6 here");
    struct sockaddr_in6 to = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    UNTIL(f, f->accepted == 1);
    cr_assert_eq(strncmp(f->seen->peer, "[::1]:", 6), 0);
    close(fd);
    fake_free(f);
}

Test(transport_uring, running_out_of_descriptors_neither_spins_nor_lasts)
{
    /* The ring remembers the limit of the time at which it is asked to accept. */
    struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct fake *f = fake_new(100);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    int first = dial(port);
    UNTIL(f, f->accepted == 1);
    int last = -1, fd;
    while ((fd = dup(first)) >= 0)
        last = fd;
    close(last);
    int second = dial(port);
    unsigned work = 0;
    for (uint64_t end_ns = clock_ns() + 350000000ull; clock_ns() < end_ns;)
        work += turn(f, 50);
    cr_assert_eq(f->accepted, 1);
    cr_assert(work < 30, "%u pieces of work in 350 ms", work);
    close(first); /* its duplicates keep it connected */
    UNTIL(f, f->accepted == 2);
    close(second);
    UNTIL(f, f->seen[1].closed);
    fake_free(f);
}

Test(transport_uring, ids_are_never_reused_and_stop_listening_stops)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    uint64_t ids[300];
    for (unsigned i = 0; i < 300; i++) {
        int fd = dial(port);
        put(fd, "x", 1);
        UNTIL(f, f->accepted == i + 1);
        ids[i] = f->seen[i % STREAMS].stream;
        for (unsigned j = 0; j < i; j++)
            cr_assert_neq(ids[i], ids[j]);
        close(fd);
        UNTIL(f, f->seen[i % STREAMS].closed);
    }
    f->t->ops->stop_listening(f->t);
    turn_for(f, 20);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    cr_assert_eq(errno, ECONNREFUSED);
    close(fd);
    fake_free(f);
}
