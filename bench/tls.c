#include "tls.h"
#include "conn.h"

#include <err.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>

#define HANDSHAKE_TIMEOUT_MS 5000
#define AT_ONCE              (256u << 10) /* bytes encrypted for one send */

static SSL_CTX *context;

static void make_context(void)
{
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM"))
        errx(2, "OpenSSL does not start: %s", ERR_reason_error_string(ERR_peek_last_error()));
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 256u << 10);
}

static int refuse(struct conn *c, const struct uri *u, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return conn_fail(c, "no TLS with %s port %s: %s (%s); is that a port for TLS?", u->host, u->port, what,
                     reason ? reason : "no reason is known");
}

/* Gives the socket what is encrypted and not yet sent: the end of what OpenSSL has written. 0, or -1 with
 * errno. */
static int send_some(struct conn *c)
{
    BIO *out = SSL_get_wbio(c->tls);
    char *bytes;
    size_t held = (size_t)BIO_get_mem_data(out, &bytes) - c->tls_sent;
    if (!held)
        return 0;
    ssize_t sent = send(c->fd, bytes + c->tls_sent, held, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return -1;
    c->tls_sent += sent > 0 ? (size_t)sent : 0;
    c->tls_unsent = held - (sent > 0 ? (size_t)sent : 0);
    if (!c->tls_unsent) {
        (void)BIO_reset(out);
        c->tls_sent = 0;
    }
    return 0;
}

int tls_begin(struct conn *c, const struct uri *u)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_context);
    c->tls = SSL_new(context);
    BIO *in = BIO_new_socket(c->fd, BIO_NOCLOSE), *out = BIO_new(BIO_s_mem());
    if (!c->tls || !in || !out)
        errx(2, "no memory for TLS");
    SSL_set_bio(c->tls, in, out);
    c->tls_unsent = c->tls_sent = 0;
    SSL_set_tlsext_host_name(c->tls, u->host);
    for (;;) {
        ERR_clear_error();
        int done = SSL_connect(c->tls), why = SSL_get_error(c->tls, done);
        if (done != 1 && why != SSL_ERROR_WANT_READ)
            return refuse(c, u, "the handshake failed");
        if (send_some(c) < 0)
            return refuse(c, u, "the connection broke in the handshake");
        if (done == 1) {
            c->tls_more = true; /* it may have read on */
            return 0;
        }
        if (!c->carrier->ops->wait(c, c->tls_unsent, HANDSHAKE_TIMEOUT_MS))
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
    send_some(c);
    ERR_clear_error();
    SSL_free(c->tls);
    c->tls = NULL;
    c->tls_unsent = 0;
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
    size_t put = 0;
    ERR_clear_error();
    if (send_some(c) < 0)
        return -1;
    if (n && !c->tls_unsent) {
        int result = SSL_write_ex(c->tls, bytes, n < AT_ONCE ? n : AT_ONCE, &put);
        if (result != 1)
            return nothing(c, result);
        if (send_some(c) < 0)
            return -1;
    }
    return (ssize_t)put;
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
