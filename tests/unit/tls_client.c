#include "tls_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

/* ---- certificates --------------------------------------------------------------------------------- */

static void make(const char *directory, const char *name, char *certificate, char *key, size_t size)
{
    snprintf(certificate, size, "%s/%s.pem", directory, name);
    snprintf(key, size, "%s/%s.key", directory, name);
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, pair);
    X509_NAME *subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(ca);
    CHECK(X509_sign(x, pair, EVP_sha256()));
    FILE *file = fopen(certificate, "we");
    CHECK(file && PEM_write_X509(file, x) && fclose(file) == 0);
    file = fopen(key, "we");
    CHECK(file && PEM_write_PrivateKey(file, pair, NULL, NULL, 0, NULL, NULL) && fclose(file) == 0);
    X509_free(x);
    EVP_PKEY_free(pair);
}

struct tls_files *tls_files_new(void)
{
    struct tls_files *f = calloc(1, sizeof *f);
    CHECK(f);
    snprintf(f->directory, sizeof f->directory, "/tmp/gannet-tls-XXXXXX");
    CHECK(mkdtemp(f->directory));
    make(f->directory, "broker", f->certificate, f->key, sizeof f->key);
    make(f->directory, "client", f->client, f->client_key, sizeof f->client_key);
    make(f->directory, "other", f->other, f->other_key, sizeof f->other_key);
    return f;
}

void tls_files_free(struct tls_files *f)
{
    const char *paths[] = {f->certificate, f->key, f->client, f->client_key, f->other, f->other_key};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
        unlink(paths[i]);
    rmdir(f->directory);
    free(f);
}

/* ---- a client ------------------------------------------------------------------------------------- */

static void open_stream(struct tls_client *c)
{
    c->ssl = SSL_new(c->context);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    CHECK(c->ssl && c->in && c->out);
    BIO_set_mem_eof_return(c->in, -1);
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
}

struct tls_client *tls_client_new(const char *trusted, int version, const char *certificate, const char *key)
{
    struct tls_client *c = calloc(1, sizeof *c);
    CHECK(c);
    c->context = SSL_CTX_new(TLS_client_method());
    CHECK(c->context && SSL_CTX_load_verify_locations(c->context, trusted, NULL));
    SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_security_level(c->context, 0); /* so that TLS 1.1 can be asked for */
    CHECK(SSL_CTX_set_min_proto_version(c->context, version) &&
          SSL_CTX_set_max_proto_version(c->context, version));
    if (certificate) {
        CHECK(SSL_CTX_use_certificate_chain_file(c->context, certificate));
        CHECK(SSL_CTX_use_PrivateKey_file(c->context, key, SSL_FILETYPE_PEM));
    }
    open_stream(c);
    return c;
}

void tls_client_free(struct tls_client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    free(c);
}

void tls_client_again(struct tls_client *c)
{
    SSL_SESSION *session = SSL_get1_session(c->ssl);
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    open_stream(c);
    CHECK(session && SSL_set_session(c->ssl, session));
    SSL_SESSION_free(session);
    c->done = c->failed = c->ended = false;
    c->unsent_len = 0;
}

static void handshake(struct tls_client *c)
{
    if (c->done || c->failed)
        return;
    ERR_clear_error();
    int r = SSL_do_handshake(c->ssl);
    c->done = r == 1;
    c->failed = r != 1 && SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ;
}

static void send_some(struct tls_client *c, const struct tls_wire *wire, size_t most)
{
    for (;;) {
        if (c->unsent_len == 0) {
            int n = BIO_read(c->out, c->unsent, sizeof c->unsent);
            if (n <= 0)
                return;
            c->unsent_len = (size_t)n;
        }
        long n = wire->put(wire->owner, c->unsent, c->unsent_len < most ? c->unsent_len : most);
        if (n <= 0)
            return;
        c->unsent_len -= (size_t)n;
        memmove(c->unsent, c->unsent + n, c->unsent_len);
        if (most < 16)
            return; /* a crumb in each turn */
    }
}

void tls_client_move(struct tls_client *c, const struct tls_wire *wire, size_t most)
{
    uint8_t bytes[4096];
    for (long n; BIO_pending(c->in) < 65536 && (n = wire->get(wire->owner, bytes, sizeof bytes)) > 0;)
        BIO_write(c->in, bytes, (int)n);
    handshake(c);
    send_some(c, wire, most);
}

size_t tls_client_write(struct tls_client *c, const void *bytes, size_t n)
{
    size_t put = 0;
    ERR_clear_error();
    if (!c->done || BIO_pending(c->out) > 65536 || SSL_write_ex(c->ssl, bytes, n, &put) != 1)
        return 0;
    return put;
}

size_t tls_client_read(struct tls_client *c, void *to, size_t room)
{
    size_t got = 0;
    ERR_clear_error();
    if (!c->done || SSL_read_ex(c->ssl, to, room, &got) == 1)
        return got;
    int error = SSL_get_error(c->ssl, 0);
    c->ended |= error == SSL_ERROR_ZERO_RETURN;
    c->failed |= error == SSL_ERROR_SSL;
    return 0;
}
