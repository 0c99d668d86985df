#include "transport/tls_name.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

/* As UTF-8. A name with a NUL in it is meant to be taken for another. */
static size_t take(const ASN1_STRING *text, uint8_t *to, size_t room)
{
    unsigned char *utf8 = NULL;
    int n = ASN1_STRING_to_UTF8(&utf8, text);
    size_t len = n > 0 && (size_t)n <= room && !memchr(utf8, 0, (size_t)n) ? (size_t)n : 0;
    if (len)
        memcpy(to, utf8, len);
    OPENSSL_free(utf8);
    return len;
}

static size_t common_name(const X509 *certificate, uint8_t *to, size_t room)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return 0;
    return take(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), to, room);
}

static size_t alternative_name(const X509 *certificate, int type, uint8_t *to, size_t room)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const ASN1_STRING *found = NULL;
    int count = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == type && count++ == 0)
            found = type == GEN_DNS ? name->d.dNSName : name->d.rfc822Name;
    }
    size_t len = count == 1 ? take(found, to, room) : 0;
    GENERAL_NAMES_free(names);
    return len;
}

size_t tls_name(const struct ssl_st *ssl, enum certificate_name which, uint8_t *to, size_t room)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK)
        return 0;
    switch (which) {
    case CERTIFICATE_COMMON_NAME:
        return common_name(certificate, to, room);
    case CERTIFICATE_DNS:
        return alternative_name(certificate, GEN_DNS, to, room);
    case CERTIFICATE_EMAIL:
        return alternative_name(certificate, GEN_EMAIL, to, room);
    case CERTIFICATE_NONE:
        break;
    }
    return 0;
}
