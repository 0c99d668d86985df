#include "tls.h"

#include <stdio.h>
#include <string.h>

#include "listener_kinds.h"
#include "transport/tls_context.h"
#include "transport/tls_expiry.h"

static struct tls_settings settings(const struct config *config)
{
    return (struct tls_settings){
        .certificate = config->tls_certificate,
        .key = config->tls_key,
        .ca = config->tls_ca,
        .verify = config->tls_verify,
        .versions = (const char *const *)config->tls_versions.item,
        .version_count = config->tls_versions.count,
        .ciphers = config->tls_ciphers,
    };
}

static const char *const logins[] = {[CERTIFICATE_NONE] = "none",
                                     [CERTIFICATE_COMMON_NAME] = "common_name",
                                     [CERTIFICATE_DNS] = "dns",
                                     [CERTIFICATE_EMAIL] = "email"};

enum { LOGINS = sizeof logins / sizeof *logins };

static unsigned login_of(const struct config *config)
{
    unsigned i = 0;
    while (i < LOGINS && strcmp(config->tls_login, logins[i]) != 0)
        i++;
    return i;
}

enum certificate_name tls_login(const struct config *config)
{
    unsigned i = login_of(config);
    return i < LOGINS ? (enum certificate_name)i : CERTIFICATE_NONE;
}

bool tls_contexts_make(const struct config *config, struct tls_context **contexts, unsigned n, char *error,
                       size_t error_size)
{
    const struct tls_settings all = settings(config);
    if (!listener_wants(config, LAYER_TLS))
        return true;
    if (login_of(config) == LOGINS) {
        snprintf(error, error_size, "tls.login: '%s' is none of none, common_name, dns and email",
                 config->tls_login);
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        contexts[i] = tls_context_new(&all, i ? contexts[0] : NULL, error, error_size);
        if (!contexts[i])
            return false;
    }
    return true;
}

void tls_contexts_free(struct tls_context **contexts, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        tls_context_free(contexts[i]);
}

void tls_certificates_write(const struct config *config, FILE *out)
{
    const char *files[] = {config->tls_certificate, config->tls_ca};
    fputs("ok\nfile\texpires#\n", out);
    for (unsigned i = 0; i < 2 && listener_wants(config, LAYER_TLS); i++)
        if (*files[i])
            fprintf(out, "%s\t%lld\n", files[i], (long long)tls_expiry(files[i]));
}
