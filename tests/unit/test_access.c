#include <criterion/criterion.h>
#include <string.h>

#include "router/access.h"

static const char *const vhosts[] = {"/", "trading", "a/b"};

static struct access *access_for(const char *user, const char *password, bool loopback_only)
{
    char error[200] = "";
    struct access *access = access_new(vhosts, 3, user, password, loopback_only, error, sizeof error);
    cr_assert(access, "%s", error);
    return access;
}

static bool login(const struct access *access, const char *user, const char *password, bool loopback)
{
    return access_login(access, span_str(user), span_str(password), loopback);
}

Test(access, only_the_right_name_and_password_log_in)
{
    struct access *access = access_for("guest", "secret", false);
    cr_assert(login(access, "guest", "secret", false));
    cr_assert(login(access, "guest", "secret", true));
    cr_assert(!login(access, "guest", "secre", true));
    cr_assert(!login(access, "guest", "secret ", true));
    cr_assert(!login(access, "guest", "Secret", true));
    cr_assert(!login(access, "guest", "", true));
    cr_assert(!login(access, "Guest", "secret", true));
    cr_assert(!login(access, "", "secret", true));
    cr_assert(!access_login(access, span_of("guest\0", 6), span_str("secret"), true));
    cr_assert(!access_login(access, span_str("guest"), span_of("secret\0", 7), true));
    cr_assert(!access_login(access, span_of(NULL, 0), span_of(NULL, 0), true));
    access_free(access);
}

Test(access, loopback_users_log_in_from_this_machine_only)
{
    struct access *access = access_for("guest", "guest", true);
    cr_assert(login(access, "guest", "guest", true));
    cr_assert(!login(access, "guest", "guest", false));
    access_free(access);
}

Test(access, an_empty_password_must_be_given_as_one)
{
    struct access *access = access_for("guest", "", false);
    cr_assert(login(access, "guest", "", false));
    cr_assert(!login(access, "guest", "x", false));
    access_free(access);
}

Test(access, virtual_hosts_have_ids)
{
    struct access *access = access_for("guest", "guest", true);
    cr_assert_eq(access_vhosts(access), 3);
    for (size_t i = 0; i < 3; i++) {
        uint32_t id = access_vhost(access, span_str(vhosts[i]));
        cr_assert_neq(id, 0);
        cr_assert_eq(id, access_vhost_at(access, i));
        cr_assert_str_eq(access_vhost_name(access, id), vhosts[i]);
    }
    cr_assert_eq(access_vhost(access, span_str("")), 0);
    cr_assert_eq(access_vhost(access, span_str("trad")), 0);
    cr_assert_eq(access_vhost(access, span_of("/\0", 2)), 0);
    cr_assert_str_eq(access_vhost_name(access, 12345), "?");
    access_free(access);
}

/* They stand in journals: another value would lose what is in them at an upgrade. */
Test(access, ids_never_change)
{
    struct access *access = access_for("guest", "guest", true);
    cr_assert_eq(access_vhost(access, span_str("/")), UINT32_C(3889361977));
    cr_assert_eq(access_vhost(access, span_str("trading")), UINT32_C(1645025432));
    access_free(access);
}

Test(access, a_configuration_without_virtual_hosts_is_refused)
{
    char error[200] = "";
    cr_assert_null(access_new(vhosts, 0, "guest", "guest", true, error, sizeof error));
    cr_assert_str_eq(error, "no virtual host is configured: set vhosts = /");
}

Test(access, two_virtual_hosts_with_one_id_are_refused)
{
    const char *const twice[] = {"/", "trading", "/"};
    char error[200] = "";
    cr_assert_null(access_new(twice, 3, "guest", "guest", true, error, sizeof error));
    cr_assert_str_eq(error, "the virtual hosts '/' and '/' have the same id: rename one of them");
}
