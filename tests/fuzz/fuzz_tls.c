/*
 * What peers send to TLS's server side: raw bytes before, in and behind a handshake, records that are changed
 * on their way, key updates, ends of every kind, any server's name; while the front pauses, resumes, sends,
 * closes and aborts, and gets other certificates.
 *
 * The input is a script: three bytes of set-up, then steps of a byte and what it needs.
 */
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "tls_client.h"
#include "transport/tls_names.h"
#include "transport/transport_sim.h"
#include "transport/transport_tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 300 };

struct play {
    struct span script;
    struct sim_network *network;
    struct transport *t;
    struct tls_client *client;
    uint64_t now_ns, id, stream, epoch;
    bool accepted, paused, gone;
    uint8_t greed; /* how much of what comes is used up, of 255 */
};

static uint8_t next(struct play *p)
{
    if (p->script.len == 0)
        return 0;
    uint8_t byte = *p->script.at;
    p->script = span_of(p->script.at + 1, p->script.len - 1);
    return byte;
}

static struct span bytes(struct play *p)
{
    size_t n = next(p);
    struct span taken = span_of(p->script.at, n < p->script.len ? n : p->script.len);
    p->script = span_of(p->script.at + taken.len, p->script.len - taken.len);
    return taken;
}

/* ---- the front ------------------------------------------------------------------------------------ */

static void *on_accepted(void *owner, uint64_t stream, int tag, const char *peer, const char *local)
{
    struct play *p = owner;
    (void)tag, (void)peer, (void)local;
    CHECK(!p->accepted);
    p->accepted = true;
    p->stream = stream;
    return p;
}

static size_t on_data(void *owner, void *user, struct span data, uint64_t epoch)
{
    struct play *p = owner;
    CHECK(user == p && !p->paused && !p->gone && data.len);
    p->epoch = epoch;
    volatile uint8_t sum = 0; /* every byte can be read */
    for (size_t i = 0; i < data.len; i++)
        sum = (uint8_t)(sum + data.at[i]);
    return data.len * p->greed / 255;
}

static void on_writable(void *owner, void *user)
{
    CHECK(owner == user && !((struct play *)owner)->gone);
}

static void on_closed(void *owner, void *user, int error)
{
    struct play *p = owner;
    (void)error;
    CHECK(user == p && !p->gone);
    p->gone = true;
}

static void front(struct play *p, uint8_t what)
{
    static uint8_t zeros[60000];
    const struct transport_ops *ops = p->t->ops;
    switch (what % 8) {
    case 0:
        p->paused = p->accepted;
        ops->pause(p->t, p->stream);
        break;
    case 1:
        p->paused = false;
        ops->resume(p->t, p->stream);
        break;
    case 2:
        ops->send(p->t, p->stream, &(struct iovec){zeros, next(p) * 200u}, 1);
        break;
    case 3:
        p->greed = next(p);
        break;
    case 4:
        ops->rx_release(p->t, p->epoch);
        break;
    case 5:
        ops->flush(p->t);
        break;
    case 6:
        ops->close(p->t, p->stream);
        break;
    default:
        ops->abort(p->t, p->stream);
        p->gone |= p->accepted;
    }
}

static struct tls_context *contexts[2];

/* ---- the client ----------------------------------------------------------------------------------- */

static long put(void *owner, const void *data, size_t n)
{
    struct play *p = owner;
    return (long)sim_write(p->network, p->id, span_of(data, n));
}

static long get(void *owner, void *to, size_t room)
{
    struct play *p = owner;
    return (long)sim_read(p->network, p->id, to, room);
}

static void turns(struct play *p, unsigned n)
{
    const struct tls_wire wire = {p, put, get};
    for (unsigned i = 0; i < n; i++) {
        p->now_ns += 1000000;
        p->t->ops->poll(p->t, p->now_ns);
        p->t->ops->flush(p->t);
        tls_client_move(p->client, &wire, 4000);
    }
}

static void client(struct play *p, uint8_t what)
{
    struct tls_client *c = p->client;
    struct span data = bytes(p);
    uint8_t place = next(p);
    switch (what % 4) {
    case 0:
        tls_client_write(c, data.at, data.len);
        return;
    case 1: /* a record is changed on its way */
        tls_client_write(c, data.at, data.len);
        if (c->unsent_len == 0) {
            int n = BIO_read(c->out, c->unsent, sizeof c->unsent);
            c->unsent_len = n > 0 ? (size_t)n : 0;
        }
        if (c->unsent_len)
            c->unsent[place % c->unsent_len] ^= what;
        return;
    case 2:
        if (c->done && SSL_version(c->ssl) == TLS1_3_VERSION)
            for (unsigned i = 0; i < place; i++, SSL_do_handshake(c->ssl))
                SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED);
        return;
    default:
        if (c->done)
            SSL_shutdown(c->ssl);
    }
}

static void step(struct play *p)
{
    uint8_t what = next(p), how = what >> 3;
    switch (what & 7) {
    case 0:
    case 1: {
        struct span raw = bytes(p);
        sim_write(p->network, p->id, raw);
        break;
    }
    case 2:
    case 3:
        client(p, how);
        break;
    case 4:
    case 5:
        front(p, how);
        break;
    case 6:
        turns(p, how * 8u);
        break;
    default:
        if (how > 3)
            transport_tls_offer(p->t, tls_context_share(contexts[how & 1]));
        if (how == 1)
            sim_close(p->network, p->id);
        if (how == 2)
            sim_reset(p->network, p->id);
        sim_deafen(p->network, p->id, how == 3);
    }
    turns(p, 2);
}

/* ---- one script ----------------------------------------------------------------------------------- */

static struct tls_files *files;

static void prepare(void)
{
    static const char *const versions[] = {"1.2", "1.3"};
    char error[256];
    files = tls_files_new();
    struct tls_names *names = tls_names_new("d", files->directory, error, sizeof error);
    CHECK(names);
    for (unsigned i = 0; i < 2; i++) {
        const struct tls_settings settings = {.certificate = files->certificate,
                                              .key = files->key,
                                              .ca = i ? files->client : "",
                                              .verify = i ? "required" : "none",
                                              .versions = versions,
                                              .version_count = 2,
                                              .ciphers = "",
                                              .names = names};
        contexts[i] = tls_context_new(&settings, NULL, error, sizeof error);
        CHECK(contexts[i]);
    }
    log_set_level(LOG_ERROR);
}

/* A name that there is a certificate for, or any. */
static void ask_for(struct play *p)
{
    char name[256] = "";
    struct span any = bytes(p);
    memcpy(name, any.at, any.len);
    SSL_set_tlsext_host_name(p->client->ssl, any.len == 1 ? "oTHer" : name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.script = span_of(data, size), .greed = 255};
    if (!files)
        prepare();
    struct sim_network_options options = sim_network_defaults(next(&p));
    options.piece_max = 1 + next(&p) * 16u;
    p.network = sim_network_new(&options);
    uint8_t how = next(&p);
    const struct transport_tls_options tls = {
        .context = contexts[how & 1], .agent = "front 0", .handshakes_max = 2, .handshake_ms = 1000};
    p.t = transport_tls_new(&tls, (struct transport_user){.owner = &p,
                                                          .accepted = on_accepted,
                                                          .data = on_data,
                                                          .writable = on_writable,
                                                          .closed = on_closed});
    transport_tls_wrap(p.t, transport_sim_new(p.network, transport_tls_user(p.t)));
    uint16_t port;
    char error[64];
    CHECK(p.t->ops->listen(p.t, "tls", 0, &port, error, sizeof error) == 0);
    p.client = tls_client_new(files->certificate, how & 2 ? TLS1_2_VERSION : TLS1_3_VERSION,
                              how & 4 ? files->client : NULL, files->client_key);
    if (how & 128)
        ask_for(&p);
    p.client->failed = how & 8; /* it doesn't begin: raw bytes only */
    p.id = sim_connect(p.network, "tls");
    for (unsigned i = 0; !(how & 8) && !p.client->done && i < (how >> 4) * 40u; i++)
        turns(&p, 1);
    for (unsigned i = 0; p.script.len && i < STEPS_MAX; i++)
        step(&p);
    p.t->ops->free(p.t);
    sim_network_free(p.network);
    tls_client_free(p.client);
    return 0;
}
