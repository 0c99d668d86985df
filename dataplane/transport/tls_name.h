/* The names in clients' certificates. */
#pragma once

#include <stddef.h>

#include "transport/transport.h"

struct ssl_st;

/* The name of that kind in the certificate that the peer has shown, written to `to`; its bytes, 0 if there is
 * none, or not just one that fits. The certificate is a good one, or the handshake would have failed. */
size_t tls_name(const struct ssl_st *ssl, enum certificate_name which, uint8_t *to, size_t room);
