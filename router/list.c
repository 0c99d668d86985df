/* What operators ask of a router: lists, mostly. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/access_ops.h"
#include "router/agent.h"
#include "router/listing.h"
#include "router/policy_effect.h"
#include "router/rows.h"

/* Clients choose the name: a line stays a line, and a column a column. */
static void put_text(FILE *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        fputc(text.at[i] < ' ' || text.at[i] == 127 ? '?' : text.at[i], out);
}

static void put_name(FILE *out, const struct name *name)
{
    put_text(out, name_span(name));
}

/* ---- policies ------------------------------------------------------------------------------------ */

static void one_policy(FILE *out, const struct policy *p)
{
    put_name(out, &p->name);
    fputc('\t', out);
    put_name(out, &p->pattern);
    fprintf(out, "\t%s\t", policy_target_name(p->target));
    struct rows definition = {0};
    rows_table(&definition, p->definition);
    fprintf(out, "%s\t%d\n", definition.text, p->priority);
    free(definition.text);
}

void list_policies(struct router *router, struct op *op)
{
    char *text = NULL;
    size_t size = 0;
    bool is_operator = op->flags & OP_OPERATOR;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    for (const struct policy *p = router->policies.first; p; p = p->next) {
        bool all = op->flags & OP_ALL;
        if ((!all && p->vhost != op->vhost) || p->is_operator != is_operator)
            continue;
        if (all) {
            put_text(out, span_str(router_vhost_name(router, p->vhost)));
            fputc('\t', out);
        }
        one_policy(out, p);
    }
    fclose(out);
    op->list = text;
    router_answer_now(router, op);
}

/* ---- access ---------------------------------------------------------------------------------------- */

/* What each list is of, and its columns. ONE_*: of the user or virtual host that the op names. */
enum { ONE_USER = 1, ONE_VHOST = 2 };

static const struct access_listing {
    const char *word;
    uint8_t kind, of;
    int8_t columns[5]; /* enum access_text; -1: no more */
} access_listings[] = {
    {"users", ACCESS_USER, 0, {TEXT_USER, TEXT_TAGS, -1}},
    {"login", ACCESS_USER, ONE_USER, {TEXT_PASSWORD, TEXT_TAGS, -1}},
    {"hashes", ACCESS_USER, 0, {TEXT_USER, TEXT_PASSWORD, TEXT_TAGS, -1}},
    {"vhosts", ACCESS_VHOST, 0, {TEXT_VHOST, TEXT_DESCRIPTION, TEXT_TAGS, TEXT_QUEUE_TYPE, -1}},
    {"permissions", ACCESS_PERMISSION, ONE_VHOST, {TEXT_USER, TEXT_CONFIGURE, TEXT_WRITE, TEXT_READ, -1}},
    {"user_permissions",
     ACCESS_PERMISSION,
     ONE_USER,
     {TEXT_VHOST, TEXT_CONFIGURE, TEXT_WRITE, TEXT_READ, -1}},
    {"all_permissions", ACCESS_PERMISSION, 0, {TEXT_VHOST, TEXT_USER, TEXT_CONFIGURE, TEXT_WRITE, TEXT_READ}},
    {"topic_permissions", ACCESS_TOPIC, ONE_VHOST, {TEXT_USER, TEXT_EXCHANGE, TEXT_WRITE, TEXT_READ, -1}},
    {"user_topic_permissions",
     ACCESS_TOPIC,
     ONE_USER,
     {TEXT_VHOST, TEXT_EXCHANGE, TEXT_WRITE, TEXT_READ, -1}},
    {"all_topic_permissions", ACCESS_TOPIC, 0, {TEXT_VHOST, TEXT_USER, TEXT_EXCHANGE, TEXT_WRITE, TEXT_READ}},
    {"user_limits", ACCESS_USER_LIMITS, 0, {TEXT_USER, TEXT_LIMITS, -1}},
    {"one_user_limits", ACCESS_USER_LIMITS, ONE_USER, {TEXT_USER, TEXT_LIMITS, -1}},
    {"vhost_limits", ACCESS_VHOST_LIMITS, 0, {TEXT_VHOST, TEXT_LIMITS, -1}},
    {"globals", ACCESS_GLOBAL, 0, {TEXT_NAME, TEXT_VALUE, -1}},
    {"one_vhost_limits", ACCESS_VHOST_LIMITS, ONE_VHOST, {TEXT_VHOST, TEXT_LIMITS, -1}},
};

struct access_lines {
    const struct access_listing *listing;
    const struct op *op;
    FILE *out;
};

static void one_access(const struct access_change *change, void *owner)
{
    const struct access_lines *lines = owner;
    const struct access_listing *l = lines->listing;
    if (change->kind != l->kind ||
        (l->of == ONE_USER && !span_equal(change->text[TEXT_USER], name_span(&lines->op->name))) ||
        (l->of == ONE_VHOST && !span_equal(change->text[TEXT_VHOST], name_span(&lines->op->other))))
        return;
    for (unsigned i = 0; i < 5 && l->columns[i] >= 0; i++) {
        if (i)
            fputc('\t', lines->out);
        put_text(lines->out, change->text[l->columns[i]]);
    }
    fputc('\n', lines->out);
}

static bool is_there(struct router *router, struct op *op, const struct access_listing *l)
{
    if (l->of == ONE_USER && !access_user(router->access, name_span(&op->name)))
        router_refuse(router, op, ERR_NOT_FOUND, "user '%.*s' does not exist", op->name.len, op->name.bytes);
    else if (l->of == ONE_VHOST && !access_vhost(router->access, name_span(&op->other)))
        router_refuse(router, op, ERR_NOT_FOUND, "virtual host '%.*s' does not exist", op->other.len,
                      op->other.bytes);
    else
        return true;
    return false;
}

void access_list(struct router *router, struct op *op)
{
    char *text = NULL;
    size_t size = 0, i = 0;
    while (i < sizeof access_listings / sizeof *access_listings &&
           !span_is(name_span(&op->type), access_listings[i].word))
        i++;
    CHECK(i < sizeof access_listings / sizeof *access_listings);
    if (!is_there(router, op, &access_listings[i]))
        return;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    access_each(router->access, one_access, &(struct access_lines){&access_listings[i], op, out});
    fclose(out);
    op->list = text;
    router_answer_now(router, op);
}

/* ---- ops ----------------------------------------------------------------------------------------- */

void router_on_operators_op(struct router *router, struct op *op)
{
    switch (op->kind) {
    case OP_POLICY_SET:
    case OP_POLICY_CLEAR:
        policy_on_op(router, op);
        return;
    case OP_POLICY_LIST:
        list_policies(router, op);
        return;
    case OP_LIST:
        listing_on_op(router, op);
        return;
    case OP_ACCESS_CHANGE:
        access_on_op(router, op);
        return;
    case OP_ACCESS_LIST:
        access_list(router, op);
        return;
    default:
        UNREACHABLE();
    }
}
