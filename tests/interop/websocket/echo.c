/*
 * A server that sends back what it gets, over WebSocket on kernel sockets, plain and, with a certificate,
 * over TLS:
 *
 *     ws-echo [CERTIFICATE KEY]
 *
 * says "any PORT" and "binary PORT" (and then "any_tls PORT", "binary_tls PORT"), and ends when its standard
 * input does, with a close frame to everybody.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/slots.h"
#include "transport/output.h"
#include "transport/transport_tls.h"
#include "transport/transport_uring.h"
#include "transport/transport_ws.h"

enum { BINARY, ANY, TAGS, SERVERS_MAX = 2 };

struct server {
    struct transport *t;
    struct output_pool pool;
    struct slots clients;
    unsigned count;
    uint64_t epoch;
};

struct client {
    struct server *server;
    uint64_t stream, id;
    struct output out;
    bool paused, closing;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct server *server = owner;
    struct client *client = calloc(1, sizeof *client);
    (void)tag, (void)peer, (void)local;
    CHECK(client);
    client->server = server;
    client->stream = stream;
    client->id = slots_add(&server->clients, client);
    server->count++;
    return client;
}

static void send_back(struct client *client)
{
    struct server *server = client->server;
    const struct transport_ops *ops = server->t->ops;
    while (client->out.unsent) {
        struct iovec iov[OUTPUT_IOVS];
        int n = output_next(&client->out, iov);
        size_t took = ops->send(server->t, client->stream, iov, n);
        output_taken(&client->out, took);
        if (took == 0)
            break;
    }
    output_released(&client->out, &server->pool, ops->released(server->t, client->stream), NULL, NULL);
    bool full = output_held(&client->out) > MIB;
    if (full != client->paused)
        (full ? ops->pause : ops->resume)(server->t, client->stream);
    client->paused = full;
}

static size_t on_data(void *owner, void *user, struct span bytes, uint64_t epoch)
{
    struct server *server = owner;
    struct client *client = user;
    size_t n = bytes.len < OUTPUT_CHUNK_BYTES ? bytes.len : OUTPUT_CHUNK_BYTES;
    server->epoch = epoch;
    put_span(output_reserve(&client->out, &server->pool, n), span_of(bytes.at, n));
    output_commit(&client->out, n);
    send_back(client);
    if (n < bytes.len && !client->paused)
        server->t->ops->resume(server->t, client->stream); /* what is left comes again */
    return n;
}

static void on_writable(void *owner, void *user)
{
    (void)owner;
    send_back(user);
}

static void on_closed(void *owner, void *user, int error)
{
    struct server *server = owner;
    struct client *client = user;
    (void)error;
    slots_remove(&server->clients, client->id);
    server->count--;
    output_free(&client->out, &server->pool, NULL, NULL); /* sockets have copied it */
    free(client);
}

static const char *const mqtt[] = {"mqtt", NULL}, *const stomp[] = {"v12.stomp", "v11.stomp", NULL};
static const struct ws_speech speech[TAGS] = {
    [BINARY] = {.protocols = mqtt, .required = true, .binary = true}, [ANY] = {.protocols = stomp}};

static struct transport *new_below(struct transport_user up, struct tls_context *context)
{
    char error[256];
    const struct transport_uring_options sockets = {.agent = "echo", .streams_max = 1000};
    if (!context) {
        struct transport *plain = transport_uring_new(&sockets, up, error, sizeof error);
        CHECK(plain);
        return plain;
    }
    const struct transport_tls_options options = {
        .context = context, .agent = "echo", .handshakes_max = 100, .handshake_ms = 5000};
    struct transport *tls = transport_tls_new(&options, up);
    transport_tls_wrap(tls, new_below(transport_tls_user(tls), NULL));
    return tls;
}

static void start(struct server *server, struct tls_context *context)
{
    static const char *const names[] = {[BINARY] = "binary", [ANY] = "any"};
    const struct transport_ws_options options = {.agent = "echo",
                                                 .speech = speech,
                                                 .speeches = TAGS,
                                                 .message_max = 4 * MIB,
                                                 .handshakes_max = 100,
                                                 .handshake_ms = 1000};
    server->pool.most = OUTPUT_POOL_CHUNKS;
    server->t = transport_ws_new(&options, (struct transport_user){.owner = server,
                                                                   .accepted = on_accepted,
                                                                   .data = on_data,
                                                                   .writable = on_writable,
                                                                   .closed = on_closed});
    transport_ws_wrap(server->t, new_below(transport_ws_user(server->t), context));
    for (int tag = 0; tag < TAGS; tag++) {
        uint16_t port;
        char error[256];
        CHECK(server->t->ops->listen(server->t, "127.0.0.1:0", tag, &port, error, sizeof error) == 0);
        printf("%s%s %u\n", names[tag], context ? "_tls" : "", port);
    }
    fflush(stdout);
}

static unsigned turn(struct server *server)
{
    unsigned work = server->t->ops->poll(server->t, clock_ns());
    server->t->ops->flush(server->t);
    server->t->ops->rx_release(server->t, server->epoch);
    return work;
}

static void say_farewell(struct server *server)
{
    server->t->ops->stop_listening(server->t);
    for (uint32_t i = 0; i < server->clients.count; i++) {
        struct client *client = server->clients.slot[i].thing;
        if (client)
            server->t->ops->close(server->t, client->stream);
    }
}

static void run(struct server *servers, unsigned n)
{
    struct pollfd fds[1 + SERVERS_MAX] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    bool ending = false;
    unsigned left = n, idle = 0;
    for (unsigned i = 0; i < n; i++)
        fds[1 + i] = (struct pollfd){.fd = servers[i].t->ops->wait_fd(servers[i].t), .events = POLLIN};
    while (!ending || left) {
        unsigned work = left = 0;
        for (unsigned i = 0; i < n; i++) {
            work += turn(&servers[i]);
            left += servers[i].count;
        }
        idle = work ? 0 : idle + 1;
        poll(fds, 1 + n, idle > 2 ? 10 : 0);
        if (!ending && fds[0].revents) {
            ending = true;
            fds[0].fd = -1;
            for (unsigned i = 0; i < n; i++)
                say_farewell(&servers[i]);
        }
    }
}

int main(int words, char **word)
{
    static struct server servers[SERVERS_MAX];
    static const char *const versions[] = {"1.2", "1.3"};
    char error[256];
    unsigned n = 1;
    struct tls_context *context = NULL;
    start(&servers[0], NULL);
    if (words == 3) {
        const struct tls_settings settings = {.certificate = word[1],
                                              .key = word[2],
                                              .ca = "",
                                              .verify = "none",
                                              .versions = versions,
                                              .version_count = 2,
                                              .ciphers = ""};
        context = tls_context_new(&settings, NULL, error, sizeof error);
        CHECK(context);
        start(&servers[n++], context);
    }
    run(servers, n);
    for (unsigned i = 0; i < n; i++) {
        servers[i].t->ops->free(servers[i].t);
        slots_free(&servers[i].clients);
        output_pool_free(&servers[i].pool);
    }
    tls_context_free(context);
    return 0;
}
