/* Paths, queries and Authorization headers as they come. */
#include <criterion/criterion.h>
#include <string.h>

#include "mgmt/basic.h"
#include "mgmt/route.h"

Test(api_path, pieces)
{
    struct path path;
    cr_assert_null(path_split(&path, "/api/queues/%2F/a%20b%2f%C3%BC%2525+/"));
    cr_expect_eq(path.count, 4);
    cr_expect_str_eq(path.segment[2], "/");
    cr_expect_str_eq(path.segment[3], "a b/\xc3\xbc%25+");
    cr_assert_null(path_split(&path, "/"));
    cr_expect_eq(path.count, 0);
    char longest[1 + 255 * 3 + 2] = "/";
    for (unsigned i = 0; i < 255; i++)
        memcpy(longest + 1 + 3 * i, "%41", 4);
    cr_assert_null(path_split(&path, longest));
    cr_expect_eq(strlen(path.segment[0]), 255);
    longest[sizeof longest - 2] = 'A';
    cr_expect_not_null(path_split(&path, longest));
    static const char *const bad[] = {
        "",     "a",    "//",     "/a//b", "/%",   "/%4",        "/%4/1",
        "/%zz", "/%00", "/a%00b", "/%ff",  "/%c3", "/%ed%a0%80", "/1/2/3/4/5/6/7/8/9/10/11"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not_null(path_split(&path, bad[i]), "%s", bad[i]);
}

static const struct route *find(enum method method, const char *raw, struct call *call, unsigned *known)
{
    cr_assert_null(path_split(&call->path, raw));
    return route_find(method, &call->path, call->argument, known);
}

Test(api_path, routes)
{
    struct call call;
    unsigned known;
    const struct route *route = find(METHOD_PUT, "/api/permissions/%2F/u", &call, &known);
    cr_assert_not_null(route);
    cr_expect_str_eq(route_argument(route, &call, "vhost"), "/");
    cr_expect_str_eq(route_argument(route, &call, "user"), "u");
    cr_expect_null(route_argument(route, &call, "name"));
    /* A word wins over a name, for every method. */
    cr_expect_str_eq(find(METHOD_POST, "/api/users/bulk-delete", &call, &known)->path,
                     "/api/users/bulk-delete");
    cr_expect_null(find(METHOD_GET, "/api/users/bulk-delete", &call, &known));
    cr_expect_eq(known, 1u << METHOD_POST);
    cr_expect_null(find(METHOD_GET, "/api/nothing", &call, &known));
    cr_expect_eq(known, 0);
    cr_expect_null(find(METHODS, "/api/users/a", &call, &known));
    cr_expect_eq(known, 1u << METHOD_GET | 1u << METHOD_PUT | 1u << METHOD_DELETE);
    /* What is decoded is no structure. */
    cr_expect_null(find(METHOD_GET, "/api%2Fusers", &call, &known));
    cr_expect_eq(known, 0);
}

/* Rows of one path stand together, and no path is hidden behind another. */
Test(api_path, rows)
{
    const struct route *route;
    for (size_t i = 0; (route = route_at(i)); i++) {
        struct call call;
        unsigned known;
        char path[200], *to = path;
        for (const char *c = route->path; *c; c++)
            if (*c != '{' && *c != '}')
                *to++ = *c;
        *to = '\0';
        cr_expect_eq(find(route->method, path, &call, &known), route, "%s", route->path);
        cr_expect(route->who != 0, "%s", route->path);
    }
}

Test(api_path, query)
{
    struct query query = {0};
    cr_assert_null(query_add(&query, "name", "a%26b c"));
    cr_assert_null(query_add(&query, "name", "second"));
    cr_assert_null(query_add(&query, "page", NULL));
    cr_assert_null(query_add(&query, "a name that nothing has, for it is long", "%00"));
    cr_expect_str_eq(query_value(&query, "name"), "a&b c");
    cr_expect_str_eq(query_value(&query, "page"), "");
    cr_expect_null(query_value(&query, "sort"));
    cr_expect_not_null(query_add(&query, "sort", "%00"));
    query_clear(&query);
}

Test(api_path, authorization)
{
    struct basic basic;
    cr_assert(basic_read(&basic, "Basic Z3Vlc3Q6YTpi"));
    cr_expect_str_eq(basic.user, "guest");
    cr_expect_str_eq(basic.password, "a:b");
    cr_assert(basic_read(&basic, "basic  Z3Vlc3Q6"));
    cr_expect_str_eq(basic.password, "");
    basic_clear(&basic);
    static const char *const bad[] = {"",
                                      "Basic",
                                      "Basic ",
                                      "Basic Z3Vlc3Q=" /* no colon */,
                                      "Basic OmE=" /* no name */,
                                      "Basic !!!",
                                      "Bearer Z3Vlc3Q6YTpi",
                                      "Basic Z3Vlc3Q6YTpi x",
                                      "Basic Z3Vlc3Q6YQBi" /* a NUL */,
                                      "Basic Z3Vlc3Q6YQpi" /* a newline */};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(basic_read(&basic, bad[i]), "%s", bad[i]);
    cr_expect_not(basic_read(&basic, NULL));
    cr_expect_str_eq(basic.user, "");
}
