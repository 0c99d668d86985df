#include "guard_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void add(struct guard_user *user, const struct guard_version *version)
{
    user->versions = realloc(user->versions, (user->count + 1) * sizeof *user->versions);
    CHECK(user->versions);
    user->versions[user->count++] = *version;
}

struct guard_model *guard_model_new(void)
{
    struct guard_model *model = calloc(1, sizeof *model);
    CHECK(model);
    model->clock = 1;
    for (unsigned i = 0; i < GUARD_USERS; i++)
        add(&model->users[i], &(struct guard_version){.answered = 1});
    return model;
}

void guard_model_free(struct guard_model *model)
{
    for (unsigned i = 0; i < GUARD_USERS; i++)
        free(model->users[i].versions);
    free(model);
}

const char *guard_thing_name(unsigned thing)
{
    static const char *const names[GUARD_THINGS] = {"g0", "g1", "g2", "amq.default", "amq.direct"};
    return names[thing];
}

/* One that names everything is written as users write it. */
void guard_pattern(uint8_t things, char *to, size_t size)
{
    size_t n = 0;
    if (things == (1u << GUARD_THINGS) - 1)
        snprintf(to, size, ".*");
    else if (!things)
        to[0] = 0;
    else {
        n = (size_t)snprintf(to, size, "^(");
        for (unsigned i = 0; i < GUARD_THINGS; i++)
            if (things >> i & 1)
                n += (size_t)snprintf(to + n, size - n, "%s%s", n > 2 ? "|" : "", guard_thing_name(i));
        snprintf(to + n, size - n, ")$");
    }
}

void guard_asked(struct guard_model *model, unsigned user, const struct guard_say *say)
{
    model->changes++;
    add(&model->users[user], &(struct guard_version){.say = *say, .asked = ++model->clock});
}

void guard_answered(struct guard_model *model, unsigned user)
{
    struct guard_user *u = &model->users[user];
    u->versions[u->count - 1].answered = ++model->clock;
}

const struct guard_say *guard_now(const struct guard_model *model, unsigned user)
{
    const struct guard_user *u = &model->users[user];
    return &u->versions[u->count - 1].say;
}

bool guard_sure(const struct guard_model *model, unsigned user)
{
    const struct guard_user *u = &model->users[user];
    return u->versions[u->count - 1].answered;
}

bool guard_deleted_since(const struct guard_model *model, unsigned user, uint64_t since)
{
    const struct guard_user *u = &model->users[user];
    for (size_t i = u->count; i-- > 0 && u->versions[i].asked > since;)
        if (!u->versions[i].say.there && u->versions[i].answered)
            return true;
    return false;
}

static bool answer_of(const struct guard_say *say, const struct guard_question *q)
{
    if (q->what == GUARD_IS_THERE || !say->there)
        return say->there;
    if (q->what == GUARD_ENTERS || !say->entered)
        return say->entered;
    for (unsigned i = 0; i < q->needs; i++)
        if (!(say->things[q->need[i].right] >> q->need[i].thing & 1))
            return false;
    return true;
}

bool guard_could(const struct guard_model *model, unsigned user, uint64_t since,
                 const struct guard_question *q, bool answer)
{
    const struct guard_user *u = &model->users[user];
    for (size_t i = 0; i < u->count; i++) {
        uint64_t over = i + 1 < u->count ? u->versions[i + 1].answered : 0;
        if ((!over || over >= since) && answer_of(&u->versions[i].say, q) == answer)
            return true;
    }
    return false;
}
