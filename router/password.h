/*
 * What is kept of a password, as text: "" (nobody logs in with one), "sha256:" or "sha512:" and then base64
 * of four bytes of salt and the digest of salt and password, as RabbitMQ has them, or libsodium's
 * "$argon2id$...".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

#define PASSWORD_TEXT_BYTES 160u                /* of a text, with its NUL */
#define PASSWORD_BYTES      (19u * 1024 * 1024) /* of memory, while argon2id looks at one or makes one */

enum { PASSWORD_SALT_BYTES = 16, PASSWORD_QUICK_SALT_BYTES = 4, PASSWORD_DIGEST_BYTES = 32 };

/* Before anything else here; once, before there are threads. */
void password_start(void);

/* Whether the text is one of these. */
bool password_valid(struct span text);
/* Makes one with argon2id: tens of milliseconds and PASSWORD_BYTES. False: there is no such memory. */
bool password_make(char text[PASSWORD_TEXT_BYTES], struct span password,
                   const uint8_t salt[PASSWORD_SALT_BYTES]);
/* Makes one with RabbitMQ's salted SHA-256: a few microseconds, for the simulator's users. */
void password_make_quick(char text[PASSWORD_TEXT_BYTES], struct span password,
                         const uint8_t salt[PASSWORD_QUICK_SALT_BYTES]);
/* Takes one that has been hashed elsewhere: "rabbit_password_hashing_sha256:" (or _sha512:) and what RabbitMQ
 * exports as password_hash, which may be empty (nobody logs in with a password); or "argon2id:" and one of
 * password_make. False, with one sentence in why: it isn't one, or another hash. */
bool password_import(char text[PASSWORD_TEXT_BYTES], struct span hashed, char *why, size_t size);
/* The other way: what is exported of a text, from which password_import makes it again: the algorithm's name,
 * and the hash, which is empty if nobody logs in with a password. */
void password_export(struct span text, struct span *algorithm, struct span *hash);
/* Whether it takes long to find out whether a password fits this text. */
bool password_is_slow(struct span text);
/* A text that takes as long, and that no password fits that anybody knows. */
const char *password_decoy(void);
/* A digest of a text and a password under a secret: who has seen that they fit knows them again by it. */
void password_digest(uint8_t digest[PASSWORD_DIGEST_BYTES], const uint8_t secret[PASSWORD_DIGEST_BYTES],
                     struct span text, struct span password);
bool password_digest_equal(const uint8_t a[PASSWORD_DIGEST_BYTES], const uint8_t b[PASSWORD_DIGEST_BYTES]);
/* Whether the password is the one the text was made of. The time it takes doesn't depend on where it differs.
 */
bool password_fits(struct span text, struct span password);
