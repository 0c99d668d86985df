/* What an operator may say of users, virtual hosts and permissions: told before anything is done. */
#include <stdio.h>

#include "base/limits.h"
#include "router/access_inside.h"
#include "router/password.h"
#include "router/settings.h"

#define TEXT_OF(s) (int)(s).len, (const char *)(s).at

struct answer {
    const struct access *access;
    const struct access_change *change;
    char *text;
    size_t size;
};

#define SAY(a, error, ...) (snprintf((a)->text, (a)->size, __VA_ARGS__), (error))

/* ---- each text by itself ----------------------------------------------------------------------------- */

static const char *const text_names[ACCESS_TEXTS] = {
    [TEXT_USER] = "a user's name",         [TEXT_VHOST] = "a virtual host's name",
    [TEXT_EXCHANGE] = "an exchange",       [TEXT_CONFIGURE] = "the pattern of configure",
    [TEXT_WRITE] = "the pattern of write", [TEXT_READ] = "the pattern of read",
    [TEXT_PASSWORD] = "a password",        [TEXT_TAGS] = "tags",
    [TEXT_DESCRIPTION] = "a description",  [TEXT_LIMITS] = "limits",
    [TEXT_NAME] = "a parameter's name",    [TEXT_VALUE] = "a parameter's value",
    [TEXT_QUEUE_TYPE] = "a queue type",
};

/* What must be given; the rest may, where the kind has it. */
static const uint16_t needed[ACCESS_KINDS] = {
    [ACCESS_USER] = 1 << TEXT_USER,
    [ACCESS_USER_GONE] = 1 << TEXT_USER,
    [ACCESS_VHOST] = 1 << TEXT_VHOST,
    [ACCESS_VHOST_GONE] = 1 << TEXT_VHOST,
    [ACCESS_PERMISSION] =
        1 << TEXT_USER | 1 << TEXT_VHOST | 1 << TEXT_CONFIGURE | 1 << TEXT_WRITE | 1 << TEXT_READ,
    [ACCESS_PERMISSION_GONE] = 1 << TEXT_USER | 1 << TEXT_VHOST,
    [ACCESS_TOPIC] = 1 << TEXT_USER | 1 << TEXT_VHOST | 1 << TEXT_EXCHANGE | 1 << TEXT_WRITE | 1 << TEXT_READ,
    [ACCESS_TOPIC_GONE] = 1 << TEXT_USER | 1 << TEXT_VHOST,
    [ACCESS_USER_LIMITS] = 1 << TEXT_USER | 1 << TEXT_LIMITS,
    [ACCESS_USER_LIMITS_GONE] = 1 << TEXT_USER,
    [ACCESS_VHOST_LIMITS] = 1 << TEXT_VHOST | 1 << TEXT_LIMITS,
    [ACCESS_VHOST_LIMITS_GONE] = 1 << TEXT_VHOST,
    [ACCESS_GLOBAL] = 1 << TEXT_NAME | 1 << TEXT_VALUE,
    [ACCESS_GLOBAL_GONE] = 1 << TEXT_NAME,
    [ACCESS_VHOST_LIMIT] = 1 << TEXT_VHOST | 1 << TEXT_LIMITS,
};

static enum error check_pattern(const struct answer *a, enum access_text which)
{
    const struct span source = a->change->text[which];
    if (source.len > ACCESS_PATTERN_BYTES)
        return SAY(a, ERR_PRECONDITION_FAILED, "%s is longer than %u bytes", text_names[which],
                   ACCESS_PATTERN_BYTES);
    struct pattern *pattern = pattern_compile(source, a->text, a->size);
    pattern_free(pattern);
    return pattern ? ERR_NONE : ERR_PRECONDITION_FAILED;
}

static enum error check_text(const struct answer *a, enum access_text which)
{
    const struct span text = a->change->text[which];
    if (!text.at)
        return needed[a->change->kind] >> which & 1
                   ? SAY(a, ERR_PRECONDITION_FAILED, "%s is missing", text_names[which])
                   : ERR_NONE;
    if (which >= TEXT_CONFIGURE && which <= TEXT_READ)
        return check_pattern(a, which);
    unsigned most = which == TEXT_VALUE ? ACCESS_VALUE_BYTES : NAME_MAX_BYTES;
    if (text.len > most)
        return SAY(a, ERR_PRECONDITION_FAILED, "%s is longer than %u bytes", text_names[which], most);
    if (!text.len && (which == TEXT_USER || which == TEXT_VHOST || which == TEXT_NAME))
        return SAY(a, ERR_PRECONDITION_FAILED, "%s can't be empty", text_names[which]);
    if (which == TEXT_QUEUE_TYPE && text.len && !settings_type_named(text, &(enum queue_type){0}))
        return SAY(a, ERR_PRECONDITION_FAILED, "unknown queue type '%.*s': it is classic, quorum or stream",
                   TEXT_OF(text));
    if (which == TEXT_PASSWORD && !password_valid(text))
        return SAY(a, ERR_PRECONDITION_FAILED, "this is no password's hash");
    return ERR_NONE;
}

/* ---- what is there ------------------------------------------------------------------------------------- */

static enum error no_user(const struct answer *a)
{
    return SAY(a, ERR_NOT_FOUND, "user '%.*s' does not exist", TEXT_OF(a->change->text[TEXT_USER]));
}

static enum error check_user(const struct answer *a, bool is_new)
{
    const struct span name = a->change->text[TEXT_USER];
    const struct access_user *user = access_user_of(a->access, name);
    if (!is_new)
        return user ? ERR_NONE : no_user(a);
    if (user)
        return SAY(a, ERR_PRECONDITION_FAILED, "user '%.*s' already exists", TEXT_OF(name));
    if (a->access->users.count >= ACCESS_USERS_MAX)
        return SAY(a, ERR_PRECONDITION_FAILED, "there are as many users as there may be");
    return ERR_NONE;
}

static enum error no_vhost(const struct answer *a)
{
    return SAY(a, ERR_NOT_FOUND, "virtual host '%.*s' does not exist", TEXT_OF(a->change->text[TEXT_VHOST]));
}

static enum error check_vhost(const struct answer *a)
{
    const struct span name = a->change->text[TEXT_VHOST];
    const struct access_vhost *vhost = access_vhost_of(a->access, access_vhost_id(name));
    if (vhost && !span_equal(vhost->name, name))
        return SAY(a, ERR_PRECONDITION_FAILED,
                   "the virtual hosts '%.*s' and '%.*s' have the same id: give it another name",
                   TEXT_OF(vhost->name), TEXT_OF(name));
    if (!vhost && a->access->vhosts.count >= ACCESS_VHOSTS_MAX)
        return SAY(a, ERR_PRECONDITION_FAILED, "there are as many virtual hosts as there may be");
    return ERR_NONE;
}

static enum error check_room(const struct answer *a, const struct access_user *user, uint32_t vhost)
{
    unsigned count = 0;
    for (const struct access_topic *t = user->topics; t; t = t->next)
        count++;
    if (a->change->kind != ACCESS_TOPIC || count < ACCESS_TOPICS_MAX ||
        access_topic_of(user, vhost, a->change->text[TEXT_EXCHANGE]))
        return ERR_NONE;
    return SAY(a, ERR_PRECONDITION_FAILED, "the user has as many topic permissions as there may be");
}

static enum error check_permission(const struct answer *a)
{
    const struct access_user *user = access_user_of(a->access, a->change->text[TEXT_USER]);
    uint32_t vhost = access_vhost(a->access, a->change->text[TEXT_VHOST]);
    return !vhost ? no_vhost(a) : !user ? no_user(a) : check_room(a, user, vhost);
}

static enum error check_limits(const struct answer *a)
{
    struct limits limits;
    const struct span text = a->change->text[TEXT_LIMITS];
    limits_init(&limits);
    if (a->change->kind == ACCESS_USER_LIMITS || a->change->kind == ACCESS_VHOST_LIMITS ||
        a->change->kind == ACCESS_VHOST_LIMIT)
        return limits_read(&limits, text, a->change->kind == ACCESS_USER_LIMITS, a->text, a->size)
                   ? ERR_NONE
                   : ERR_PRECONDITION_FAILED;
    if (access_has(a->change, TEXT_LIMITS) && limit_named(text) == LIMITS)
        return SAY(a, ERR_PRECONDITION_FAILED, "there is no limit '%.*s'", TEXT_OF(text));
    return ERR_NONE;
}

static enum error check_user_limits(const struct answer *a)
{
    enum error error = check_user(a, false);
    return error == ERR_NONE ? check_limits(a) : error;
}

static enum error check_vhost_limits(const struct answer *a)
{
    uint32_t id = access_vhost(a->access, a->change->text[TEXT_VHOST]);
    if (!id)
        return no_vhost(a);
    if (a->change->kind == ACCESS_VHOST_LIMITS_GONE && !limits_said(access_vhost_limits(a->access, id)))
        return SAY(a, ERR_NOT_FOUND, "virtual host '%.*s' has no limits",
                   TEXT_OF(a->change->text[TEXT_VHOST]));
    enum error error = check_limits(a);
    bool one = a->change->kind == ACCESS_VHOST_LIMITS_GONE && access_has(a->change, TEXT_LIMITS);
    if (error == ERR_NONE && one &&
        access_vhost_limits(a->access, id)->most[limit_named(a->change->text[TEXT_LIMITS])] == LIMIT_UNSAID)
        return SAY(a, ERR_NOT_FOUND, "virtual host '%.*s' has no limit '%.*s'",
                   TEXT_OF(a->change->text[TEXT_VHOST]), TEXT_OF(a->change->text[TEXT_LIMITS]));
    return error;
}

static enum error check_global(const struct answer *a)
{
    const struct span name = a->change->text[TEXT_NAME];
    bool there = access_global_of(a->access, name);
    if (a->change->kind == ACCESS_GLOBAL_GONE)
        return there ? ERR_NONE
                     : SAY(a, ERR_NOT_FOUND, "global parameter '%.*s' does not exist", TEXT_OF(name));
    if (!there && a->access->global_count >= ACCESS_GLOBALS_MAX)
        return SAY(a, ERR_PRECONDITION_FAILED, "there are as many global parameters as there may be");
    return ERR_NONE;
}

enum error access_check(const struct access *access, const struct access_change *change, bool is_new,
                        char *text, size_t text_size)
{
    const struct answer a = {access, change, text, text_size};
    for (unsigned i = 0; i < ACCESS_TEXTS; i++) {
        enum error error = check_text(&a, (enum access_text)i);
        if (error != ERR_NONE)
            return error;
    }
    switch ((enum access_kind)change->kind) {
    case ACCESS_USER:
        return check_user(&a, is_new);
    case ACCESS_USER_GONE:
        return check_user(&a, false);
    case ACCESS_VHOST:
        return check_vhost(&a);
    case ACCESS_VHOST_GONE:
        return access_vhost(access, change->text[TEXT_VHOST]) ? ERR_NONE : no_vhost(&a);
    case ACCESS_USER_LIMITS:
    case ACCESS_USER_LIMITS_GONE:
        return check_user_limits(&a);
    case ACCESS_VHOST_LIMITS:
    case ACCESS_VHOST_LIMITS_GONE:
    case ACCESS_VHOST_LIMIT:
        return check_vhost_limits(&a);
    case ACCESS_GLOBAL:
    case ACCESS_GLOBAL_GONE:
        return check_global(&a);
    default:
        return check_permission(&a);
    }
}
