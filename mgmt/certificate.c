#include "certificate.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WARN_DAYS = 30, DAY_S = 24 * 3600, CHAIN_MAX = 16 };

/* Each handshake gets a copy of its own, which GnuTLS frees: nobody counts who still has the one before a
 * reload. */
static struct {
    pthread_mutex_t lock;
    const char *file;
    gnutls_datum_t chain, key; /* as the files have them */
    int64_t expires;
} served = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct loaded {
    gnutls_datum_t chain, key;
    int64_t expires;
};

static bool load_file(const char *option, const char *file, gnutls_datum_t *to, char *error,
                      size_t error_size)
{
    errno = 0;
    if (gnutls_load_file(file, to) == 0)
        return true;
    snprintf(error, error_size, "%s: cannot read %s: %s", option, file,
             errno ? strerror(errno) : "it is no file");
    return false;
}

/* In seconds since 1970; -1: they can't be used, and *failed says why. */
static int64_t first_end(const gnutls_datum_t *chain, int *failed)
{
    gnutls_x509_crt_t list[CHAIN_MAX];
    unsigned n = CHAIN_MAX;
    int64_t first = -1;
    *failed = gnutls_x509_crt_list_import(list, &n, chain, GNUTLS_X509_FMT_PEM,
                                          GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    for (unsigned i = 0; *failed >= 0 && i < n; i++) {
        int64_t end = (int64_t)gnutls_x509_crt_get_expiration_time(list[i]);
        first = i == 0 || end < first ? end : first;
        gnutls_x509_crt_deinit(list[i]);
    }
    return first;
}

static int key_trouble(const gnutls_datum_t *key)
{
    gnutls_privkey_t private;
    int failed = gnutls_privkey_init(&private);
    if (failed)
        return failed;
    failed = gnutls_privkey_import_x509_raw(private, key, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_privkey_deinit(private);
    return failed;
}

static int pair_trouble(const gnutls_datum_t *chain, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t both;
    int failed = gnutls_certificate_allocate_credentials(&both);
    if (failed)
        return failed;
    failed = gnutls_certificate_set_x509_key_mem(both, chain, key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(both);
    return failed < 0 ? failed : 0;
}

static bool load(const char *file, const char *key_file, struct loaded *to, char *error, size_t error_size)
{
    int failed;
    if (!load_file("--certificate", file, &to->chain, error, error_size) ||
        !load_file("--key", key_file, &to->key, error, error_size))
        return false;
    to->expires = first_end(&to->chain, &failed);
    if (to->expires < 0)
        snprintf(error, error_size, "--certificate: %s holds no certificate in PEM form that can be used: %s",
                 file, gnutls_strerror(failed));
    else if ((failed = key_trouble(&to->key)))
        snprintf(error, error_size, "--key: %s holds no private key in PEM form without a password: %s",
                 key_file, gnutls_strerror(failed));
    else if ((failed = pair_trouble(&to->chain, &to->key)))
        snprintf(error, error_size, "--key: the key in %s does not belong to the certificate in %s: %s",
                 key_file, file, gnutls_strerror(failed));
    else
        return true;
    return false;
}

static void forget(gnutls_datum_t *text)
{
    if (text->data)
        explicit_bzero(text->data, text->size);
    gnutls_free(text->data);
}

bool certificate_read(const char *file, const char *key_file, char *error, size_t error_size)
{
    struct loaded fresh = {0};
    bool ok = load(file, key_file, &fresh, error, error_size);
    if (ok) {
        struct loaded old;
        pthread_mutex_lock(&served.lock);
        old = (struct loaded){served.chain, served.key, served.expires};
        served.file = file;
        served.chain = fresh.chain;
        served.key = fresh.key;
        served.expires = fresh.expires;
        pthread_mutex_unlock(&served.lock);
        fresh = old;
    }
    forget(&fresh.chain);
    forget(&fresh.key);
    return ok;
}

int64_t certificate_expires(void)
{
    pthread_mutex_lock(&served.lock);
    int64_t expires = served.expires;
    pthread_mutex_unlock(&served.lock);
    return expires;
}

void certificate_warn(int64_t now)
{
    int64_t end = certificate_expires();
    if (end <= now)
        fprintf(stderr,
                "gannet-mgmtd: the certificate in %s has ended: clients that check it do not connect; put a "
                "new one there and send SIGHUP\n",
                served.file);
    else if (end < now + WARN_DAYS * DAY_S)
        fprintf(stderr,
                "gannet-mgmtd: the certificate in %s ends in %d days; put a new one there and send SIGHUP\n",
                served.file, (int)((end - now) / DAY_S));
}

static int copy(gnutls_pcert_st *certs, unsigned *n, gnutls_privkey_t *key)
{
    int failed = gnutls_privkey_init(key);
    if (failed)
        return failed;
    pthread_mutex_lock(&served.lock);
    failed = gnutls_privkey_import_x509_raw(*key, &served.key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (!failed)
        failed = gnutls_pcert_list_import_x509_raw(certs, n, &served.chain, GNUTLS_X509_FMT_PEM, 0);
    pthread_mutex_unlock(&served.lock);
    if (failed)
        gnutls_privkey_deinit(*key);
    return failed;
}

int certificate_show(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                     gnutls_pcert_st **certs, unsigned *certs_length, gnutls_ocsp_data_st **ocsp,
                     unsigned *ocsp_length, gnutls_privkey_t *key, unsigned *flags)
{
    (void)session, (void)info;
    *certs_length = CHAIN_MAX;
    *certs = gnutls_calloc(CHAIN_MAX, sizeof **certs);
    *ocsp = NULL;
    *ocsp_length = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    if (*certs && copy(*certs, certs_length, key) == 0)
        return 0;
    gnutls_free(*certs);
    *certs = NULL;
    return -1;
}
