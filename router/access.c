#include "router/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "router/access_inside.h"

struct span access_copy(struct span s)
{
    uint8_t *at = malloc(s.len + 1);
    CHECK(at);
    if (s.len)
        memcpy(at, s.at, s.len);
    at[s.len] = 0;
    return span_of(at, s.len);
}

void access_drop(struct span s)
{
    free((void *)(uintptr_t)s.at);
}

static void replace(struct span *old, struct span by)
{
    access_drop(*old);
    *old = access_copy(by);
}

/* ---- finding --------------------------------------------------------------------------------------- */

static bool is_user(const struct map_node *node, const void *name)
{
    return span_equal(container_of(node, struct access_user, node)->name, *(const struct span *)name);
}

struct access_user *access_user_of(const struct access *access, struct span name)
{
    struct map_node *node = map_find(&access->users, hash_keyed(name, 0), is_user, &name);
    return node ? container_of(node, struct access_user, node) : NULL;
}

static bool is_vhost(const struct map_node *node, const void *id)
{
    return container_of(node, struct access_vhost, node)->id == *(const uint32_t *)id;
}

struct access_vhost *access_vhost_of(const struct access *access, uint32_t id)
{
    struct map_node *node = map_find(&access->vhosts, hash_id(id), is_vhost, &id);
    return node ? container_of(node, struct access_vhost, node) : NULL;
}

struct access_grant *access_grant_of(const struct access_user *user, uint32_t vhost)
{
    struct access_grant *grant = user->grants;
    while (grant && grant->vhost != vhost)
        grant = grant->next;
    return grant;
}

uint32_t access_vhost_id(struct span name)
{
    uint32_t id = (uint32_t)hash_bytes(name, 0);
    return id ? id : 1;
}

uint32_t access_vhost(const struct access *access, struct span name)
{
    const struct access_vhost *vhost = access_vhost_of(access, access_vhost_id(name));
    return vhost && span_equal(vhost->name, name) ? vhost->id : 0;
}

const char *access_vhost_name(const struct access *access, uint32_t id)
{
    const struct access_vhost *vhost = access_vhost_of(access, id);
    return vhost ? (const char *)vhost->name.at : "?";
}

bool access_has_vhost(const struct access *access, uint32_t id)
{
    return access_vhost_of(access, id);
}

struct span access_queue_type(const struct access *access, uint32_t id)
{
    const struct access_vhost *vhost = access_vhost_of(access, id);
    return vhost ? vhost->queue_type : span_of("", 0);
}

size_t access_users(const struct access *access)
{
    return access->users.count;
}

const struct access_user *access_user(const struct access *access, struct span name)
{
    return access_user_of(access, name);
}

struct span access_user_password(const struct access_user *user)
{
    return user->password;
}

struct span access_user_tags(const struct access_user *user)
{
    return user->tags;
}

uint64_t access_generation(const struct access *access)
{
    return access->generation;
}

/* ---- permissions ------------------------------------------------------------------------------------- */

const char *access_right_name(enum access_right right)
{
    static const char *const names[ACCESS_RIGHTS] = {"configure", "write", "read"};
    return names[right];
}

struct access_grant *access_grant(const struct access *access, struct span user, uint32_t vhost)
{
    const struct access_user *u = access_user_of(access, user);
    return u ? access_grant_of(u, vhost) : NULL;
}

static bool fits(struct access *access, struct access_rule *rule, struct span name)
{
    enum pattern_match match = pattern_match(rule->pattern, &access->scratch, name);
    if (match == PATTERN_COSTLY && !rule->warned) {
        rule->warned = true;
        log_line(LOG_WARNING, "access",
                 "the pattern '%.*s' of a permission takes too many steps on '%.*s' and is taken not to fit: "
                 "simplify it",
                 (int)rule->source.len, (const char *)rule->source.at, (int)name.len, (const char *)name.at);
    }
    return match == PATTERN_FITS;
}

bool access_may(struct access *access, struct access_grant *grant, enum access_right right, struct span name)
{
    struct access_rule *rule = &grant->rule[right];
    return rule->reach == REACH_ALL || (rule->reach == REACH_PATTERN && fits(access, rule, name));
}

/* What most say is known without looking at names. */
static void rule_set(struct access_rule *rule, struct span source)
{
    char why[256];
    rule->source = access_copy(source);
    rule->reach = span_is(source, ".*") ? REACH_ALL : source.len ? REACH_PATTERN : REACH_NONE;
    if (rule->reach != REACH_PATTERN)
        return;
    rule->pattern = pattern_compile(source, why, sizeof why);
    if (rule->pattern)
        return;
    rule->reach = REACH_NONE;
    log_line(LOG_WARNING, "access", "a permission fits nothing: %s", why);
}

static void rule_free(struct access_rule *rule)
{
    access_drop(rule->source);
    pattern_free(rule->pattern);
}

static void grant_free(struct access_grant *grant)
{
    for (unsigned i = 0; i < ACCESS_RIGHTS; i++)
        rule_free(&grant->rule[i]);
    free(grant);
}

static void revoke(struct access_user *user, uint32_t vhost)
{
    struct access_grant **at = &user->grants, *grant;
    while (*at && (*at)->vhost != vhost)
        at = &(*at)->next;
    if (!(grant = *at))
        return;
    *at = grant->next;
    grant_free(grant);
}

static void permit(struct access_user *user, uint32_t vhost, const struct access_change *change)
{
    revoke(user, vhost);
    struct access_grant *grant = calloc(1, sizeof *grant);
    CHECK(grant);
    grant->vhost = vhost;
    for (unsigned i = 0; i < ACCESS_RIGHTS; i++)
        rule_set(&grant->rule[i], change->text[TEXT_CONFIGURE + i]);
    grant->next = user->grants;
    user->grants = grant;
}

/* ---- users and virtual hosts --------------------------------------------------------------------------- */

static void put_user(struct access *access, const struct access_change *change)
{
    struct access_user *user = access_user_of(access, change->text[TEXT_USER]);
    if (!user) {
        user = calloc(1, sizeof *user);
        CHECK(user);
        user->name = access_copy(change->text[TEXT_USER]);
        user->password = access_copy(span_of("", 0));
        user->tags = access_copy(span_of("", 0));
        limits_init(&user->limits);
        user->tally = tally_take(access->tallies, TALLY_OF_USER, user->name);
        map_add(&access->users, &user->node, hash_keyed(user->name, 0));
    }
    if (access_has(change, TEXT_PASSWORD))
        replace(&user->password, change->text[TEXT_PASSWORD]);
    if (access_has(change, TEXT_TAGS))
        replace(&user->tags, change->text[TEXT_TAGS]);
}

static void free_user(struct map_node *node, void *owner)
{
    struct access_user *user = container_of(node, struct access_user, node);
    (void)owner;
    while (user->grants)
        revoke(user, user->grants->vhost);
    while (user->topics)
        access_topic_remove(user, user->topics->vhost, NULL);
    access_drop(user->name);
    access_drop(user->password);
    access_drop(user->tags);
    tally_give_back(user->tally);
    free(user);
}

static void remove_user(struct access *access, struct span name)
{
    struct access_user *user = access_user_of(access, name);
    if (!user)
        return;
    map_remove(&access->users, &user->node);
    free_user(&user->node, NULL);
}

static void put_vhost(struct access *access, const struct access_change *change)
{
    struct span name = change->text[TEXT_VHOST];
    uint32_t id = access_vhost_id(name);
    struct access_vhost *vhost = access_vhost_of(access, id);
    if (vhost && !span_equal(vhost->name, name))
        return;
    if (!vhost) {
        vhost = calloc(1, sizeof *vhost);
        CHECK(vhost);
        vhost->id = id;
        vhost->name = access_copy(name);
        vhost->description = access_copy(span_of("", 0));
        vhost->tags = access_copy(span_of("", 0));
        vhost->queue_type = access_copy(span_of("", 0));
        limits_init(&vhost->limits);
        vhost->tally = tally_take(access->tallies, TALLY_OF_VHOST, name);
        map_add(&access->vhosts, &vhost->node, hash_id(id));
    }
    if (access_has(change, TEXT_DESCRIPTION))
        replace(&vhost->description, change->text[TEXT_DESCRIPTION]);
    if (access_has(change, TEXT_TAGS))
        replace(&vhost->tags, change->text[TEXT_TAGS]);
    if (access_has(change, TEXT_QUEUE_TYPE))
        replace(&vhost->queue_type, change->text[TEXT_QUEUE_TYPE]);
}

static void free_vhost(struct map_node *node, void *owner)
{
    struct access_vhost *vhost = container_of(node, struct access_vhost, node);
    (void)owner;
    access_drop(vhost->name);
    access_drop(vhost->description);
    access_drop(vhost->tags);
    access_drop(vhost->queue_type);
    tally_subtract(vhost->tally, TALLY_QUEUES, vhost->queues);
    tally_give_back(vhost->tally);
    free(vhost);
}

static void forget_vhost(struct map_node *node, void *id)
{
    struct access_user *user = container_of(node, struct access_user, node);
    revoke(user, *(const uint32_t *)id);
    access_topic_remove(user, *(const uint32_t *)id, NULL);
}

static void remove_vhost(struct access *access, struct span name)
{
    uint32_t id = access_vhost(access, name);
    struct access_vhost *vhost = access_vhost_of(access, id);
    if (!id)
        return;
    map_each(&access->users, forget_vhost, &id);
    map_remove(&access->vhosts, &vhost->node);
    free_vhost(&vhost->node, NULL);
}

/* ---- changes --------------------------------------------------------------------------------------- */

/* Those of a user in a virtual host, of which both are there. */
static void apply_permission(struct access *access, const struct access_change *change)
{
    struct access_user *user = access_user_of(access, change->text[TEXT_USER]);
    uint32_t vhost = access_vhost(access, change->text[TEXT_VHOST]);
    if (!user || !vhost)
        return;
    if (change->kind == ACCESS_PERMISSION)
        permit(user, vhost, change);
    else if (change->kind == ACCESS_PERMISSION_GONE)
        revoke(user, vhost);
    else if (change->kind == ACCESS_TOPIC)
        access_topic_put(user, vhost, change);
    else
        access_topic_remove(user, vhost,
                            access_has(change, TEXT_EXCHANGE) ? &change->text[TEXT_EXCHANGE] : NULL);
}

void access_apply(struct access *access, const struct access_change *change)
{
    access->generation++;
    switch ((enum access_kind)change->kind) {
    case ACCESS_USER:
        put_user(access, change);
        return;
    case ACCESS_USER_GONE:
        remove_user(access, change->text[TEXT_USER]);
        return;
    case ACCESS_VHOST:
        put_vhost(access, change);
        return;
    case ACCESS_VHOST_GONE:
        remove_vhost(access, change->text[TEXT_VHOST]);
        return;
    case ACCESS_PERMISSION:
    case ACCESS_PERMISSION_GONE:
    case ACCESS_TOPIC:
    case ACCESS_TOPIC_GONE:
        apply_permission(access, change);
        return;
    case ACCESS_USER_LIMITS:
    case ACCESS_USER_LIMITS_GONE:
    case ACCESS_VHOST_LIMITS:
    case ACCESS_VHOST_LIMITS_GONE:
    case ACCESS_VHOST_LIMIT:
        access_limits_apply(access, change);
        return;
    case ACCESS_GLOBAL:
    case ACCESS_GLOBAL_GONE:
        access_global_apply(access, change);
        return;
    case ACCESS_KINDS:
        return;
    }
}

/* ---- all of it --------------------------------------------------------------------------------------- */

struct visit {
    const struct access *access;
    void (*visit)(const struct access_change *change, void *owner);
    void *owner;
};

static void visit_limits(const struct visit *v, const struct limits *limits, enum access_kind kind,
                         enum access_text whose, struct span name)
{
    char text[LIMITS_TEXT_BYTES];
    struct access_change change = {.kind = (uint8_t)kind};
    if (!limits_said(limits))
        return;
    limits_write(limits, text);
    change.text[whose] = name;
    change.text[TEXT_LIMITS] = span_str(text);
    v->visit(&change, v->owner);
}

static void visit_vhost(struct map_node *node, void *owner)
{
    const struct visit *v = owner;
    const struct access_vhost *vhost = container_of(node, struct access_vhost, node);
    v->visit(&(struct access_change){.kind = ACCESS_VHOST,
                                     .text = {[TEXT_VHOST] = vhost->name,
                                              [TEXT_DESCRIPTION] = vhost->description,
                                              [TEXT_TAGS] = vhost->tags,
                                              [TEXT_QUEUE_TYPE] = vhost->queue_type}},
             v->owner);
    visit_limits(v, &vhost->limits, ACCESS_VHOST_LIMITS, TEXT_VHOST, vhost->name);
}

static void visit_grant(const struct visit *v, const struct access_user *user,
                        const struct access_grant *grant)
{
    v->visit(&(struct access_change){.kind = ACCESS_PERMISSION,
                                     .text = {[TEXT_USER] = user->name,
                                              [TEXT_VHOST] = access_vhost_of(v->access, grant->vhost)->name,
                                              [TEXT_CONFIGURE] = grant->rule[RIGHT_CONFIGURE].source,
                                              [TEXT_WRITE] = grant->rule[RIGHT_WRITE].source,
                                              [TEXT_READ] = grant->rule[RIGHT_READ].source}},
             v->owner);
}

static void visit_topic(const struct visit *v, const struct access_user *user,
                        const struct access_topic *topic)
{
    v->visit(&(struct access_change){.kind = ACCESS_TOPIC,
                                     .text = {[TEXT_USER] = user->name,
                                              [TEXT_VHOST] = access_vhost_of(v->access, topic->vhost)->name,
                                              [TEXT_EXCHANGE] = topic->exchange,
                                              [TEXT_WRITE] = topic->write,
                                              [TEXT_READ] = topic->read}},
             v->owner);
}

static void visit_user(struct map_node *node, void *owner)
{
    const struct visit *v = owner;
    const struct access_user *user = container_of(node, struct access_user, node);
    v->visit(
        &(struct access_change){
            .kind = ACCESS_USER,
            .text = {[TEXT_USER] = user->name, [TEXT_PASSWORD] = user->password, [TEXT_TAGS] = user->tags}},
        v->owner);
    visit_limits(v, &user->limits, ACCESS_USER_LIMITS, TEXT_USER, user->name);
    for (const struct access_grant *grant = user->grants; grant; grant = grant->next)
        visit_grant(v, user, grant);
    for (const struct access_topic *topic = user->topics; topic; topic = topic->next)
        visit_topic(v, user, topic);
}

void access_each(const struct access *access, void (*visit)(const struct access_change *change, void *owner),
                 void *owner)
{
    struct visit v = {access, visit, owner};
    map_each((struct map *)(uintptr_t)&access->vhosts, visit_vhost, &v);
    map_each((struct map *)(uintptr_t)&access->users, visit_user, &v);
    for (const struct access_global *global = access->globals; global; global = global->next)
        visit(&(struct access_change){.kind = ACCESS_GLOBAL,
                                      .text = {[TEXT_NAME] = global->name, [TEXT_VALUE] = global->value}},
              owner);
}

/* ---- making one ------------------------------------------------------------------------------------- */

struct access *access_new(struct tallies *tallies)
{
    struct access *access = calloc(1, sizeof *access);
    CHECK(access);
    access->generation = 1;
    access->tallies = tallies;
    map_init(&access->users);
    map_init(&access->vhosts);
    return access;
}

void access_free(struct access *access)
{
    if (!access)
        return;
    map_each(&access->users, free_user, NULL);
    map_each(&access->vhosts, free_vhost, NULL);
    map_free(&access->users);
    map_free(&access->vhosts);
    access_globals_free(access);
    pattern_scratch_free(&access->scratch);
    free(access);
}
