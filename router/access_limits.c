/* Limits of users and virtual hosts, and the counts that they are held against. */
#include "router/access_inside.h"

/* ---- changes ---------------------------------------------------------------------------------------------
 */

/* They have been checked: what can't be read is of a later version's journal, and says nothing. */
static void put(struct limits *limits, struct span text, bool of_user)
{
    char why[256];
    struct limits read = *limits;
    if (limits_read(&read, text, of_user, why, sizeof why))
        *limits = read;
}

static void end_one(struct limits *limits, struct span name)
{
    if (limit_named(name) != LIMITS)
        limits->most[limit_named(name)] = LIMIT_UNSAID;
}

static void change_user(struct access_user *user, const struct access_change *change)
{
    const struct span text = change->text[TEXT_LIMITS];
    if (change->kind == ACCESS_USER_LIMITS)
        put(&user->limits, text, true);
    else if (!access_has(change, TEXT_LIMITS))
        limits_init(&user->limits);
    else
        end_one(&user->limits, text);
    tally_forget_use(user->tally);
}

static void change_vhost(struct access_vhost *vhost, const struct access_change *change)
{
    bool one = change->kind == ACCESS_VHOST_LIMITS_GONE && access_has(change, TEXT_LIMITS);
    if (change->kind != ACCESS_VHOST_LIMIT && !one)
        limits_init(&vhost->limits);
    if (one)
        end_one(&vhost->limits, change->text[TEXT_LIMITS]);
    else if (change->kind != ACCESS_VHOST_LIMITS_GONE)
        put(&vhost->limits, change->text[TEXT_LIMITS], false);
    tally_forget_use(vhost->tally);
}

void access_limits_apply(struct access *access, const struct access_change *change)
{
    bool of_user = change->kind == ACCESS_USER_LIMITS || change->kind == ACCESS_USER_LIMITS_GONE;
    struct access_user *user = of_user ? access_user_of(access, change->text[TEXT_USER]) : NULL;
    uint32_t vhost = of_user ? 0 : access_vhost(access, change->text[TEXT_VHOST]);
    if (user)
        change_user(user, change);
    else if (vhost)
        change_vhost(access_vhost_of(access, vhost), change);
}

/* ---- what there is ---------------------------------------------------------------------------------------
 */

const struct limits *access_user_limits(const struct access *access, struct span user)
{
    const struct access_user *u = access_user_of(access, user);
    return u ? &u->limits : NULL;
}

const struct limits *access_vhost_limits(const struct access *access, uint32_t vhost)
{
    const struct access_vhost *v = access_vhost_of(access, vhost);
    return v ? &v->limits : NULL;
}

struct tally *access_user_tally(const struct access *access, struct span user)
{
    const struct access_user *u = access_user_of(access, user);
    return u ? u->tally : NULL;
}

struct tally *access_vhost_tally(const struct access *access, uint32_t vhost)
{
    const struct access_vhost *v = access_vhost_of(access, vhost);
    return v ? v->tally : NULL;
}

/* ---- queues ----------------------------------------------------------------------------------------------
 */

bool access_add_queue(struct access *access, uint32_t vhost, bool anyway)
{
    struct access_vhost *v = access_vhost_of(access, vhost);
    if (!v)
        return true;
    bool may = tally_add(v->tally, TALLY_QUEUES, anyway ? -1 : v->limits.most[LIMIT_QUEUES]);
    v->queues += may;
    return may;
}

void access_end_queue(struct access *access, uint32_t vhost)
{
    struct access_vhost *v = access_vhost_of(access, vhost);
    if (!v)
        return;
    tally_subtract(v->tally, TALLY_QUEUES, 1);
    v->queues--;
}
