/* What the transport over kernel sockets carries, and how streams end. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "transport/rx.h"
#include "uring_front.h"

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
