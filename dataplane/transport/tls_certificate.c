#include "transport/tls_certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool tls_fail(struct tls_trouble trouble, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(trouble.error, trouble.size, format, args);
    va_end(args);
    return false;
}

const char *tls_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "it is not what OpenSSL expects";
}

/* OpenSSL's own words for a file that isn't there are not for people. */
bool tls_readable(const char *option, const char *path, struct tls_trouble trouble)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return tls_fail(trouble, "%s: cannot read %s: %s", option, path, strerror(errno));
    fclose(file);
    return true;
}

/* Nobody is there to be asked. */
static int no_password(char *to, int size, int writing, void *user)
{
    (void)to, (void)size, (void)writing, (void)user;
    return 0;
}

bool tls_certificate_load(SSL_CTX *ssl, const struct tls_pair *pair, struct tls_trouble trouble)
{
    if (!tls_readable(pair->certificate_option, pair->certificate, trouble) ||
        !tls_readable(pair->key_option, pair->key, trouble))
        return false;
    SSL_CTX_set_default_passwd_cb(ssl, no_password);
    if (SSL_CTX_use_certificate_chain_file(ssl, pair->certificate) != 1)
        return tls_fail(trouble, "%s: %s holds no certificate in PEM form that can be used: %s",
                        pair->certificate_option, pair->certificate, tls_reason());
    bool read = SSL_CTX_use_PrivateKey_file(ssl, pair->key, SSL_FILETYPE_PEM) == 1;
    if (read && SSL_CTX_check_private_key(ssl) == 1)
        return true;
    if (read || ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return tls_fail(trouble,
                        "%s: the key in %s does not belong to the certificate in %s: they are of two pairs",
                        pair->key_option, pair->key, pair->certificate);
    return tls_fail(trouble, "%s: %s holds no private key in PEM form without a password: %s",
                    pair->key_option, pair->key, tls_reason());
}
