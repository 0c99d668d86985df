#include "tls.h"

#include "listener_kinds.h"
#include "transport/tls_context.h"

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

bool tls_contexts_make(const struct config *config, struct tls_context **contexts, unsigned n, char *error,
                       size_t error_size)
{
    const struct tls_settings all = settings(config);
    if (!listener_wants(config, LAYER_TLS))
        return true;
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
