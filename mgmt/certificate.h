/* The certificate of the doors over TLS, by GnuTLS, as libmicrohttpd has it. The process has one: who asks
 * for it when a client shakes hands is told nothing of ours. */
#pragma once

#include <gnutls/abstract.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads both PEM files, the certificate's with its chain, and checks that they belong together; handshakes
 * from now on have them. The names must last. Returns false with one sentence in error; then nothing has
 * changed. Main thread. */
bool certificate_read(const char *file, const char *key_file, char *error, size_t error_size);
/* Says on stderr if it has ended, or ends within 30 days. now: in seconds since 1970. */
void certificate_warn(int64_t now);
/* When the first of its chain ends, in seconds since 1970. Any thread. */
int64_t certificate_expires(void);
/* What GnuTLS calls for each handshake, on any thread. */
gnutls_certificate_retrieve_function3 certificate_show;
