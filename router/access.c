#include "router/access.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/map.h"

struct access {
    char *user, *password;
    bool loopback_only;
    size_t count;
    struct vhost {
        char *name;
        uint32_t id;
    } vhosts[];
};

static char *copy(const char *s)
{
    char *c = strdup(s);
    CHECK(c);
    return c;
}

static uint32_t id_of(const char *name)
{
    uint32_t id = (uint32_t)hash_bytes(span_str(name), 0);
    return id ? id : 1;
}

struct access *access_new(const char *const *vhosts, size_t n, const char *user, const char *password,
                          bool loopback_only, char *error, size_t error_size)
{
    struct access *access = calloc(1, sizeof *access + n * sizeof access->vhosts[0]);
    CHECK(access);
    access->user = copy(user);
    access->password = copy(password);
    access->loopback_only = loopback_only;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = id_of(vhosts[i]);
        for (size_t j = 0; j < i; j++)
            if (access->vhosts[j].id == id) {
                snprintf(error, error_size,
                         "the virtual hosts '%s' and '%s' have the same id: rename one of them",
                         access->vhosts[j].name, vhosts[i]);
                access_free(access);
                return NULL;
            }
        access->vhosts[access->count++] = (struct vhost){copy(vhosts[i]), id};
    }
    if (n)
        return access;
    snprintf(error, error_size, "no virtual host is configured: set vhosts = /");
    access_free(access);
    return NULL;
}

void access_free(struct access *access)
{
    for (size_t i = 0; i < access->count; i++)
        free(access->vhosts[i].name);
    free(access->user);
    free(access->password);
    free(access);
}

bool access_login(const struct access *access, struct span user, struct span password, bool loopback)
{
    size_t len = strlen(access->password);
    bool same = password.len == len && CRYPTO_memcmp(password.at, access->password, len) == 0;
    return span_is(user, access->user) && same && (loopback || !access->loopback_only);
}

struct span access_guest(const struct access *access)
{
    return span_str(access->user);
}

uint32_t access_vhost(const struct access *access, struct span name)
{
    for (size_t i = 0; i < access->count; i++)
        if (span_is(name, access->vhosts[i].name))
            return access->vhosts[i].id;
    return 0;
}

const char *access_vhost_name(const struct access *access, uint32_t id)
{
    for (size_t i = 0; i < access->count; i++)
        if (access->vhosts[i].id == id)
            return access->vhosts[i].name;
    return "?";
}

size_t access_vhosts(const struct access *access)
{
    return access->count;
}

uint32_t access_vhost_at(const struct access *access, size_t i)
{
    return access->vhosts[i].id;
}
