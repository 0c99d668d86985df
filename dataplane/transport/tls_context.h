/*
 * What a transport's TLS streams have in common: certificates, keys, whom to ask for a certificate, versions
 * and ciphers. Each front has one of its own, so that fronts share nothing that changes; session tickets of
 * one are good at all of them. It is never changed: other settings are another context, which streams get
 * that begin later, with other keys for tickets, so that no session outlives the settings that let it in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum tls_verify {
    TLS_VERIFY_NONE,     /* clients are not asked for a certificate */
    TLS_VERIFY_OPTIONAL, /* asked; one that is shown must be good */
    TLS_VERIFY_REQUIRED,
};

struct tls_settings {
    const char *certificate; /* PEM files: the chain, the broker's own first; */
    const char *key;         /* its private key; */
    const char *ca;          /* who signs clients' certificates, or "" */
    const char *verify;      /* "none", "optional" or "required" */
    const char *const *versions;
    unsigned version_count;
    const char
        *ciphers; /* as OpenSSL names them, of both versions, with colons between; "" for our own choice */
    struct tls_names *names; /* the certificates for other names, or NULL; shared */
    uint64_t now_ns;         /* of the clock that the transports' polls are told */
};

struct tls_context;
struct tls_names;
struct ssl_st;

/* like: another front's context, whose session tickets are good here too, or NULL. Reads files, may block.
 * Returns NULL with one sentence in error. */
struct tls_context *tls_context_new(const struct tls_settings *settings, const struct tls_context *like,
                                    char *error, size_t error_size);
/* One more user of it; each calls tls_context_free. Any thread. */
struct tls_context *tls_context_share(struct tls_context *context);
/* NULL: does nothing. Any thread. */
void tls_context_free(struct tls_context *context);

/* The server's side of a new stream, without any I/O. The context, and now_ns, which is looked at during the
 * handshake, must outlive it. */
struct ssl_st *tls_context_accept(struct tls_context *context, const uint64_t *now_ns);
