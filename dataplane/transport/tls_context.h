/*
 * What a transport's TLS streams have in common: certificate, key, whom to ask for a certificate, versions
 * and ciphers. Each front's transport has one of its own, so that fronts share nothing that changes; session
 * tickets of one are good at all of them.
 */
#pragma once

#include <stddef.h>

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
};

struct tls_context;
struct ssl_st;

/* like: another front's context, whose session tickets are good here too, or NULL. Reads files, may block.
 * Returns NULL with one sentence in error. */
struct tls_context *tls_context_new(const struct tls_settings *settings, const struct tls_context *like,
                                    char *error, size_t error_size);
/* Not before the transports made with it. */
void tls_context_free(struct tls_context *context);

/* The server's side of a new stream, without any I/O. */
struct ssl_st *tls_context_accept(const struct tls_context *context);
