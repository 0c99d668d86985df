#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "router/password.h"

/* As RabbitMQ makes them of "test12" (its documentation's example), and of the same with SHA-512. */
#define RABBITMQ_256 "sha256:kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"

static bool fits(const char *text, const char *password)
{
    return password_fits(span_str(text), span_str(password));
}

Test(password, what_is_made_fits)
{
    char text[PASSWORD_TEXT_BYTES];
    password_make_quick(text, span_str("secret"), (const uint8_t[]){1, 2, 3, 4});
    cr_assert(password_valid(span_str(text)));
    cr_assert(fits(text, "secret"));
    cr_assert(!fits(text, "secre"));
    cr_assert(!fits(text, "secret "));
    cr_assert(!fits(text, ""));
    cr_assert(!password_fits(span_str(text), span_of("secret\0", 7)));
    cr_assert(!password_fits(span_str(text), span_of(NULL, 0)));
    password_make_quick(text, span_str(""), (const uint8_t[]){1, 2, 3, 4});
    cr_assert(fits(text, ""));
}

static char why[256];

static bool imports(const char *hashed, const char *as)
{
    char text[PASSWORD_TEXT_BYTES];
    return password_import(text, span_str(hashed), why, sizeof why) && strcmp(text, as) == 0;
}

/* What is exported is imported again. */
static bool comes_back(const char *text)
{
    char hashed[2 * PASSWORD_TEXT_BYTES];
    struct span algorithm, hash;
    password_export(span_str(text), &algorithm, &hash);
    snprintf(hashed, sizeof hashed, "%.*s:%.*s", (int)algorithm.len, (const char *)algorithm.at,
             (int)hash.len, (const char *)hash.at);
    return imports(hashed, text);
}

Test(password, is_exported)
{
    static const uint8_t salt[PASSWORD_SALT_BYTES] = {1};
    char own[PASSWORD_TEXT_BYTES];
    struct span algorithm, hash;
    cr_assert(password_make(own, span_str("p"), salt));
    cr_assert(comes_back(""));
    cr_assert(comes_back(RABBITMQ_256));
    cr_assert(comes_back(own));
    password_export(span_str(own), &algorithm, &hash);
    cr_assert(span_is(algorithm, "argon2id") && span_is(hash, own));
    password_export(span_str(RABBITMQ_256), &algorithm, &hash);
    cr_assert(span_is(algorithm, "rabbit_password_hashing_sha256"));
}

Test(password, hashes_of_elsewhere)
{
    char own[PASSWORD_TEXT_BYTES], hashed[PASSWORD_TEXT_BYTES + 16];
    cr_assert(imports("rabbit_password_hashing_sha256:kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
                      RABBITMQ_256));
    /* RabbitMQ 3.10 has exported it. */
    cr_assert(imports("rabbit_password_hashing_sha256:bs/WtMdS6yapSvRcb4m4gm49EURnTJRYJsJxkd8rS3Sd9Ra4",
                      "sha256:bs/WtMdS6yapSvRcb4m4gm49EURnTJRYJsJxkd8rS3Sd9Ra4"));
    cr_assert(fits("sha256:bs/WtMdS6yapSvRcb4m4gm49EURnTJRYJsJxkd8rS3Sd9Ra4", "s3cret p\xc3\xa4ssword"));
    cr_assert(imports("rabbit_password_hashing_sha256:", ""));
    password_start();
    cr_assert(password_make(own, span_str("x"), (const uint8_t[PASSWORD_SALT_BYTES]){1}));
    snprintf(hashed, sizeof hashed, "argon2id:%s", own);
    cr_assert(imports(hashed, own));
}

Test(password, hashes_that_are_none)
{
    static const char twice[] = "rabbit_password_hashing_sha256:kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+"
                                "P6tENUV2PORkI3GCqW5JLMJa4iX1lo7X4D6XbYqlLg"
                                "xIs30+P6tENUV2PORkI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+"
                                "P6tENUV2PORkI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV";
    static const char costly[] = "argon2id:$argon2id$v=19$m=4194304,t=100,p=1$Z2FubmV0J3MgZGVjb3kgIQ$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    static const char *const none[] = {
        "rabbit_password_hashing_sha256:x",
        "rabbit_password_hashing_sha512:kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
        twice,
        costly,
        "argon2id:sha256:kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
    };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        cr_assert(!imports(none[i], ""), "%s", none[i]);
        cr_assert(strstr(why, "this is no password hash of "), "%s", why);
    }
    cr_assert(!imports("rabbit_password_hashing_md5:kI3GCqW5JLMJa4iX1lo7X4D6XbY=", ""));
    cr_assert(strstr(why, "the password hash is of 'rabbit_password_hashing_md5', which is not supported"),
              "%s", why);
    cr_assert(!imports("", "") && !imports("x", ""));
}

Test(password, salts_differ)
{
    char a[PASSWORD_TEXT_BYTES], b[PASSWORD_TEXT_BYTES];
    password_make_quick(a, span_str("secret"), (const uint8_t[]){1, 2, 3, 4});
    password_make_quick(b, span_str("secret"), (const uint8_t[]){1, 2, 3, 5});
    cr_assert_str_neq(a, b);
}

Test(password, argon2id)
{
    static const uint8_t salts[2][PASSWORD_SALT_BYTES] = {{1}, {2}};
    char a[PASSWORD_TEXT_BYTES], b[PASSWORD_TEXT_BYTES];
    password_start();
    cr_assert(password_make(a, span_str("secret"), salts[0]) &&
              password_make(b, span_str("secret"), salts[1]));
    cr_assert_str_neq(a, b);
    cr_assert(password_valid(span_str(a)) && password_is_slow(span_str(a)));
    cr_assert(fits(a, "secret") && fits(b, "secret"));
    cr_assert(!fits(a, "secreT") && !fits(a, ""));
    cr_assert(!fits(password_decoy(), "secret"));
    cr_assert(password_valid(span_str(password_decoy())) && password_is_slow(span_str(password_decoy())));
    cr_assert(!password_is_slow(span_str(RABBITMQ_256)) && !password_is_slow(span_str("")));
}

Test(password, a_digest_tells_text_and_password_apart)
{
    static const uint8_t secrets[2][PASSWORD_DIGEST_BYTES] = {{1}, {2}};
    uint8_t first[PASSWORD_DIGEST_BYTES], other[PASSWORD_DIGEST_BYTES];
    password_digest(first, secrets[0], span_str("ab"), span_str("c"));
    password_digest(other, secrets[0], span_str("ab"), span_str("c"));
    cr_assert(password_digest_equal(first, other));
    password_digest(other, secrets[0], span_str("a"), span_str("bc"));
    cr_assert(!password_digest_equal(first, other));
    password_digest(other, secrets[1], span_str("ab"), span_str("c"));
    cr_assert(!password_digest_equal(first, other));
}

Test(password, rabbitmqs_fit)
{
    cr_assert(password_valid(span_str(RABBITMQ_256)));
    cr_assert(fits(RABBITMQ_256, "test12"));
    cr_assert(!fits(RABBITMQ_256, "test13"));
}

Test(password, nobody_logs_in_without_one)
{
    cr_assert(password_valid(span_str("")));
    cr_assert(!fits("", ""));
    cr_assert(!fits("", "x"));
}

Test(password, other_texts_are_none)
{
    static const char *const wrong[] = {
        "secret",         "sha256:",
        "sha256:AAAA",    "sha512:kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
        "md5:AAAA",       RABBITMQ_256 "A",
        RABBITMQ_256 "=", "sha256:!!!!",
        "$argon2i$v=19"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert(!password_valid(span_str(wrong[i])), "%s", wrong[i]);
        cr_assert(!fits(wrong[i], "secret"));
    }
}
