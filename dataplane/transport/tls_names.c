#include "transport/tls_names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "transport/tls_certificate.h"

enum { NAME_BYTES = 256 /* of a host, with its NUL: RFC 1035, section 2.3.4 */ };

struct shown {
    char *file;
    X509 *certificate;
    EVP_PKEY *key;
    STACK_OF(X509) * chain;
};

struct row {
    char *name; /* in small letters */
    unsigned shown;
};

struct tls_names {
    struct shown *shown;
    unsigned count;
    struct row *rows; /* in the order of their names */
    size_t row_count;
    atomic_uint users;
};

/* ---- the names ---------------------------------------------------------------------------------------- */

/* Returns false if it is too long for a host's name. */
static bool lower(char to[NAME_BYTES], const char *from, size_t n)
{
    if (n >= NAME_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        to[i] = (char)tolower((unsigned char)from[i]);
    to[n] = '\0';
    return true;
}

/* One with a NUL in it is meant to be taken for another. */
static void add_name(struct tls_names *names, const ASN1_STRING *text)
{
    char name[NAME_BYTES];
    size_t n = (size_t)ASN1_STRING_length(text);
    const char *at = (const char *)ASN1_STRING_get0_data(text);
    if (n == 0 || memchr(at, 0, n) || !lower(name, at, n))
        return;
    names->rows = reallocarray(names->rows, names->row_count + 1, sizeof *names->rows);
    CHECK(names->rows);
    struct row *row = &names->rows[names->row_count++];
    *row = (struct row){.name = strdup(name), .shown = names->count - 1};
    CHECK(row->name);
}

/* Of the certificate added last. */
static bool add_names(struct tls_names *names, struct tls_trouble trouble)
{
    const struct shown *shown = &names->shown[names->count - 1];
    size_t before = names->row_count;
    GENERAL_NAMES *found = X509_get_ext_d2i(shown->certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(found); i++)
        if (sk_GENERAL_NAME_value(found, i)->type == GEN_DNS)
            add_name(names, sk_GENERAL_NAME_value(found, i)->d.dNSName);
    GENERAL_NAMES_free(found);
    const X509_NAME *subject = X509_get_subject_name(shown->certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (names->row_count == before && at >= 0)
        add_name(names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    return names->row_count > before ||
           tls_fail(trouble, "%s: the certificate has no DNS name, so that nobody can ask for it",
                    shown->file);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

/* One certificate may name something twice. */
static bool sort(struct tls_names *names, struct tls_trouble trouble)
{
    if (names->row_count)
        qsort(names->rows, names->row_count, sizeof *names->rows, by_name);
    for (size_t i = 1; i < names->row_count; i++) {
        const struct row *a = &names->rows[i - 1], *b = &names->rows[i];
        if (a->shown != b->shown && strcmp(a->name, b->name) == 0)
            return tls_fail(trouble, "%s and %s are both for the name %s: leave one",
                            names->shown[a->shown].file, names->shown[b->shown].file, a->name);
    }
    return true;
}

static const struct shown *find(const struct tls_names *names, const char *name)
{
    const struct row key = {.name = (char *)(uintptr_t)name};
    const struct row *row =
        names->row_count ? bsearch(&key, names->rows, names->row_count, sizeof key, by_name) : NULL;
    return row ? &names->shown[row->shown] : NULL;
}

bool tls_names_use(const struct tls_names *names, const char *name, SSL *ssl)
{
    char wanted[NAME_BYTES];
    if (!lower(wanted, name, strlen(name)))
        return true;
    const struct shown *shown = find(names, wanted);
    char *dot = strchr(wanted, '.');
    if (!shown && dot && dot > wanted) {
        dot[-1] = '*';
        shown = find(names, dot - 1);
    }
    if (!shown)
        return true;
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, shown->certificate, shown->key, shown->chain, 1) == 1;
}

const char *tls_names_file(const struct tls_names *names, unsigned i)
{
    return i < names->count ? names->shown[i].file : NULL;
}

/* ---- the directory ------------------------------------------------------------------------------------ */

/* OpenSSL loads files into contexts only: what is wanted is taken out of one. */
static bool load(struct shown *shown, const struct tls_pair *pair, struct tls_trouble trouble)
{
    STACK_OF(X509) *chain = NULL;
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    CHECK(ssl);
    ERR_clear_error();
    bool ok = tls_certificate_load(ssl, pair, trouble);
    if (ok) {
        shown->certificate = SSL_CTX_get0_certificate(ssl);
        shown->key = SSL_CTX_get0_privatekey(ssl);
        SSL_CTX_get0_chain_certs(ssl, &chain);
        CHECK(X509_up_ref(shown->certificate) && EVP_PKEY_up_ref(shown->key));
        shown->chain = chain ? X509_chain_up_ref(chain) : NULL;
    }
    ERR_clear_error();
    SSL_CTX_free(ssl);
    return ok;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && *name != '.' && strcmp(name + n - m, end) == 0;
}

static char *path_of(const char *directory, const char *name, size_t len, const char *end)
{
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%.*s%s", directory, (int)len, name, end) >= 0);
    return path;
}

static bool add(struct tls_names *names, const char *option, const char *directory, const char *name,
                struct tls_trouble trouble)
{
    size_t len = strlen(name) - strlen(".pem");
    char *file = path_of(directory, name, len, ".pem"), *key = path_of(directory, name, len, ".key");
    names->shown = reallocarray(names->shown, names->count + 1, sizeof *names->shown);
    CHECK(names->shown);
    struct shown *shown = &names->shown[names->count++];
    *shown = (struct shown){.file = file};
    bool ok =
        load(shown, &(struct tls_pair){option, file, option, key}, trouble) && add_names(names, trouble);
    free(key);
    return ok;
}

/* A key without a certificate is a slip: a certificate that was meant to be served isn't. */
static bool has_certificate(const char *option, const char *directory, const char *name,
                            struct tls_trouble trouble)
{
    char *certificate = path_of(directory, name, strlen(name) - strlen(".key"), ".pem");
    bool ok = tls_readable(option, certificate, trouble);
    free(certificate);
    return ok;
}

static int is_wanted(const struct dirent *entry)
{
    return ends_with(entry->d_name, ".pem") || ends_with(entry->d_name, ".key");
}

struct tls_names *tls_names_new(const char *option, const char *directory, char *error, size_t error_size)
{
    const struct tls_trouble trouble = {error, error_size};
    struct tls_names *names = calloc(1, sizeof *names);
    struct dirent **entries = NULL;
    CHECK(names);
    atomic_init(&names->users, 1);
    int n = scandir(directory, &entries, is_wanted, alphasort);
    bool ok = n >= 0 ||
              tls_fail(trouble, "%s: cannot read the directory %s: %s", option, directory, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        ok = ok && (ends_with(name, ".pem") ? add(names, option, directory, name, trouble)
                                            : has_certificate(option, directory, name, trouble));
        free(entries[i]);
    }
    free(entries);
    if (ok && sort(names, trouble))
        return names;
    tls_names_free(names);
    return NULL;
}

struct tls_names *tls_names_share(struct tls_names *names)
{
    atomic_fetch_add_explicit(&names->users, 1, memory_order_relaxed);
    return names;
}

void tls_names_free(struct tls_names *names)
{
    if (!names || atomic_fetch_sub_explicit(&names->users, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned i = 0; i < names->count; i++) {
        free(names->shown[i].file);
        X509_free(names->shown[i].certificate);
        EVP_PKEY_free(names->shown[i].key);
        sk_X509_pop_free(names->shown[i].chain, X509_free);
    }
    for (size_t i = 0; i < names->row_count; i++)
        free(names->rows[i].name);
    free(names->shown);
    free(names->rows);
    free(names);
}
