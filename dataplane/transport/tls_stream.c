/* The happy path of a stream: tls_shake, piece by piece → accepted() → tls_pump: records become chunks,
 * data() → tls_encrypt: what is sent becomes records → tls_drain → close_notify, either way → tls_close. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/stats.h"
#include "transport/tls_inside.h"

enum { RECORD_HANDSHAKE = 22, /* the first byte of every TLS stream (RFC 8446, section 5.1) */ SHOWN = 16 };

/* ---- OpenSSL's two ends --------------------------------------------------------------------------- */

/* It reads what the transport below has handed up, where it lies. */
static int bio_read(BIO *bio, char *to, size_t room, size_t *got)
{
    struct tls_stream *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (s->in.len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *got = room < s->in.len ? room : s->in.len;
    memcpy(to, s->in.at, *got);
    s->in = span_of(s->in.at + *got, s->in.len - *got);
    return 1;
}

/* It is never refused anything: whoever makes it write looks at how much is on its way first. */
static int bio_write(BIO *bio, const char *from, size_t n, size_t *put)
{
    struct tls_stream *s = BIO_get_data(bio);
    *put = n < OUTPUT_CHUNK_BYTES ? n : OUTPUT_CHUNK_BYTES;
    memcpy(output_reserve(&s->out, &s->tls->pool, *put), from, *put);
    output_commit(&s->out, *put);
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

struct bio_method_st *tls_bio_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "gannet");
    CHECK(method && BIO_meth_set_read_ex(method, bio_read) && BIO_meth_set_write_ex(method, bio_write) &&
          BIO_meth_set_ctrl(method, bio_control));
    return method;
}

void tls_bio_free(struct bio_method_st *method)
{
    BIO_meth_free(method);
}

/* ---- making and ending one ------------------------------------------------------------------------ */

struct tls_stream *tls_stream_new(struct tls *t, uint64_t below, int tag, const char *peer, const char *local)
{
    struct tls_stream *s = calloc(1, sizeof *s);
    CHECK(s);
    s->tls = t;
    s->id = slots_add(&t->streams, s);
    s->below = below;
    s->tag = tag;
    snprintf(s->peer, sizeof s->peer, "%s", peer);
    snprintf(s->local, sizeof s->local, "%s", local);
    s->deadline_ns = t->now_ns + t->options.handshake_ms * 1000000ull;
    TAILQ_INSERT_TAIL(&t->shaking, s, time);
    t->shaking_count++;
    return s;
}

static void count(uint64_t *counter)
{
    if (counter)
        stat_add(counter, 1);
}

/* Leaves the state it is in. */
static void become(struct tls_stream *s, enum tls_state state)
{
    struct tls *t = s->tls;
    if (s->state == TLS_SHAKING) {
        TAILQ_REMOVE(&t->shaking, s, time);
        t->shaking_count--;
        if (state != TLS_OPEN && (s->ssl || s->in.len))
            count(t->options.count.failed);
    } else if (s->state == TLS_CLOSING && !s->below_closed) {
        TAILQ_REMOVE(&t->closing, s, time);
    }
    s->state = (uint8_t)state;
    if (state == TLS_CLOSING) {
        s->deadline_ns = t->now_ns + t->linger_ns;
        TAILQ_INSERT_TAIL(&t->closing, s, time);
    }
}

static void leave_lists(struct tls_stream *s)
{
    struct tls *t = s->tls;
    if (s->listed) {
        TAILQ_REMOVE(&t->ready, s, ready);
        t->ready_count--;
    }
    if (s->dirty)
        TAILQ_REMOVE(&t->unsent, s, unsent);
    if (s->lagging)
        TAILQ_REMOVE(&t->lagging, s, lag);
    s->listed = s->dirty = s->lagging = false;
}

void tls_stream_bury(struct tls_stream *s)
{
    struct tls *t = s->tls;
    become(s, TLS_GONE);
    leave_lists(s);
    rx_forget(&t->rx, &s->rest);
    slots_remove(&t->streams, s->id);
    TAILQ_INSERT_TAIL(&t->dead, s, time);
}

void tls_reap(struct tls *t)
{
    for (struct tls_stream *s; (s = TAILQ_FIRST(&t->dead));) {
        TAILQ_REMOVE(&t->dead, s, time);
        SSL_free(s->ssl);
        tls_context_free(s->context);
        output_free(&s->out, &t->pool, NULL, NULL);
        free(s);
    }
}

void tls_list(struct tls_stream *s)
{
    if (s->listed)
        return;
    TAILQ_INSERT_TAIL(&s->tls->ready, s, ready);
    s->tls->ready_count++;
    s->listed = true;
}

void tls_rest(struct tls_stream *s)
{
    if (s->ssl && s->state != TLS_GONE)
        SSL_free_buffers(s->ssl);
}

/* ---- errors --------------------------------------------------------------------------------------- */

static const char *reason(const struct tls_stream *s)
{
    long verified = SSL_get_verify_result(s->ssl);
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    if (verified != X509_V_OK)
        return X509_verify_cert_error_string(verified);
    return text ? text : "no reason is known";
}

/* What a plain client says is shown, as it tells which one it is. */
static void complain_plain(const struct tls_stream *s)
{
    char shown[SHOWN + 1] = "";
    for (size_t i = 0; i < s->in.len && i < SHOWN; i++)
        shown[i] = s->in.at[i] < ' ' || s->in.at[i] > '~' ? '.' : (char)s->in.at[i];
    log_line(LOG_INFO, s->tls->options.agent,
             "%s: closed: what it sends is not TLS, which is spoken on %s; it begins '%s'", s->peer, s->local,
             shown);
}

/* ---- the handshake -------------------------------------------------------------------------------- */

static bool begin(struct tls_stream *s)
{
    if (s->in.len == 0)
        return false;
    if (s->in.at[0] != RECORD_HANDSHAKE) {
        complain_plain(s);
        tls_close(s, true);
        return false;
    }
    s->context = tls_context_share(s->tls->context);
    s->ssl = tls_context_accept(s->context, &s->tls->now_ns);
    BIO *bio = BIO_new(s->tls->bio);
    CHECK(bio);
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(s->ssl, bio, bio);
    return true;
}

static void welcome(struct tls_stream *s)
{
    struct tls *t = s->tls;
    bool resumed = SSL_session_reused(s->ssl);
    become(s, TLS_OPEN);
    count(resumed ? t->options.count.resumed : t->options.count.whole);
    log_line(LOG_DEBUG, t->options.agent, "%s: %s, %s%s", s->peer, SSL_get_version(s->ssl),
             SSL_get_cipher_name(s->ssl), resumed ? ", resumed" : "");
    void *user = t->base.up.accepted(t->base.up.owner, s->id, s->tag, s->peer, s->local);
    s->user = user;
    if (!user && s->state == TLS_OPEN)
        tls_close(s, true);
}

void tls_shake(struct tls_stream *s)
{
    s->tls->shakes++;
    if (!s->ssl && !begin(s))
        return;
    ERR_clear_error();
    int done = SSL_do_handshake(s->ssl);
    if (done == 1) {
        welcome(s);
    } else if (SSL_get_error(s->ssl, done) != SSL_ERROR_WANT_READ) {
        log_line(LOG_INFO, s->tls->options.agent, "%s: closed: the TLS handshake failed: %s", s->peer,
                 reason(s));
        s->broken = true;
        tls_close(s, true);
    }
    ERR_clear_error();
    tls_drain(s);
}

/* ---- input ---------------------------------------------------------------------------------------- */

/* What a peer makes the stream send by itself (key updates: RFC 8446, section 4.6.3) is bounded too. */
static bool may_read(const struct tls_stream *s)
{
    return s->state == TLS_OPEN && !s->paused && (s->rest.len <= RX_REST_MAX || s->replay) &&
           output_held(&s->out) <= 2 * (size_t)TLS_HIGH_BYTES;
}

void tls_settle(struct tls_stream *s)
{
    struct tls *t = s->tls;
    if (s->state == TLS_GONE || s->below_closed)
        return;
    bool hold = s->state == TLS_OPEN && (t->starved || !may_read(s));
    if (hold && may_read(s))
        tls_list(s); /* served when there is a chunk again */
    if (hold == s->held)
        return;
    s->held = hold;
    if (hold) {
        t->below->ops->pause(t->below, s->below);
        return;
    }
    t->below->ops->resume(t->below, s->below);
    if (s->state == TLS_OPEN && (s->ended || SSL_pending(s->ssl)))
        tls_list(s);
}

static bool has_replay(const struct tls_stream *s)
{
    return s->replay && s->rest.len;
}

/* Hands up the rest and n new bytes. */
static void hand_up(struct tls_stream *s, size_t n)
{
    struct tls *t = s->tls;
    s->replay = false;
    struct span bytes = rx_received(&t->rx, &s->rest, n);
    size_t used = t->base.up.data(t->base.up.owner, s->user, bytes, rx_epoch(&t->rx));
    CHECK(used <= bytes.len);
    if (s->state == TLS_OPEN)
        rx_keep(&t->rx, &s->rest, bytes.len - used);
}

/* Nothing can be decrypted now. Returns whether more must arrive first; else the stream has ended. */
static bool is_dry(struct tls_stream *s)
{
    int error = SSL_get_error(s->ssl, 0);
    s->ended = error != SSL_ERROR_WANT_READ;
    if (s->ended && error != SSL_ERROR_ZERO_RETURN) {
        log_line(LOG_INFO, s->tls->options.agent, "%s: TLS ended: %s", s->peer, reason(s));
        s->error = EPROTO;
        s->broken = true;
    }
    ERR_clear_error();
    return !s->ended;
}

/* Whether there is a byte to be decrypted. Asked before a receive chunk is: who sends half a record must not
 * make rests move from chunk to chunk, and use up chunks that the owner never hears of. */
static bool has_bytes(struct tls_stream *s, bool *dry)
{
    uint8_t byte;
    size_t got;
    ERR_clear_error();
    if (SSL_pending(s->ssl) || SSL_peek_ex(s->ssl, &byte, 1, &got) == 1)
        return true;
    *dry = is_dry(s);
    return false;
}

/* As many records as fit, so that the owner is called once for all of them. */
static size_t decrypt(struct tls_stream *s, uint8_t *at, size_t room, bool *dry)
{
    size_t n = 0, got;
    ERR_clear_error();
    while (n < room && !s->ended && SSL_read_ex(s->ssl, at + n, room - n, &got) == 1)
        n += got;
    if (n < room && !s->ended)
        *dry = is_dry(s);
    return n;
}

void tls_pump(struct tls_stream *s)
{
    struct tls *t = s->tls;
    bool dry = false;
    while (!dry && may_read(s)) {
        size_t room;
        if (!has_replay(s) && s->ended) {
            tls_end(s, s->error);
            return;
        }
        if (!has_replay(s) && !has_bytes(s, &dry))
            continue;
        uint8_t *at = rx_begin(&t->rx, &s->rest, &room);
        if (!at) {
            t->starved = true;
            tls_list(s);
            return;
        }
        hand_up(s, decrypt(s, at, room, &dry));
    }
}

/* ---- output --------------------------------------------------------------------------------------- */

bool tls_encrypt(struct tls_stream *s, struct span plain)
{
    size_t put;
    ERR_clear_error();
    if (SSL_write_ex(s->ssl, plain.at, plain.len, &put) == 1)
        return true;
    log_line(LOG_INFO, s->tls->options.agent, "%s: TLS ended: %s", s->peer, reason(s));
    ERR_clear_error();
    s->broken = true;
    s->error = EPROTO;
    tls_list(s);
    return false;
}

static void release(struct tls_stream *s)
{
    struct transport *below = s->tls->below;
    if (s->out.pieces.count)
        output_released(&s->out, &s->tls->pool, below->ops->released(below, s->below), NULL, NULL);
}

void tls_drain(struct tls_stream *s)
{
    struct transport *below = s->tls->below;
    if (s->state == TLS_GONE || s->below_closed)
        return;
    release(s);
    while (s->out.unsent) {
        struct iovec iov[OUTPUT_IOVS];
        int n = output_next(&s->out, iov);
        size_t offered = 0;
        for (int i = 0; i < n; i++)
            offered += iov[i].iov_len;
        size_t took = below->ops->send(below, s->below, iov, n);
        output_taken(&s->out, took);
        if (took < offered)
            break;
    }
    release(s);
    if (s->state != TLS_CLOSING || s->out.unsent)
        return;
    /* From here on the transport below has a time limit of its own. */
    TAILQ_REMOVE(&s->tls->closing, s, time);
    s->below_closed = true;
    below->ops->close(below, s->below);
}

/* ---- ends ----------------------------------------------------------------------------------------- */

void tls_close(struct tls_stream *s, bool told)
{
    /* close_notify (RFC 8446, section 6.1): the peer knows that nothing was cut off. */
    if (s->state == TLS_OPEN && !s->broken) {
        ERR_clear_error();
        SSL_shutdown(s->ssl);
        ERR_clear_error();
    }
    rx_forget(&s->tls->rx, &s->rest);
    become(s, TLS_CLOSING);
    s->told |= told;
    tls_settle(s);
    tls_drain(s);
}

void tls_end(struct tls_stream *s, int error)
{
    struct tls *t = s->tls;
    void *user = s->user;
    tls_close(s, true);
    t->base.up.closed(t->base.up.owner, user, error);
}

void tls_drop(struct tls_stream *s, const char *why)
{
    struct tls *t = s->tls;
    bool tell = s->state == TLS_CLOSING && !s->told;
    if (why)
        log_line(LOG_INFO, t->options.agent, "%s: closed: %s", s->peer, why);
    t->below->ops->abort(t->below, s->below);
    tls_stream_bury(s);
    if (tell)
        t->base.up.closed(t->base.up.owner, s->user, ETIMEDOUT);
}
