/*
 * Certificates for more names than the first one's: the pairs NAME.pem (with its chain) and NAME.key of a
 * directory. Which names a certificate is for stands in itself: its DNS names, or its subject's common name
 * if it has none; *.example.org is any one label before that. Read once, then never changed: fronts share it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_st;
struct tls_names;

/* Returns NULL with one sentence in error, which names the file. option: what named the directory. Reads
 * files, may block. */
struct tls_names *tls_names_new(const char *option, const char *directory, char *error, size_t error_size);
/* One more user of it; each calls tls_names_free. Any thread. */
struct tls_names *tls_names_share(struct tls_names *names);
/* NULL: does nothing. Any thread. */
void tls_names_free(struct tls_names *names);

/* Gives the stream the certificate for the name that its client has asked for, if there is one. Returns false
 * when OpenSSL can't. */
bool tls_names_use(const struct tls_names *names, const char *name, struct ssl_st *ssl);
/* The certificates' files, from 0 on; NULL behind the last. */
const char *tls_names_file(const struct tls_names *names, unsigned i);
