/* The table of users, virtual hosts and permissions, and changes of it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tally.h"
#include "router/access.h"
#include "router/pattern.h"

#define T(text) span_str(text)

static struct tallies *tallies;
static struct access *access;
static char text[1024];

static void begin(void)
{
    tallies = tallies_new();
    access = access_new(tallies);
}

static void end(void)
{
    access_free(access);
    tallies_free(tallies);
}

TestSuite(access, .init = begin, .fini = end);

static enum error check(struct access_change c, bool is_new)
{
    text[0] = 0;
    return access_check(access, &c, is_new, text, sizeof text);
}

/* As it would be done to a broker. */
static void make(struct access_change c)
{
    cr_assert_eq(check(c, false), ERR_NONE, "%s", text);
    access_apply(access, &c);
}

static void refuses(struct access_change c, const char *why)
{
    cr_assert_neq(check(c, false), ERR_NONE);
    cr_assert_str_eq(text, why);
}

static struct access_change user(const char *name)
{
    return (struct access_change){.kind = ACCESS_USER, .text = {[TEXT_USER] = T(name)}};
}

static void add_user(const char *name)
{
    struct access_change c = user(name);
    cr_assert_eq(check(c, true), ERR_NONE, "%s", text);
    access_apply(access, &c);
}

static struct access_change vhost(const char *name)
{
    return (struct access_change){.kind = ACCESS_VHOST, .text = {[TEXT_VHOST] = T(name)}};
}

static struct access_change permission(const char *name, const char *where, const char *configure,
                                       const char *write, const char *read)
{
    return (struct access_change){.kind = ACCESS_PERMISSION,
                                  .text = {[TEXT_USER] = T(name),
                                           [TEXT_VHOST] = T(where),
                                           [TEXT_CONFIGURE] = T(configure),
                                           [TEXT_WRITE] = T(write),
                                           [TEXT_READ] = T(read)}};
}

static struct access_change gone(enum access_kind kind, const char *name, const char *where)
{
    return (struct access_change){.kind = (uint8_t)kind,
                                  .text = {[TEXT_USER] = name ? T(name) : span_of(NULL, 0),
                                           [TEXT_VHOST] = where ? T(where) : span_of(NULL, 0)}};
}

static bool may(const char *name, const char *where, enum access_right right, const char *what)
{
    struct access_grant *grant = access_grant(access, T(name), access_vhost(access, T(where)));
    return grant && access_may(access, grant, right, T(what));
}

Test(access, a_user_may_what_patterns_say)
{
    make(vhost("/"));
    add_user("u");
    cr_assert(!access_grant(access, T("u"), access_vhost(access, T("/"))));
    make(permission("u", "/", "^own-", "", ".*"));
    cr_assert(may("u", "/", RIGHT_CONFIGURE, "own-q"));
    cr_assert(!may("u", "/", RIGHT_CONFIGURE, "not-own-q"));
    cr_assert(!may("u", "/", RIGHT_WRITE, "own-q"));
    cr_assert(!may("u", "/", RIGHT_WRITE, ""));
    cr_assert(may("u", "/", RIGHT_READ, "anything\nat all"));
    make(permission("u", "/", "$^", "q$", "a|b"));
    cr_assert(!may("u", "/", RIGHT_CONFIGURE, "own-q"));
    cr_assert(may("u", "/", RIGHT_WRITE, "own-q"), "a pattern is found anywhere in the name");
    cr_assert(may("u", "/", RIGHT_READ, "xbx"));
}

Test(access, permissions_are_of_one_user_in_one_virtual_host)
{
    make(vhost("/"));
    make(vhost("b"));
    add_user("u");
    add_user("v");
    make(permission("u", "/", ".*", ".*", ".*"));
    cr_assert(may("u", "/", RIGHT_READ, "q"));
    cr_assert(!may("u", "b", RIGHT_READ, "q"));
    cr_assert(!may("v", "/", RIGHT_READ, "q"));
    make(gone(ACCESS_PERMISSION_GONE, "u", "/"));
    cr_assert(!may("u", "/", RIGHT_READ, "q"));
}

Test(access, what_goes_takes_its_permissions_with_it)
{
    make(vhost("/"));
    make(vhost("b"));
    add_user("u");
    make(permission("u", "/", ".*", ".*", ".*"));
    make(permission("u", "b", ".*", ".*", ".*"));
    make(gone(ACCESS_VHOST_GONE, NULL, "b"));
    cr_assert_eq(access_vhost(access, T("b")), 0);
    make(vhost("b"));
    cr_assert(!may("u", "b", RIGHT_READ, "q"));
    cr_assert(may("u", "/", RIGHT_READ, "q"));
    make(gone(ACCESS_USER_GONE, "u", NULL));
    add_user("u");
    cr_assert(!may("u", "/", RIGHT_READ, "q"));
}

Test(access, a_user_keeps_what_a_change_does_not_say)
{
    add_user("u");
    struct access_change c = user("u");
    c.text[TEXT_PASSWORD] = T("sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    make(c);
    c = user("u");
    c.text[TEXT_TAGS] = T("administrator");
    make(c);
    cr_assert(span_starts(access_user_password(access_user(access, T("u"))), "sha256:"));
    cr_assert(span_is(access_user_tags(access_user(access, T("u"))), "administrator"));
    c = user("u");
    c.text[TEXT_PASSWORD] = T("");
    make(c);
    cr_assert_eq(access_user_password(access_user(access, T("u"))).len, 0);
}

Test(access, virtual_hosts_have_ids)
{
    make(vhost("/"));
    make(vhost("a/b"));
    cr_assert_eq(access_vhost(access, T("a/b")), access_vhost_id(T("a/b")));
    cr_assert_neq(access_vhost_id(T("/")), access_vhost_id(T("a/b")));
    cr_assert_str_eq(access_vhost_name(access, access_vhost_id(T("/"))), "/");
    cr_assert_str_eq(access_vhost_name(access, access_vhost_id(T("c"))), "?");
    cr_assert_eq(access_vhost(access, T("c")), 0);
}

static void refused(struct access_change c, bool is_new, enum error error, const char *why)
{
    cr_assert_eq(check(c, is_new), error);
    cr_assert_str_eq(text, why);
}

Test(access, what_can_not_be_is_refused)
{
    char longer[257];
    memset(longer, 'x', 256);
    longer[256] = 0;
    make(vhost("/"));
    add_user("u");
    refused(user("u"), true, ERR_PRECONDITION_FAILED, "user 'u' already exists");
    refused(user("v"), false, ERR_NOT_FOUND, "user 'v' does not exist");
    refused(user(""), true, ERR_PRECONDITION_FAILED, "a user's name can't be empty");
    refused(user(longer), true, ERR_PRECONDITION_FAILED, "a user's name is longer than 255 bytes");
    refused(vhost(""), false, ERR_PRECONDITION_FAILED, "a virtual host's name can't be empty");
    refused(gone(ACCESS_VHOST_GONE, NULL, "b"), false, ERR_NOT_FOUND, "virtual host 'b' does not exist");
    refused(gone(ACCESS_USER_GONE, "v", NULL), false, ERR_NOT_FOUND, "user 'v' does not exist");
    refused(gone(ACCESS_PERMISSION, "u", "/"), false, ERR_PRECONDITION_FAILED,
            "the pattern of configure is missing");
    refused(gone(ACCESS_USER, NULL, NULL), true, ERR_PRECONDITION_FAILED, "a user's name is missing");
    refused(permission("u", "b", "", "", ""), false, ERR_NOT_FOUND, "virtual host 'b' does not exist");
    refused(permission("v", "/", "", "", ""), false, ERR_NOT_FOUND, "user 'v' does not exist");
    refused(permission("u", "/", "", "(", ""), false, ERR_PRECONDITION_FAILED,
            "the pattern '(' is not a regular expression: missing closing parenthesis, at offset 1");
    struct access_change c = user("u");
    c.text[TEXT_PASSWORD] = T("secret");
    refused(c, false, ERR_PRECONDITION_FAILED, "this is no password's hash");
}

Test(access, a_pattern_that_costs_too_much_does_not_fit)
{
    make(vhost("/"));
    add_user("u");
    make(permission("u", "/", "(x+x+)+y", "", ""));
    cr_assert(!may("u", "/", RIGHT_CONFIGURE, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    cr_assert(may("u", "/", RIGHT_CONFIGURE, "xxy"));
}

Test(access, changes_of_what_is_not_there_do_nothing)
{
    struct access_change c = permission("u", "/", ".*", ".*", ".*");
    access_apply(access, &c);
    c = gone(ACCESS_TOPIC_GONE, "u", "/");
    access_apply(access, &c);
    c = gone(ACCESS_USER_GONE, "u", NULL);
    access_apply(access, &c);
    c = gone(ACCESS_VHOST_GONE, NULL, "/");
    access_apply(access, &c);
    cr_assert_eq(access_users(access), 0);
}

Test(access, every_change_has_a_generation)
{
    uint64_t before = access_generation(access);
    make(vhost("/"));
    cr_assert_gt(access_generation(access), before);
}

/* ---- topics ------------------------------------------------------------------------------------------- */

static void topic(const char *write, const char *read)
{
    make((struct access_change){.kind = ACCESS_TOPIC,
                                .text = {[TEXT_USER] = T("u.v"),
                                         [TEXT_VHOST] = T("/"),
                                         [TEXT_EXCHANGE] = T("e"),
                                         [TEXT_WRITE] = T(write),
                                         [TEXT_READ] = T(read)}});
}

/* client_id: NULL for none. */
static bool topic_fits(enum access_right right, const char *client_id, const char *key)
{
    struct pattern_scratch scratch = {0};
    const struct access_topic *t = access_topic(access, T("u.v"), access_vhost_id(T("/")), T("e"));
    const struct access_names names = {T("u.v"), T("/"), client_id ? T(client_id) : span_of(NULL, 0)};
    struct pattern *pattern = access_topic_pattern(t, right, &names);
    bool fits = pattern && pattern_match(pattern, &scratch, T(key)) == PATTERN_FITS;
    pattern_free(pattern);
    pattern_scratch_free(&scratch);
    return fits;
}

Test(access, names_in_topic_permissions_stand_for_themselves)
{
    make(vhost("/"));
    add_user("u.v");
    cr_assert(!access_has_topics(access, T("u.v"), access_vhost_id(T("/"))));
    topic("^{username}$", "^{vhost}-{client_id}-{client_id}$");
    cr_assert(access_has_topics(access, T("u.v"), access_vhost_id(T("/"))));
    cr_assert(!access_topic(access, T("u.v"), access_vhost_id(T("/")), T("f")));
    cr_assert(topic_fits(RIGHT_WRITE, NULL, "u.v"));
    cr_assert(!topic_fits(RIGHT_WRITE, NULL, "uxv"));
    cr_assert(topic_fits(RIGHT_READ, "a*(\\Eü", "/-a*(\\Eü-a*(\\Eü"));
    cr_assert(!topic_fits(RIGHT_READ, ".*", "/-x-y"));
    cr_assert(!topic_fits(RIGHT_READ, NULL, "/-x-x"));
    topic("{user", "{client_id}");
    cr_assert(topic_fits(RIGHT_WRITE, "c", "a{user"));
    cr_assert(topic_fits(RIGHT_READ, "", "anything"));
    struct access_change c = gone(ACCESS_TOPIC_GONE, "u.v", "/");
    c.text[TEXT_EXCHANGE] = T("other");
    make(c);
    cr_assert(access_topic(access, T("u.v"), access_vhost_id(T("/")), T("e")));
    make(gone(ACCESS_TOPIC_GONE, "u.v", "/"));
    cr_assert(!access_topic(access, T("u.v"), access_vhost_id(T("/")), T("e")));
}

/* ---- packed ------------------------------------------------------------------------------------------- */

static void replay(const struct access_change *change, void *owner)
{
    struct access_change again;
    struct span packed = access_pack(change);
    cr_assert(access_unpack(packed, &again));
    access_apply(owner, &again);
    free((void *)(uintptr_t)packed.at);
}

static void count(const struct access_change *change, void *owner)
{
    ((size_t *)owner)[change->kind]++;
}

static struct access_change global(const char *name, const char *value)
{
    return (struct access_change){.kind = ACCESS_GLOBAL,
                                  .text = {[TEXT_NAME] = T(name), [TEXT_VALUE] = T(value)}};
}

static void see_global(const struct access_change *change, void *owner)
{
    if (change->kind == ACCESS_GLOBAL)
        ((struct access_change *)owner)[span_is(change->text[TEXT_NAME], "b")] = *change;
}

Test(access, global_parameters_are_kept_as_they_are)
{
    struct access_change seen[2] = {{0}}, gone = {.kind = ACCESS_GLOBAL_GONE, .text[TEXT_NAME] = T("a")};
    static char long_value[ACCESS_VALUE_BYTES + 2];
    memset(long_value, '1', ACCESS_VALUE_BYTES + 1);
    refuses(gone, "global parameter 'a' does not exist");
    refuses(global("", "1"), "a parameter's name can't be empty");
    refuses(global("a", long_value), "a parameter's value is longer than 6144 bytes");
    make(global("a", "1"));
    make(global("b", "2"));
    make(global("a", "[3]"));
    access_each(access, see_global, seen);
    cr_assert(span_is(seen[0].text[TEXT_VALUE], "[3]") && span_is(seen[1].text[TEXT_VALUE], "2"));
    make(gone);
    access_apply(access, &gone); /* of one that isn't there, as in a journal */
    seen[0] = seen[1] = (struct access_change){0};
    access_each(access, see_global, seen);
    cr_assert(!seen[0].kind && span_is(seen[1].text[TEXT_VALUE], "2"));
    char name[16];
    for (unsigned i = 1; i < ACCESS_GLOBALS_MAX; i++) {
        snprintf(name, sizeof name, "%u", i);
        make(global(name, "0"));
    }
    refuses(global("more", "1"), "there are as many global parameters as there may be");
}

Test(access, all_of_it_makes_a_replica)
{
    size_t counts[ACCESS_KINDS] = {0};
    make(vhost("/"));
    make(vhost("b"));
    add_user("u");
    add_user("v");
    make(permission("u", "/", "c", "w", "r"));
    make(permission("v", "b", ".*", ".*", ".*"));
    struct access_change topic = {.kind = ACCESS_TOPIC,
                                  .text = {[TEXT_USER] = T("u"),
                                           [TEXT_VHOST] = T("/"),
                                           [TEXT_EXCHANGE] = T("amq.topic"),
                                           [TEXT_WRITE] = T("^a"),
                                           [TEXT_READ] = T("^b")}};
    make(topic);
    make(topic); /* the same one again */
    make(global("a", "1"));
    make(global("b", "{}"));
    make(global("a", "[2]"));
    struct access *replica = access_new(tallies), *first = access;
    access_each(access, replay, replica);
    access_each(replica, count, counts);
    cr_assert_eq(counts[ACCESS_VHOST], 2);
    cr_assert_eq(counts[ACCESS_USER], 2);
    cr_assert_eq(counts[ACCESS_PERMISSION], 2);
    cr_assert_eq(counts[ACCESS_TOPIC], 1);
    cr_assert_eq(counts[ACCESS_GLOBAL], 2);
    access = replica;
    cr_assert(may("u", "/", RIGHT_WRITE, "w") && !may("u", "/", RIGHT_WRITE, "r"));
    access = first;
    access_free(replica);
}

Test(access, any_bytes_can_be_unpacked)
{
    struct access_change c = permission("u", "/", "", "w", "r"), again;
    struct span packed = access_pack(&c);
    cr_assert(access_unpack(packed, &again));
    cr_assert(access_has(&again, TEXT_CONFIGURE) && again.text[TEXT_CONFIGURE].len == 0);
    cr_assert(!access_has(&again, TEXT_PASSWORD));
    for (size_t n = 0; n < packed.len; n++) {
        uint8_t *part = malloc(n + 1); /* so that reading behind it is seen */
        memcpy(part, packed.at, n);
        struct span cut = span_of(part, n);
        (void)access_unpack(cut, &again);
        free(part);
    }
    for (unsigned kind = 0; kind < 256; kind++)
        for (unsigned which = 0; which < 256; which++) {
            uint8_t bytes[] = {(uint8_t)kind, (uint8_t)which, 0, 1, 'x'};
            bool ok = access_unpack(span_of(bytes, sizeof bytes), &again);
            cr_assert_eq(ok, kind && kind < ACCESS_KINDS && which < ACCESS_TEXTS);
        }
    uint8_t twice[] = {ACCESS_USER, 0, 0, 1, 'x', 0, 0, 1, 'y'};
    cr_assert(!access_unpack(span_of(twice, sizeof twice), &again));
    free((void *)(uintptr_t)packed.at);
}

/* ---- limits ----------------------------------------------------------------------------------------------
 */

static struct access_change user_limits(const char *name, const char *limits)
{
    struct access_change c = {.kind = ACCESS_USER_LIMITS, .text[TEXT_USER] = T(name)};
    c.text[TEXT_LIMITS] = T(limits);
    return c;
}

static struct access_change vhost_limits(const char *name, const char *limits)
{
    struct access_change c = {.kind = ACCESS_VHOST_LIMITS, .text[TEXT_VHOST] = T(name)};
    c.text[TEXT_LIMITS] = T(limits);
    return c;
}

static const char *of_user(const char *name)
{
    static char said[LIMITS_TEXT_BYTES];
    limits_write(access_user_limits(access, T(name)), said);
    return said;
}

static const char *of_vhost(const char *name)
{
    static char said[LIMITS_TEXT_BYTES];
    limits_write(access_vhost_limits(access, access_vhost_id(T(name))), said);
    return said;
}

Test(access, limits_of_a_user_are_added_those_of_a_virtual_host_replaced)
{
    struct access_change gone = {.kind = ACCESS_USER_LIMITS_GONE, .text[TEXT_USER] = T("u")};
    make(vhost("/"));
    add_user("u");
    make(user_limits("u", "{\"max-channels\":1}"));
    make(user_limits("u", "{\"max-connections\":2}"));
    cr_assert_str_eq(of_user("u"), "{\"max-connections\":2,\"max-channels\":1}");
    make(vhost_limits("/", "{\"max-queues\":1}"));
    make(vhost_limits("/", "{\"max-connections\":2}"));
    cr_assert_str_eq(of_vhost("/"), "{\"max-connections\":2}");
    struct access *replica = access_new(tallies), *first = access;
    access_each(access, replay, replica);
    access = replica;
    cr_assert_str_eq(of_user("u"), "{\"max-connections\":2,\"max-channels\":1}");
    cr_assert_str_eq(of_vhost("/"), "{\"max-connections\":2}");
    access = first;
    access_free(replica);
    gone.text[TEXT_LIMITS] = T("max-channels");
    make(gone);
    cr_assert_str_eq(of_user("u"), "{\"max-connections\":2}");
    gone.text[TEXT_LIMITS] = span_of(NULL, 0);
    make(gone);
    cr_assert(!limits_said(access_user_limits(access, T("u"))));
    make((struct access_change){.kind = ACCESS_VHOST_LIMITS_GONE, .text[TEXT_VHOST] = T("/")});
    cr_assert(!limits_said(access_vhost_limits(access, access_vhost_id(T("/")))));
}

Test(access, one_limit_of_a_virtual_host)
{
    struct access_change gone = {.kind = ACCESS_VHOST_LIMITS_GONE, .text[TEXT_VHOST] = T("/")};
    struct access_change one = vhost_limits("/", "{\"max-queues\":5}");
    one.kind = ACCESS_VHOST_LIMIT;
    make(vhost("/"));
    make(vhost_limits("/", "{\"max-connections\":1,\"max-queues\":2}"));
    const struct limits *limits = access_vhost_limits(access, access_vhost(access, T("/")));
    make(one);
    cr_assert(limits->most[LIMIT_CONNECTIONS] == 1 && limits->most[LIMIT_QUEUES] == 5);
    gone.text[TEXT_LIMITS] = T("max-publish-rate");
    refuses(gone, "virtual host '/' has no limit 'max-publish-rate'");
    gone.text[TEXT_LIMITS] = T("max-connections");
    make(gone);
    cr_assert(limits->most[LIMIT_CONNECTIONS] == LIMIT_UNSAID && limits->most[LIMIT_QUEUES] == 5);
}

Test(access, limits_that_can_not_be)
{
    struct access_change gone = {.kind = ACCESS_USER_LIMITS_GONE, .text[TEXT_USER] = T("u")};
    make(vhost("/"));
    add_user("u");
    refuses(user_limits("v", "{}"), "user 'v' does not exist");
    refuses(vhost_limits("b", "{}"), "virtual host 'b' does not exist");
    refuses(user_limits("u", "{\"max-queues\":1}"),
            "Unrecognised terms in limits: a user has no 'max-queues'");
    gone.text[TEXT_LIMITS] = T("nonsense");
    refuses(gone, "there is no limit 'nonsense'");
    refuses((struct access_change){.kind = ACCESS_VHOST_LIMITS_GONE, .text[TEXT_VHOST] = T("/")},
            "virtual host '/' has no limits");
}

Test(access, queues_are_counted_by_all_replicas_together)
{
    uint32_t id = access_vhost_id(T("/"));
    make(vhost("/"));
    make(vhost_limits("/", "{\"max-queues\":2}"));
    struct access *replica = access_new(tallies);
    access_each(access, replay, replica);
    cr_assert(access_add_queue(access, id, false));
    cr_assert(access_add_queue(replica, id, false));
    cr_assert(!access_add_queue(access, id, false));
    cr_assert(access_add_queue(access, id, true));
    access_end_queue(access, id);
    cr_assert(!access_add_queue(replica, id, false));
    struct access_change gone = {.kind = ACCESS_VHOST_GONE, .text[TEXT_VHOST] = T("/")};
    access_apply(replica, &gone); /* with the one it has */
    access_end_queue(replica, id);
    cr_assert(access_add_queue(access, id, false));
    cr_assert(!access_add_queue(access, id, false));
    access_free(replica);
}
