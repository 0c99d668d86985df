#include "transport/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* What RFC 9325 recommends of TLS 1.2: forward secrecy and authenticated encryption only. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

enum { TICKET_KEY_BYTES_MAX = 256 };

struct tls_context {
    SSL_CTX *ssl;
};

struct trouble {
    char *error;
    size_t size;
};

static bool fail(struct trouble trouble, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool fail(struct trouble trouble, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(trouble.error, trouble.size, format, args);
    va_end(args);
    return false;
}

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "it is not what OpenSSL expects";
}

/* OpenSSL's own words for a file that isn't there are not for people. */
static bool readable(const char *key, const char *path, struct trouble trouble)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return fail(trouble, "%s: cannot read %s: %s", key, path, strerror(errno));
    fclose(file);
    return true;
}

/* Nobody is there to be asked. */
static int no_password(char *to, int size, int writing, void *user)
{
    (void)to, (void)size, (void)writing, (void)user;
    return 0;
}

static bool load_certificate(SSL_CTX *ssl, const struct tls_settings *s, struct trouble trouble)
{
    if (!*s->certificate || !*s->key)
        return fail(trouble,
                    "%s is not set: a TLS listener needs tls.certificate and tls.key, the PEM files of the "
                    "broker's certificate (with its chain) and of its private key",
                    *s->certificate ? "tls.key" : "tls.certificate");
    if (!readable("tls.certificate", s->certificate, trouble) || !readable("tls.key", s->key, trouble))
        return false;
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    if (SSL_CTX_use_certificate_chain_file(ssl, s->certificate) != 1)
        return fail(trouble, "tls.certificate: %s holds no certificate in PEM form that can be used: %s",
                    s->certificate, reason());
    bool read = SSL_CTX_use_PrivateKey_file(ssl, s->key, SSL_FILETYPE_PEM) == 1;
    if (read && SSL_CTX_check_private_key(ssl) == 1)
        return true;
    if (read || ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return fail(trouble,
                    "tls.key: the key in %s does not belong to the certificate in %s: they are of two pairs",
                    s->key, s->certificate);
    return fail(trouble, "tls.key: %s holds no private key in PEM form without a password: %s", s->key,
                reason());
}

static int verify_mode(const char *text)
{
    if (strcmp(text, "none") == 0)
        return SSL_VERIFY_NONE;
    if (strcmp(text, "optional") == 0)
        return SSL_VERIFY_PEER;
    return strcmp(text, "required") == 0 ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : -1;
}

static bool set_verify(SSL_CTX *ssl, const struct tls_settings *s, struct trouble trouble)
{
    int mode = verify_mode(s->verify);
    if (mode < 0)
        return fail(trouble, "tls.verify: '%s' is none of none, optional and required", s->verify);
    SSL_CTX_set_verify(ssl, mode, NULL);
    if (mode == SSL_VERIFY_NONE)
        return *s->ca == '\0' ||
               fail(trouble,
                    "tls.ca is set, but tls.verify is none: nobody is asked for a certificate; set it to "
                    "optional or required, or remove tls.ca");
    if (!*s->ca)
        return fail(trouble,
                    "tls.verify is %s, but tls.ca is not set: it names the PEM file of those who sign "
                    "clients' certificates",
                    s->verify);
    if (!readable("tls.ca", s->ca, trouble))
        return false;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(s->ca);
    if (!names || SSL_CTX_load_verify_locations(ssl, s->ca, NULL) != 1)
        return fail(trouble, "tls.ca: %s holds no certificate in PEM form: %s", s->ca, reason());
    SSL_CTX_set_client_CA_list(ssl, names);
    return true;
}

static bool set_versions(SSL_CTX *ssl, const struct tls_settings *s, struct trouble trouble)
{
    int least = TLS1_3_VERSION, most = TLS1_2_VERSION;
    for (unsigned i = 0; i < s->version_count; i++) {
        bool old = strcmp(s->versions[i], "1.2") == 0;
        if (!old && strcmp(s->versions[i], "1.3") != 0)
            return fail(trouble, "tls.versions: '%s' is neither 1.2 nor 1.3", s->versions[i]);
        least = old ? TLS1_2_VERSION : least;
        most = old ? most : TLS1_3_VERSION;
    }
    CHECK(SSL_CTX_set_min_proto_version(ssl, least) && SSL_CTX_set_max_proto_version(ssl, most));
    return true;
}

/* OpenSSL has a list for each version; the names of 1.3 begin with TLS_. */
static bool set_ciphers(SSL_CTX *ssl, const struct tls_settings *s, struct trouble trouble)
{
    if (!*s->ciphers)
        return SSL_CTX_set_cipher_list(ssl, CIPHERS_1_2) == 1 || fail(trouble, "OpenSSL: %s", reason());
    size_t size = strlen(s->ciphers) + 1, old_len = 0, new_len = 0;
    char *lists = calloc(2, size), *old = lists, *new = lists + size;
    CHECK(lists);
    for (const char *at = s->ciphers; *at;) {
        int n = (int)strcspn(at, ":");
        bool is_new = strncmp(at, "TLS_", 4) == 0;
        char *list = is_new ? new : old;
        size_t *len = is_new ? &new_len : &old_len;
        *len += (size_t)snprintf(list + *len, size - *len, "%s%.*s", *len ? ":" : "", n, at);
        at += n + (at[n] == ':');
    }
    bool ok = (!old_len || SSL_CTX_set_cipher_list(ssl, old) == 1) &&
              (!new_len || SSL_CTX_set_ciphersuites(ssl, new) == 1);
    if (!ok)
        fail(trouble, "tls.ciphers: OpenSSL finds no cipher in '%s': %s", s->ciphers, reason());
    free(lists);
    return ok;
}

/* Sessions are kept by clients, as tickets (RFC 5077, RFC 8446 section 4.6.1): no table here. */
static bool share_tickets(SSL_CTX *ssl, const struct tls_context *like, struct trouble trouble)
{
    uint8_t keys[TICKET_KEY_BYTES_MAX];
    static const uint8_t name[] = "gannet";
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ssl, name, sizeof name - 1);
    if (!like)
        return true;
    long n = SSL_CTX_get_tlsext_ticket_keys(like->ssl, NULL, 0);
    bool ok = n > 0 && n <= (long)sizeof keys && SSL_CTX_get_tlsext_ticket_keys(like->ssl, keys, n) == 1 &&
              SSL_CTX_set_tlsext_ticket_keys(ssl, keys, n) == 1;
    OPENSSL_cleanse(keys, sizeof keys);
    return ok || fail(trouble, "OpenSSL has no keys for session tickets: %s", reason());
}

static bool set_up(SSL_CTX *ssl, const struct tls_settings *settings, const struct tls_context *like,
                   struct trouble trouble)
{
    SSL_CTX_set_options(ssl,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* An idle stream keeps no record buffers. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    return load_certificate(ssl, settings, trouble) && set_verify(ssl, settings, trouble) &&
           set_versions(ssl, settings, trouble) && set_ciphers(ssl, settings, trouble) &&
           share_tickets(ssl, like, trouble);
}

struct tls_context *tls_context_new(const struct tls_settings *settings, const struct tls_context *like,
                                    char *error, size_t error_size)
{
    const struct trouble trouble = {error, error_size};
    struct tls_context *context = calloc(1, sizeof *context);
    CHECK(context);
    ERR_clear_error();
    context->ssl = SSL_CTX_new(TLS_server_method());
    if (context->ssl && set_up(context->ssl, settings, like, trouble)) {
        ERR_clear_error();
        return context;
    }
    if (!context->ssl)
        fail(trouble, "OpenSSL does not start: %s", reason());
    ERR_clear_error();
    tls_context_free(context);
    return NULL;
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

SSL *tls_context_accept(const struct tls_context *context)
{
    SSL *ssl = SSL_new(context->ssl);
    CHECK(ssl);
    SSL_set_accept_state(ssl);
    return ssl;
}
