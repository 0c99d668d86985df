/* TLS as it is configured: a context for each front. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config.h"
#include "transport/transport.h"

struct tls_context;

/* Nothing if no listener wants TLS. Reads the certificate's files. Returns false with one sentence in error.
 */
bool tls_contexts_make(const struct config *config, struct tls_context **contexts, unsigned n, char *error,
                       size_t error_size);
void tls_contexts_free(struct tls_context **contexts, unsigned n);
/* Answers the control socket's request for them: until when they are good, as they stand in their files now.
 * May block. */
void tls_certificates_write(const struct config *config, FILE *out);
/* tls.login. */
enum certificate_name tls_login(const struct config *config);
