#include "tls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"
#include "listener_kinds.h"
#include "transport/tls_context.h"
#include "transport/tls_expiry.h"
#include "transport/tls_names.h"

enum { WARN_DAYS = 30, DAY_S = 24 * 3600 };

/* A file that certificates have been read from. */
struct read {
    char *path;
    int64_t expires; /* in seconds since 1970; 0: unknown */
};

struct tls_service {
    struct tls_context *context[FRONTS_MAX];
    struct read *read;
    unsigned count;
    pthread_mutex_t
        lock; /* of read and count: the control thread looks at them while a reload changes them */
};

/* ---- tls.login ------------------------------------------------------------------------------------------
 */

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

static bool login_check(const struct config *config, char *error, size_t error_size)
{
    if (login_of(config) < LOGINS)
        return true;
    snprintf(error, error_size, "tls.login: '%s' is none of none, common_name, dns and email",
             config->tls_login);
    return false;
}

/* ---- contexts -------------------------------------------------------------------------------------------
 */

static struct tls_settings settings(const struct config *config, struct tls_names *names, uint64_t now_ns)
{
    return (struct tls_settings){
        .certificate = config->tls_certificate,
        .key = config->tls_key,
        .ca = config->tls_ca,
        .verify = config->tls_verify,
        .versions = (const char *const *)config->tls_versions.item,
        .version_count = config->tls_versions.count,
        .ciphers = config->tls_ciphers,
        .names = names,
        .now_ns = now_ns,
    };
}

static void add_read(struct tls_service *service, const char *path)
{
    if (!*path)
        return;
    service->read = reallocarray(service->read, service->count + 1, sizeof *service->read);
    CHECK(service->read);
    struct read *read = &service->read[service->count++];
    *read = (struct read){.path = strdup(path), .expires = tls_expiry(path)};
    CHECK(read->path);
}

static bool make(struct tls_service *service, const struct tls_settings *all, unsigned fronts, char *error,
                 size_t error_size)
{
    for (unsigned i = 0; i < fronts; i++) {
        service->context[i] = tls_context_new(all, i ? service->context[0] : NULL, error, error_size);
        if (!service->context[i])
            return false;
    }
    add_read(service, all->certificate);
    add_read(service, all->ca);
    const char *path;
    for (unsigned i = 0; all->names && (path = tls_names_file(all->names, i)); i++)
        add_read(service, path);
    return true;
}

struct tls_service *tls_service_new(const struct config *config, unsigned fronts, uint64_t now_ns,
                                    char *error, size_t error_size)
{
    struct tls_names *names = NULL;
    struct tls_service *service = calloc(1, sizeof *service);
    CHECK(service && pthread_mutex_init(&service->lock, NULL) == 0);
    bool ok = login_check(config, error, error_size);
    if (ok && *config->tls_directory) {
        names = tls_names_new("tls.directory", config->tls_directory, error, error_size);
        ok = names;
    }
    const struct tls_settings all = settings(config, names, now_ns);
    ok = ok && make(service, &all, fronts, error, error_size);
    tls_names_free(names); /* each context has its own hold */
    if (ok)
        return service;
    tls_service_free(service);
    return NULL;
}

void tls_service_free(struct tls_service *service)
{
    if (!service)
        return;
    for (unsigned i = 0; i < FRONTS_MAX; i++)
        tls_context_free(service->context[i]);
    for (unsigned i = 0; i < service->count; i++)
        free(service->read[i].path);
    free(service->read);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

void tls_service_renew(struct tls_service *service, struct tls_service *fresh)
{
    struct read *read = service->read;
    unsigned count = service->count;
    for (unsigned i = 0; i < FRONTS_MAX; i++) {
        struct tls_context *context = service->context[i];
        service->context[i] = fresh->context[i];
        fresh->context[i] = context;
    }
    pthread_mutex_lock(&service->lock);
    service->read = fresh->read;
    service->count = fresh->count;
    pthread_mutex_unlock(&service->lock);
    fresh->read = read;
    fresh->count = count;
    tls_service_free(fresh);
}

struct tls_context *tls_service_context(const struct tls_service *service, unsigned front)
{
    return service->context[front];
}

/* ---- until when -----------------------------------------------------------------------------------------
 */

static void warn(const struct read *read, int64_t now)
{
    char date[32] = "";
    time_t end = (time_t)read->expires;
    struct tm utc;
    if (gmtime_r(&end, &utc))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc);
    if (read->expires <= now)
        log_line(
            LOG_ERROR, "main",
            "the certificate in %s ended on %s: clients that check it do not connect; put a new one there "
            "and send SIGHUP",
            read->path, date);
    else
        log_line(LOG_WARNING, "main",
                 "the certificate in %s ends on %s, in %d days; put a new one there and send SIGHUP",
                 read->path, date, (int)((read->expires - now) / DAY_S));
}

void tls_service_warn(const struct tls_service *service, uint64_t wall_ns)
{
    int64_t now = (int64_t)(wall_ns / 1000000000);
    for (unsigned i = 0; service && i < service->count; i++)
        if (service->read[i].expires && service->read[i].expires < now + WARN_DAYS * DAY_S)
            warn(&service->read[i], now);
}

/* A reload doesn't wait for whoever reads the answer. */
void tls_service_write(struct tls_service *service, FILE *out)
{
    char *text = NULL;
    size_t size;
    FILE *copy = service ? open_memstream(&text, &size) : NULL;
    fputs("ok\nfile\texpires#\n", out);
    if (!copy)
        return;
    pthread_mutex_lock(&service->lock);
    for (unsigned i = 0; i < service->count; i++)
        fprintf(copy, "%s\t%lld\n", service->read[i].path, (long long)service->read[i].expires);
    pthread_mutex_unlock(&service->lock);
    fclose(copy);
    fputs(text, out);
    free(text);
}
