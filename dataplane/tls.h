/* TLS as it is configured: a context for each front, and until when the certificates in use are good. Main
 * thread, except where another is named. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config.h"
#include "transport/transport.h"

struct tls_context;
struct tls_service;

/* tls.login. */
enum certificate_name tls_login(const struct config *config);

/* What the listeners over TLS need; tls.login is checked too. now_ns: of
 * the clock that fronts are polled with. Reads files, may block. Returns NULL with one sentence in
 * error. */
struct tls_service *tls_service_new(const struct config *config, unsigned fronts, uint64_t now_ns,
                                    char *error, size_t error_size);
/* NULL: does nothing. */
void tls_service_free(struct tls_service *service);
/* What fresh was made of counts from now on; fresh is freed. The control thread may be reading. */
void tls_service_renew(struct tls_service *service, struct tls_service *fresh);
struct tls_context *tls_service_context(const struct tls_service *service, unsigned front);
/* Logs which certificates have ended, or will within 30 days. */
void tls_service_warn(const struct tls_service *service, uint64_t wall_ns);
/* Answers the control socket's request for certificates: until when those are good that are in use, whatever
 * is in their files by now. NULL: there are none. Control thread. */
void tls_service_write(struct tls_service *service, FILE *out);
