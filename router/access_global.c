/* Global parameters: what operators and their tools note about the broker, which itself reads none of it. */
#include <stdlib.h>

#include "base/check.h"
#include "router/access_inside.h"

/* Where it is, or the end. */
static struct access_global **place(const struct access *access, struct span name)
{
    struct access_global **at = (struct access_global **)(uintptr_t)&access->globals;
    while (*at && !span_equal((*at)->name, name))
        at = &(*at)->next;
    return at;
}

const struct access_global *access_global_of(const struct access *access, struct span name)
{
    return *place(access, name);
}

static void put(struct access *access, const struct access_change *change)
{
    struct access_global **at = place(access, change->text[TEXT_NAME]), *global = *at;
    if (global) {
        access_drop(global->value);
    } else {
        global = calloc(1, sizeof *global);
        CHECK(global);
        global->name = access_copy(change->text[TEXT_NAME]);
        *at = global;
        access->global_count++;
    }
    global->value = access_copy(change->text[TEXT_VALUE]);
}

static void end(struct access *access, struct access_global **at)
{
    struct access_global *global = *at;
    *at = global->next;
    access_drop(global->name);
    access_drop(global->value);
    free(global);
    access->global_count--;
}

void access_global_apply(struct access *access, const struct access_change *change)
{
    if (change->kind == ACCESS_GLOBAL)
        put(access, change);
    else if (access_global_of(access, change->text[TEXT_NAME]))
        end(access, place(access, change->text[TEXT_NAME]));
}

void access_globals_free(struct access *access)
{
    while (access->globals)
        end(access, &access->globals);
}
