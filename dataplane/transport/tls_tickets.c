#include "transport/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/check.h"

#define PERIOD_NS (TLS_TICKET_S * UINT64_C(1000000000))

/* Which key of a period's: the label that it is made with. */
static void derive(const uint8_t *secret, const char *label, uint8_t *to)
{
    CHECK(HMAC(EVP_sha256(), secret, TLS_TICKET_KEY_BYTES, (const uint8_t *)label, strlen(label), to, NULL));
}

static void make_key(struct tls_tickets *t)
{
    uint8_t name[TLS_TICKET_KEY_BYTES];
    derive(t->secret, "name", name);
    memcpy(t->now.name, name, sizeof t->now.name);
    derive(t->secret, "cipher", t->now.cipher);
    derive(t->secret, "mac", t->now.mac);
}

bool tls_tickets_init(struct tls_tickets *t, const struct tls_tickets *like, uint64_t now_ns)
{
    if (like) {
        *t = *like;
        return true;
    }
    *t = (struct tls_tickets){.period = now_ns / PERIOD_NS};
    if (RAND_bytes(t->secret, sizeof t->secret) != 1 ||
        RAND_bytes(t->before.name, sizeof t->before.name) != 1 ||
        RAND_bytes(t->before.cipher, sizeof t->before.cipher) != 1 ||
        RAND_bytes(t->before.mac, sizeof t->before.mac) != 1)
        return false;
    make_key(t);
    return true;
}

static void keep_pace(struct tls_tickets *t, uint64_t now_ns)
{
    for (; t->period < now_ns / PERIOD_NS; t->period++) {
        uint8_t next[TLS_TICKET_KEY_BYTES];
        derive(t->secret, "next", next);
        memcpy(t->secret, next, sizeof next);
        OPENSSL_cleanse(next, sizeof next);
        t->before = t->now;
        make_key(t);
    }
}

static bool is_name(const struct tls_ticket_key *key, const uint8_t *name)
{
    return CRYPTO_memcmp(key->name, name, sizeof key->name) == 0;
}

static bool set_keys(const struct tls_ticket_key *key, const struct tls_ticket_use *use)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex(use->cipher, EVP_aes_256_cbc(), NULL, key->cipher, use->iv, use->encrypt) == 1 &&
           EVP_MAC_CTX_set_params(use->mac, params) == 1;
}

int tls_tickets_use(struct tls_tickets *t, uint64_t now_ns, const struct tls_ticket_use *use)
{
    keep_pace(t, now_ns);
    if (use->encrypt) {
        memcpy(use->name, t->now.name, sizeof t->now.name);
        return RAND_bytes(use->iv, EVP_MAX_IV_LENGTH) == 1 && set_keys(&t->now, use) ? 1 : -1;
    }
    if (is_name(&t->now, use->name))
        return set_keys(&t->now, use) ? 1 : -1;
    if (is_name(&t->before, use->name))
        return set_keys(&t->before, use) ? 2 : -1;
    return 0;
}
