#include "transport/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "transport/tls_certificate.h"
#include "transport/tls_names.h"
#include "transport/tls_tickets.h"

/* What RFC 9325 recommends of TLS 1.2: forward secrecy and authenticated encryption only. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_context {
    SSL_CTX *ssl;
    struct tls_names *names; /* or NULL */
    struct tls_tickets tickets;
    atomic_uint users;
};

static bool load_certificate(SSL_CTX *ssl, const struct tls_settings *s, struct tls_trouble trouble)
{
    if (*s->certificate && *s->key)
        return tls_certificate_load(
            ssl, &(struct tls_pair){"tls.certificate", s->certificate, "tls.key", s->key}, trouble);
    return tls_fail(trouble,
                    "%s is not set: a TLS listener needs tls.certificate and tls.key, the PEM files of the "
                    "broker's certificate (with its chain) and of its private key",
                    *s->certificate ? "tls.key" : "tls.certificate");
}

static int verify_mode(const char *text)
{
    if (strcmp(text, "none") == 0)
        return SSL_VERIFY_NONE;
    if (strcmp(text, "optional") == 0)
        return SSL_VERIFY_PEER;
    return strcmp(text, "required") == 0 ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : -1;
}

static bool set_verify(SSL_CTX *ssl, const struct tls_settings *s, struct tls_trouble trouble)
{
    int mode = verify_mode(s->verify);
    if (mode < 0)
        return tls_fail(trouble, "tls.verify: '%s' is none of none, optional and required", s->verify);
    SSL_CTX_set_verify(ssl, mode, NULL);
    if (mode == SSL_VERIFY_NONE)
        return *s->ca == '\0' ||
               tls_fail(trouble,
                        "tls.ca is set, but tls.verify is none: nobody is asked for a certificate; set it to "
                        "optional or required, or remove tls.ca");
    if (!*s->ca)
        return tls_fail(trouble,
                        "tls.verify is %s, but tls.ca is not set: it names the PEM file of those who sign "
                        "clients' certificates",
                        s->verify);
    if (!tls_readable("tls.ca", s->ca, trouble))
        return false;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(s->ca);
    if (!names || SSL_CTX_load_verify_locations(ssl, s->ca, NULL) != 1)
        return tls_fail(trouble, "tls.ca: %s holds no certificate in PEM form: %s", s->ca, tls_reason());
    SSL_CTX_set_client_CA_list(ssl, names);
    return true;
}

static bool set_versions(SSL_CTX *ssl, const struct tls_settings *s, struct tls_trouble trouble)
{
    int least = TLS1_3_VERSION, most = TLS1_2_VERSION;
    for (unsigned i = 0; i < s->version_count; i++) {
        bool old = strcmp(s->versions[i], "1.2") == 0;
        if (!old && strcmp(s->versions[i], "1.3") != 0)
            return tls_fail(trouble, "tls.versions: '%s' is neither 1.2 nor 1.3", s->versions[i]);
        least = old ? TLS1_2_VERSION : least;
        most = old ? most : TLS1_3_VERSION;
    }
    CHECK(SSL_CTX_set_min_proto_version(ssl, least) && SSL_CTX_set_max_proto_version(ssl, most));
    return true;
}

/* What OpenSSL doesn't know in a list it passes over: so each is tried alone. But what is taken out of a list
 * needn't be in it. */
static bool is_cipher(SSL_CTX *ssl, const char *name)
{
    if (strncmp(name, "TLS_", 4) == 0)
        return SSL_CTX_set_ciphersuites(ssl, name) == 1;
    return strchr("!-+@", *name) || SSL_CTX_set_cipher_list(ssl, name) == 1;
}

static void add_cipher(char *list, size_t size, const char *name)
{
    size_t len = strlen(list);
    snprintf(list + len, size - len, "%s%s", len ? ":" : "", name);
}

/* OpenSSL has a list for each version; the names of 1.3 begin with TLS_. */
static bool set_ciphers(SSL_CTX *ssl, const struct tls_settings *s, struct tls_trouble trouble)
{
    size_t size = strlen(s->ciphers) + 1;
    char *lists = calloc(3, size), *old = lists, *new = lists + size, *names = lists + 2 * size, *rest = NULL;
    bool ok = true;
    CHECK(lists);
    memcpy(names, s->ciphers, size);
    for (char *name = strtok_r(names, ":", &rest); ok && name; name = strtok_r(NULL, ":", &rest)) {
        ok = is_cipher(ssl, name) ||
             tls_fail(trouble, "tls.ciphers: OpenSSL finds no cipher '%s': openssl ciphers -v shows them",
                      name);
        add_cipher(strncmp(name, "TLS_", 4) == 0 ? new : old, size, name);
    }
    if (ok && (SSL_CTX_set_cipher_list(ssl, *old ? old : CIPHERS_1_2) != 1 ||
               (*new &&SSL_CTX_set_ciphersuites(ssl, new) != 1)))
        ok = tls_fail(trouble, "tls.ciphers: OpenSSL finds no cipher in '%s': %s", s->ciphers, tls_reason());
    free(lists);
    return ok;
}

/* ---- during handshakes ------------------------------------------------------------------------------- */

/* Which certificate is shown. The server's name comes from the client; an unknown one gets the first
 * certificate, as who sends none. */
static int on_certificate(SSL *ssl, void *arg)
{
    const struct tls_context *context = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return !name || !context->names || tls_names_use(context->names, name, ssl);
}

static int on_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                         EVP_MAC_CTX *mac, int encrypt)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const uint64_t *now_ns = SSL_get_app_data(ssl);
    const struct tls_ticket_use use = {name, iv, cipher, mac, encrypt};
    return tls_tickets_use(&context->tickets, *now_ns, &use);
}

/* A session holds its client's certificate, which may have ended since. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_len,
                                   SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)name, (void)name_len, (void)arg;
    const X509 *peer = session ? SSL_SESSION_get0_peer(session) : NULL;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (peer && X509_cmp_current_time(X509_get0_notAfter(peer)) < 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* Sessions are kept by clients, as tickets (RFC 5077, RFC 8446 section 4.6.1): no table here. */
static bool set_callbacks(struct tls_context *context, const struct tls_context *like, uint64_t now_ns,
                          struct tls_trouble trouble)
{
    static const uint8_t name[] = "gannet";
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_app_data(ssl, context);
    SSL_CTX_set_cert_cb(ssl, on_certificate, context);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ssl, name, sizeof name - 1);
    SSL_CTX_set_timeout(ssl, TLS_TICKET_S);
    SSL_CTX_set_session_ticket_cb(ssl, NULL, on_ticket, NULL);
    if (!tls_tickets_init(&context->tickets, like ? &like->tickets : NULL, now_ns))
        return tls_fail(trouble, "OpenSSL has no random keys for session tickets: %s", tls_reason());
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket_key) == 1 ||
           tls_fail(trouble, "OpenSSL: %s", tls_reason());
}

/* ---- making one ---------------------------------------------------------------------------------------- */

static bool set_up(struct tls_context *context, const struct tls_settings *settings,
                   const struct tls_context *like, struct tls_trouble trouble)
{
    SSL_CTX *ssl = context->ssl;
    SSL_CTX_set_options(ssl,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_AUTO_RETRY);
    return load_certificate(ssl, settings, trouble) && set_verify(ssl, settings, trouble) &&
           set_versions(ssl, settings, trouble) && set_ciphers(ssl, settings, trouble) &&
           set_callbacks(context, like, settings->now_ns, trouble);
}

struct tls_context *tls_context_new(const struct tls_settings *settings, const struct tls_context *like,
                                    char *error, size_t error_size)
{
    const struct tls_trouble trouble = {error, error_size};
    struct tls_context *context = calloc(1, sizeof *context);
    CHECK(context);
    atomic_init(&context->users, 1);
    context->names = settings->names ? tls_names_share(settings->names) : NULL;
    ERR_clear_error();
    context->ssl = SSL_CTX_new(TLS_server_method());
    bool ok = context->ssl ? set_up(context, settings, like, trouble)
                           : tls_fail(trouble, "OpenSSL does not start: %s", tls_reason());
    ERR_clear_error();
    if (ok)
        return context;
    tls_context_free(context);
    return NULL;
}

struct tls_context *tls_context_share(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->users, 1, memory_order_relaxed);
    return context;
}

void tls_context_free(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->users, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(context->ssl);
    tls_names_free(context->names);
    OPENSSL_cleanse(&context->tickets, sizeof context->tickets);
    free(context);
}

SSL *tls_context_accept(struct tls_context *context, const uint64_t *now_ns)
{
    SSL *ssl = SSL_new(context->ssl);
    CHECK(ssl);
    SSL_set_app_data(ssl, (void *)(uintptr_t)now_ns);
    SSL_set_accept_state(ssl);
    return ssl;
}
