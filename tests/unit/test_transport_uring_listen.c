/* Whom the transport over kernel sockets lets in, and how it listens. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uring_front.h"

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

/* Whether somebody who connects is let in. */
static bool is_open(struct fake *f, uint16_t port)
{
    unsigned before = f->accepted;
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool connected = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    if (connected)
        UNTIL(f, f->accepted == before + 1);
    else
        cr_assert_eq(errno, ECONNREFUSED);
    close(fd);
    return connected;
}

Test(transport_uring, a_listener_that_rests_refuses_and_listens_again)
{
    struct fake *f = fake_new(10);
    f->t->ops->rest(f->t, true); /* there is none yet */
    f->t->ops->rest(f->t, false);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    for (unsigned turns = 0; turns < 3; turns++) {
        cr_assert(is_open(f, port));
        f->t->ops->rest(f->t, true);
        f->t->ops->rest(f->t, true);
        cr_assert_not(is_open(f, port));
        turn_for(f, turns * 20); /* what was being accepted from ends, or does later */
        cr_assert_not(is_open(f, port));
        f->t->ops->rest(f->t, false);
    }
    f->t->ops->rest(f->t, true);
    f->t->ops->stop_listening(f->t);
    f->t->ops->rest(f->t, false);
    cr_assert_not(is_open(f, port));
    fake_free(f);
}

Test(transport_uring, a_port_that_was_taken_meanwhile_is_listened_on_when_it_is_free)
{
    struct fake *f = fake_new(10);
    uint16_t port = listen_on(f, "127.0.0.1:0", 0);
    cr_assert(is_open(f, port));
    f->t->ops->rest(f->t, true);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int other = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    cr_assert_eq(setsockopt(other, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    cr_assert_eq(bind(other, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(other, 1), 0);
    f->t->ops->rest(f->t, false);
    turn_for(f, 150);
    close(other);
    turn_for(f, 150);
    cr_assert(is_open(f, port));
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
