#include "tls_site.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 ^ i >> 8 ^ i >> 16);
}

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct site *s = owner;
    cr_assert_eq(tag, 3);
    cr_assert(!s->network || strcmp(local, "broker:5671") == 0);
    cr_assert_eq(strncmp(peer, "127.0.0.1:", 10), 0);
    s->accepted++;
    s->stream = stream;
    return s->refuse ? NULL : s;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct site *s = owner;
    cr_assert_eq(user, s);
    cr_assert(!s->closed && !s->paused, "data for a stream that is closed or paused");
    s->epoch = epoch;
    s->offered = bytes.len;
    size_t used = s->take_none ? 0 : s->take_all ? bytes.len : prng_below(&s->prng, bytes.len + 1);
    for (size_t i = 0; i < used; i++)
        if (bytes.at[i] != pattern(s->received + i))
            cr_assert_fail("byte %zu is wrong", s->received + i);
    s->received += used;
    if (s->keep_paused || (!s->take_all && !s->take_none && prng_below(&s->prng, 4) == 0)) {
        s->paused = true;
        s->t->ops->pause(s->t, s->stream);
    }
    return used;
}

static void on_writable(void *owner, void *user)
{
    struct site *s = user;
    (void)owner;
    s->wants = true;
}

static void on_closed(void *owner, void *user, int error)
{
    struct site *s = owner;
    cr_assert_eq(user, s);
    cr_assert(!s->closed);
    s->closed = true;
    s->error = error;
}

/* Without a transport below. */
static struct site *new_tls(const struct tls_files *files, const char *verify)
{
    static const char *const versions[] = {"1.2", "1.3"};
    struct site *s = calloc(1, sizeof *s);
    char error[256];
    const struct tls_settings settings = {.certificate = files->certificate,
                                          .key = files->key,
                                          .ca = strcmp(verify, "none") ? files->client : "",
                                          .verify = verify,
                                          .versions = versions,
                                          .version_count = 2,
                                          .ciphers = ""};
    s->context = tls_context_new(&settings, NULL, error, sizeof error);
    cr_assert(s->context, "%s", error);
    const struct transport_tls_options tls = {
        .context = s->context, .agent = "front 0", .handshakes_max = 4, .handshake_ms = HANDSHAKE_MS};
    s->t = transport_tls_new(&tls, (struct transport_user){.owner = s,
                                                           .accepted = on_accepted,
                                                           .data = on_data,
                                                           .writable = on_writable,
                                                           .closed = on_closed});
    s->wants = true;
    s->fd = -1;
    return s;
}

static void listen_on(struct site *s, struct transport *below, const char *address)
{
    char error[256] = "";
    transport_tls_wrap(s->t, below);
    cr_assert_eq(s->t->ops->listen(s->t, address, 3, &s->port, error, sizeof error), 0, "%s", error);
}

struct site *site_new(const struct tls_files *files, uint64_t seed, uint32_t piece_max, const char *verify)
{
    struct site *s = new_tls(files, verify);
    struct sim_network_options options = sim_network_defaults(seed);
    options.piece_max = piece_max;
    s->network = sim_network_new(&options);
    listen_on(s, transport_sim_new(s->network, transport_tls_user(s->t)), "broker:5671");
    prng_seed(&s->prng, seed + 1);
    return s;
}

struct site *site_new_sockets(const struct tls_files *files)
{
    struct site *s = new_tls(files, "none");
    char error[256] = "";
    const struct transport_uring_options options = {.agent = "front 0", .streams_max = 10, .linger_ms = 300};
    struct transport *below = transport_uring_new(&options, transport_tls_user(s->t), error, sizeof error);
    cr_assert(below, "%s", error);
    listen_on(s, below, "127.0.0.1:0");
    prng_seed(&s->prng, 1);
    return s;
}

void site_free(struct site *s)
{
    s->t->ops->free(s->t);
    if (s->network)
        sim_network_free(s->network);
    if (s->fd >= 0)
        close(s->fd);
    tls_context_free(s->context);
    free(s);
}

/* What is sent stays where it is until it is released: nowhere, as TLS copies. */
static void send_some(struct site *s)
{
    uint8_t bytes[3][30000];
    struct iovec iov[3];
    size_t offered = 0;
    for (int i = 0; i < 3; i++) {
        size_t left = s->to_send - s->sent - offered,
               n = prng_below(&s->prng, prng_below(&s->prng, 2) ? 30001 : 20);
        n = n < left ? n : left;
        for (size_t j = 0; j < n; j++)
            bytes[i][j] = pattern(s->sent + offered + j);
        iov[i] = (struct iovec){bytes[i], n};
        offered += n;
    }
    size_t took = s->t->ops->send(s->t, s->stream, iov, 3);
    cr_assert_leq(took, offered);
    s->sent += took;
    s->wants = took == offered;
    cr_assert_eq(s->t->ops->released(s->t, s->stream), s->sent);
    memset(bytes, 0xee, sizeof bytes);
}

void site_turn(struct site *s)
{
    s->now_ns += s->network ? MS : MS / 100;
    if (!s->lend && s->epoch)
        s->t->ops->rx_release(s->t, s->epoch);
    if (s->accepted && !s->closed && !s->keep_paused && !s->take_none && prng_below(&s->prng, 3) == 0) {
        s->paused = false;
        s->t->ops->resume(s->t, s->stream);
    }
    s->t->ops->poll(s->t, s->now_ns);
    if (s->accepted && !s->closed && s->sent < s->to_send && s->wants)
        send_some(s);
    s->t->ops->flush(s->t);
}

/* ---- the client's side ---------------------------------------------------------------------------- */

static long put(void *owner, const void *bytes, size_t n)
{
    struct site *s = owner;
    if (!s->network)
        return send(s->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return (long)sim_write(s->network, s->client_id, span_of(bytes, n));
}

static long get(void *owner, void *to, size_t room)
{
    struct site *s = owner;
    if (!s->network)
        return recv(s->fd, to, room, MSG_DONTWAIT);
    return (long)sim_read(s->network, s->client_id, to, room);
}

void site_both(struct site *s, struct tls_client *c, size_t most)
{
    site_turn(s);
    tls_client_move(c, &(struct tls_wire){s, put, get}, most);
}

void site_dial(struct site *s)
{
    if (s->network) {
        s->client_id = sim_connect(s->network, "broker:5671");
        return;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(s->fd, (struct sockaddr *)&to, sizeof to), 0);
}

void site_shake(struct site *s, struct tls_client *c, size_t most)
{
    unsigned before = s->accepted;
    site_dial(s);
    UNTIL(s, c, most, c->done && s->accepted == before + 1);
}

size_t site_take(struct tls_client *c, size_t have)
{
    uint8_t bytes[7000];
    for (size_t n; (n = tls_client_read(c, bytes, sizeof bytes));) {
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(bytes[i], pattern(have + i));
        have += n;
    }
    return have;
}

size_t site_give(struct tls_client *c, size_t sent, size_t most)
{
    uint8_t bytes[20000];
    size_t n = most - sent < sizeof bytes ? most - sent : sizeof bytes;
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern(sent + i);
    return n ? sent + tls_client_write(c, bytes, n) : sent;
}
