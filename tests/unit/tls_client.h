/*
 * A TLS client in memory: OpenSSL between two memory BIOs, and the certificates that tests need, made on the
 * spot. What it wants sent is taken out of it, what has come is put into it, by whoever has the stream.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* PEM files in a directory of the test's own. */
struct tls_files {
    char directory[64];
    char certificate[96], key[96];   /* the broker's, signed by itself */
    char client[96], client_key[96]; /* signed by itself too: its own authority */
    char other[96], other_key[96];   /* of nobody that anybody trusts */
};

struct tls_files *tls_files_new(void);
void tls_files_free(struct tls_files *files);

struct tls_client {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    bool done;   /* the handshake is */
    bool failed; /* OpenSSL has said so */
    bool ended;  /* the peer's close_notify has come */
    uint8_t unsent[20000];
    size_t unsent_len;
};

/* version: TLS1_2_VERSION, TLS1_3_VERSION, or 0 for either. certificate: the client's own, or NULL. */
struct tls_client *tls_client_new(const char *trusted, int version, const char *certificate, const char *key);
void tls_client_free(struct tls_client *client);
/* The next stream, with the session of the one before. */
void tls_client_again(struct tls_client *client);

/* The stream: both return the bytes moved, or -1 at its end. */
struct tls_wire {
    void *owner;
    long (*put)(void *owner, const void *bytes, size_t n);
    long (*get)(void *owner, void *to, size_t room);
};

/* Moves what can be moved, and takes a step of the handshake. most: bytes in one piece. */
void tls_client_move(struct tls_client *client, const struct tls_wire *wire, size_t most);
/* Returns the bytes taken, 0 if there is no room. */
size_t tls_client_write(struct tls_client *client, const void *bytes, size_t n);
size_t tls_client_read(struct tls_client *client, void *to, size_t room);
