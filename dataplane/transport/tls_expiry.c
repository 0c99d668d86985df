#include "transport/tls_expiry.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>

static int64_t end_of(const X509 *certificate)
{
    struct tm end;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 ? (int64_t)timegm(&end) : 0;
}

int64_t tls_expiry(const char *file)
{
    int64_t first = 0;
    FILE *in = fopen(file, "re");
    for (X509 *certificate; in && (certificate = PEM_read_X509(in, NULL, NULL, NULL));) {
        int64_t end = end_of(certificate);
        if (!first || end < first)
            first = end;
        X509_free(certificate);
    }
    ERR_clear_error(); /* the end of the file is one to OpenSSL */
    if (in)
        fclose(in);
    return first;
}
