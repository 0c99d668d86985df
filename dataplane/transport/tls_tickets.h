/*
 * The keys of session tickets (RFC 5077; RFC 8446, section 4.6.1). They change every TLS_TICKET_S, each made
 * of the one before by a hash, so that all fronts that began with the same one have the same ones at any time
 * without a word between them, and what was sealed with one that is gone can't be opened any more.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

/* A ticket is good for so long at least, and for twice as long at most. */
#define TLS_TICKET_S 7200

enum { TLS_TICKET_KEY_BYTES = 32, TLS_TICKET_NAME_BYTES = 16 };

struct tls_ticket_key {
    uint8_t name[TLS_TICKET_NAME_BYTES], cipher[TLS_TICKET_KEY_BYTES], mac[TLS_TICKET_KEY_BYTES];
};

/* Owner: its context, on the front's thread. */
struct tls_tickets {
    uint64_t period;                      /* of the clock, counted from 0: */
    uint8_t secret[TLS_TICKET_KEY_BYTES]; /* which the next period's is made of */
    struct tls_ticket_key now, before;
};

/* What OpenSSL's callback is given: SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
struct tls_ticket_use {
    uint8_t *name, *iv;
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
    int encrypt;
};

/* like: whose keys they are to be, or NULL for new ones. It must not have been used yet. Returns false when
 * there is nothing random. */
bool tls_tickets_init(struct tls_tickets *tickets, const struct tls_tickets *like, uint64_t now_ns);
/* Returns what OpenSSL wants to hear: 1, 2 for a key that is to be replaced, 0 for one that is not known, -1.
 */
int tls_tickets_use(struct tls_tickets *tickets, uint64_t now_ns, const struct tls_ticket_use *use);
