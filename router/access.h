/* Who may use what: users and virtual hosts, as the configuration names them. Made at start, read-only from
 * then on, shared. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct access;

/* vhosts: names, n of them. loopback_only: the user may log in from this machine only. Returns NULL with one
 * sentence in error if two virtual hosts' ids are the same (then one must be renamed) or there is none. */
struct access *access_new(const char *const *vhosts, size_t n, const char *user, const char *password,
                          bool loopback_only, char *error, size_t error_size);
void access_free(struct access *access);

/* Compares in a time that doesn't depend on where the password differs. */
bool access_login(const struct access *access, struct span user, struct span password, bool loopback);
/* The name of the user that who gives none is taken for. */
struct span access_guest(const struct access *access);
/* The id of a virtual host: a function of its name only, as it stands in journals. 0 if there is none of that
 * name. */
uint32_t access_vhost(const struct access *access, struct span name);
/* Its name, or "?" for an id that isn't configured. */
const char *access_vhost_name(const struct access *access, uint32_t id);
size_t access_vhosts(const struct access *access);
uint32_t access_vhost_at(const struct access *access, size_t i);
