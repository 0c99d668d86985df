/* One certificate and its key, from their PEM files; and how what is wrong with them is said. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ssl_ctx_st;

/* Where one sentence goes. */
struct tls_trouble {
    char *error;
    size_t size;
};

/* Which files, and the options that named them. */
struct tls_pair {
    const char *certificate_option, *certificate, *key_option, *key;
};

/* Writes the sentence; returns false. */
bool tls_fail(struct tls_trouble trouble, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* OpenSSL's last error, in its words. */
const char *tls_reason(void);
/* Whether the file of that option can be opened. */
bool tls_readable(const char *option, const char *path, struct tls_trouble trouble);
/* Puts both into the context, with the certificate's chain; they must belong together. Reads files, may
 * block.
 */
bool tls_certificate_load(struct ssl_ctx_st *ssl, const struct tls_pair *pair, struct tls_trouble trouble);
