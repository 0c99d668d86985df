#include "tls.h"
#include "conn.h"

#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#define HANDSHAKE_TIMEOUT_MS 5000

static SSL_CTX *context;

static void make_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM"))
        errx(2, "OpenSSL does not start: %s", ERR_reason_error_string(ERR_peek_last_error()));
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 256u << 10);
}

static int refuse(struct conn *c, const struct uri *u, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return conn_fail(c, "no TLS with %s port %s: %s (%s); is that a port for TLS?", u->host, u->port, what,
                     reason ? reason : "no reason is known");
}

int tls_begin(struct conn *c, const struct uri *u)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_context);
    c->tls = SSL_new(context);
    if (!c->tls || !SSL_set_fd(c->tls, c->fd))
        errx(2, "no memory for TLS");
    SSL_set_tlsext_host_name(c->tls, u->host);
    for (;;) {
        ERR_clear_error();
        int done = SSL_connect(c->tls), why = SSL_get_error(c->tls, done);
        if (done == 1) {
            c->tls_more = true; /* it may have read on */
            return 0;
        }
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return refuse(c, u, "the handshake failed");
        if (!c->carrier->ops->wait(c, why == SSL_ERROR_WANT_WRITE, HANDSHAKE_TIMEOUT_MS))
            return refuse(c, u, "the handshake takes too long");
    }
}

void tls_end(struct conn *c)
{
    if (!c->tls)
        return;
    ERR_clear_error();
    if (SSL_is_init_finished(c->tls))
        SSL_shutdown(c->tls); /* else the broker logs that it was cut off */
    ERR_clear_error();
    SSL_free(c->tls);
    c->tls = NULL;
}

/* What a call of OpenSSL's that moved nothing says, in a socket's words. */
static ssize_t nothing(struct conn *c, int result)
{
    int why = SSL_get_error(c->tls, result), system = errno;
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN
            : why == SSL_ERROR_SYSCALL && system                      ? system
                                                                      : EPROTO;
    return -1;
}

ssize_t tls_send(struct conn *c, const void *bytes, size_t n)
{
    size_t put, all = 0;
    int result = 1;
    ERR_clear_error();
    while (all < n && (result = SSL_write_ex(c->tls, (const char *)bytes + all, n - all, &put)) == 1)
        all += put;
    return all ? (ssize_t)all : nothing(c, result);
}

ssize_t tls_receive(struct conn *c, void *to, size_t room)
{
    size_t got, all = 0;
    int result = 0;
    ERR_clear_error();
    while (all < room && (result = SSL_read_ex(c->tls, (char *)to + all, room - all, &got)) == 1)
        all += got;
    c->tls_more = all == room;
    return all ? (ssize_t)all : nothing(c, result);
}

bool tls_holds(const struct conn *c)
{
    return c->tls && c->tls_more;
}
