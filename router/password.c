#include "router/password.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

#include "base/check.h"

static_assert(PASSWORD_QUICK_SALT_BYTES == 4, "RabbitMQ's");
static_assert(PASSWORD_SALT_BYTES == crypto_pwhash_argon2id_SALTBYTES, "libsodium's");
static_assert(PASSWORD_DIGEST_BYTES == crypto_generichash_BYTES, "libsodium's");

/* Of argon2id, over PASSWORD_BYTES: the least that OWASP recommends. */
enum { PASSES = 2 };

enum { DIGEST_MAX = 64 };

struct salted {
    uint8_t bytes[PASSWORD_QUICK_SALT_BYTES + DIGEST_MAX]; /* salt, digest */
    size_t digest;                                         /* bytes of it: 32 or 64 */
};

static bool decode(struct span text, const char *prefix, size_t digest, struct salted *salted)
{
    size_t skip = strlen(prefix), len = 0;
    const char *end = NULL;
    salted->digest = digest;
    return span_starts(text, prefix) &&
           sodium_base642bin(salted->bytes, sizeof salted->bytes, (const char *)text.at + skip,
                             text.len - skip, NULL, &len, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           end == (const char *)text.at + text.len && len == PASSWORD_QUICK_SALT_BYTES + digest;
}

static bool read_salted(struct span text, struct salted *salted)
{
    return decode(text, "sha256:", crypto_hash_sha256_BYTES, salted) ||
           decode(text, "sha512:", crypto_hash_sha512_BYTES, salted);
}

static bool is_argon(struct span text)
{
    return span_starts(text, "$argon2id$") && text.len < crypto_pwhash_STRBYTES &&
           !memchr(text.at, 0, text.len);
}

bool password_valid(struct span text)
{
    struct salted salted;
    return !text.len || is_argon(text) || read_salted(text, &salted);
}

static const struct {
    const char *algorithm, *prefix; /* in front of the hash, here and in our texts */
} known[] = {
    {"rabbit_password_hashing_sha256:", "sha256:"},
    {"rabbit_password_hashing_sha512:", "sha512:"},
    {"argon2id:", ""},
};

/* What one of ours begins with: of another the cost isn't known. */
static size_t own_prefix(char text[PASSWORD_TEXT_BYTES])
{
    return (size_t)snprintf(text, PASSWORD_TEXT_BYTES, "$argon2id$v=19$m=%u,t=%d,p=1$",
                            (unsigned)(PASSWORD_BYTES / 1024), PASSES);
}

static bool is_of(struct span text, const char *prefix)
{
    char own[PASSWORD_TEXT_BYTES];
    own_prefix(own);
    return text.len && password_valid(text) && span_starts(text, *prefix ? prefix : own);
}

bool password_import(char text[PASSWORD_TEXT_BYTES], struct span hashed, char *why, size_t size)
{
    const uint8_t *colon = hashed.len ? memchr(hashed.at, ':', hashed.len) : NULL;
    size_t algorithm = colon ? (size_t)(colon - hashed.at) : hashed.len;
    struct span hash = colon ? span_of(colon + 1, hashed.len - algorithm - 1) : span_of("", 0);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!span_starts(hashed, known[i].algorithm))
            continue;
        int n = snprintf(text, PASSWORD_TEXT_BYTES, "%s%.*s", known[i].prefix, (int)hash.len,
                         (const char *)hash.at);
        if (!hash.len)
            text[0] = '\0';
        else if (n >= (int)PASSWORD_TEXT_BYTES || !is_of(span_str(text), known[i].prefix)) {
            snprintf(why, size, "this is no password hash of %.*s", (int)algorithm, (const char *)hashed.at);
            return false;
        }
        return true;
    }
    snprintf(
        why, size,
        "the password hash is of '%.*s', which is not supported: give the user a new password, or hash it "
        "with rabbit_password_hashing_sha256 or rabbit_password_hashing_sha512",
        (int)(algorithm < 64 ? algorithm : 64), (const char *)hashed.at);
    return false;
}

void password_export(struct span text, struct span *algorithm, struct span *hash)
{
    size_t i = 0, last = sizeof known / sizeof *known - 1;
    while (text.len && i < last && !span_starts(text, known[i].prefix))
        i++;
    size_t prefix = text.len ? strlen(known[i].prefix) : 0;
    *algorithm = span_of(known[i].algorithm, strlen(known[i].algorithm) - 1);
    *hash = span_of(text.at + prefix, text.len - prefix);
}

/* Of salt and password. */
static void digest(uint8_t *to, const uint8_t *salt, struct span password, size_t bytes)
{
    union {
        crypto_hash_sha256_state sha256;
        crypto_hash_sha512_state sha512;
    } u;
    if (bytes == crypto_hash_sha256_BYTES) {
        crypto_hash_sha256_init(&u.sha256);
        crypto_hash_sha256_update(&u.sha256, salt, PASSWORD_QUICK_SALT_BYTES);
        crypto_hash_sha256_update(&u.sha256, password.at, password.len);
        crypto_hash_sha256_final(&u.sha256, to);
    } else {
        crypto_hash_sha512_init(&u.sha512);
        crypto_hash_sha512_update(&u.sha512, salt, PASSWORD_QUICK_SALT_BYTES);
        crypto_hash_sha512_update(&u.sha512, password.at, password.len);
        crypto_hash_sha512_final(&u.sha512, to);
    }
}

void password_make_quick(char text[PASSWORD_TEXT_BYTES], struct span password,
                         const uint8_t salt[PASSWORD_QUICK_SALT_BYTES])
{
    uint8_t bytes[PASSWORD_QUICK_SALT_BYTES + crypto_hash_sha256_BYTES];
    int n = snprintf(text, PASSWORD_TEXT_BYTES, "sha256:");
    memcpy(bytes, salt, PASSWORD_QUICK_SALT_BYTES);
    digest(bytes + PASSWORD_QUICK_SALT_BYTES, salt, password, crypto_hash_sha256_BYTES);
    sodium_bin2base64(text + n, PASSWORD_TEXT_BYTES - (size_t)n, bytes, sizeof bytes,
                      sodium_base64_VARIANT_ORIGINAL);
}

/* libsodium's own function for this draws the salt itself. */
bool password_make(char text[PASSWORD_TEXT_BYTES], struct span password,
                   const uint8_t salt[PASSWORD_SALT_BYTES])
{
    uint8_t hash[32];
    if (crypto_pwhash(hash, sizeof hash, (const char *)password.at, password.len, salt, PASSES,
                      PASSWORD_BYTES, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return false;
    size_t n = own_prefix(text);
    sodium_bin2base64(text + n, PASSWORD_TEXT_BYTES - n, salt, PASSWORD_SALT_BYTES,
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    n += strlen(text + n);
    text[n++] = '$';
    sodium_bin2base64(text + n, PASSWORD_TEXT_BYTES - n, hash, sizeof hash,
                      sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    return true;
}

void password_start(void)
{
    CHECK(sodium_init() >= 0);
}

bool password_is_slow(struct span text)
{
    return is_argon(text);
}

/* Its digest is one that was never computed from anything. */
const char *password_decoy(void)
{
    return "$argon2id$v=19$m=19456,t=2,p=1$Z2FubmV0J3MgZGVjb3kgIQ$"
           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}

void password_digest(uint8_t digest_of[PASSWORD_DIGEST_BYTES], const uint8_t secret[PASSWORD_DIGEST_BYTES],
                     struct span text, struct span password)
{
    crypto_generichash_state state;
    uint64_t len = text.len;
    crypto_generichash_init(&state, secret, PASSWORD_DIGEST_BYTES, PASSWORD_DIGEST_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)&len, sizeof len);
    crypto_generichash_update(&state, text.at, text.len);
    crypto_generichash_update(&state, password.at, password.len);
    crypto_generichash_final(&state, digest_of, PASSWORD_DIGEST_BYTES);
}

bool password_digest_equal(const uint8_t a[PASSWORD_DIGEST_BYTES], const uint8_t b[PASSWORD_DIGEST_BYTES])
{
    return sodium_memcmp(a, b, PASSWORD_DIGEST_BYTES) == 0;
}

bool password_fits(struct span text, struct span password)
{
    struct salted salted;
    uint8_t made[DIGEST_MAX];
    if (is_argon(text)) {
        char hash[crypto_pwhash_STRBYTES] = "";
        memcpy(hash, text.at, text.len);
        return crypto_pwhash_str_verify(hash, (const char *)password.at, password.len) == 0;
    }
    if (!read_salted(text, &salted))
        return false;
    digest(made, salted.bytes, password, salted.digest);
    return sodium_memcmp(made, salted.bytes + PASSWORD_QUICK_SALT_BYTES, salted.digest) == 0;
}
