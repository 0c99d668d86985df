/* What status commands ask of a router. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/agent.h"
#include "router/hidden.h"
#include "router/table.h"

/* Clients choose the name: a line stays a line, and a column a column. */
static void put_name(FILE *out, const struct name *name)
{
    for (unsigned i = 0; i < name->len; i++) {
        unsigned char c = (unsigned char)name->bytes[i];
        fputc(c < ' ' || c == 127 ? '?' : c, out);
    }
}

static void one_line(struct map_node *node, void *owner)
{
    FILE *out = owner;
    const struct queue *q = container_of(node, struct queue, by_name);
    if (is_hidden(q->vhost))
        return;
    fprintf(out, "%u\t", q->vhost);
    put_name(out, &q->name);
    fprintf(out, "\t%llu\t%llu\t%u\t%llu\t%s%s%s\t", (unsigned long long)q->index.ready,
            (unsigned long long)q->index.out, q->consumers, (unsigned long long)q->index.bytes,
            q->durable ? "durable" : "transient", q->exclusive ? " exclusive" : "",
            q->auto_delete ? " auto-delete" : "");
    if (q->policy)
        put_name(out, &q->policy->name);
    fputc('\t', out);
    if (q->operator_policy)
        put_name(out, &q->operator_policy->name);
    fputc('\n', out);
}

/* ---- policies ------------------------------------------------------------------------------------ */

static void put_json_string(FILE *out, struct span s)
{
    fputc('"', out);
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < ' ' || s.at[i] == 127)
            fprintf(out, "\\u%04x", s.at[i]);
        else
            fprintf(out, s.at[i] == '"' || s.at[i] == '\\' ? "\\%c" : "%c", s.at[i]);
    }
    fputc('"', out);
}

/* What a policy can hold (policy_check): strings, numbers, truth. */
static void put_definition(FILE *out, struct span definition)
{
    struct field field;
    const char *before = "{";
    for (bool flag; table_next(&definition, &field); before = ",") {
        int64_t number;
        fputs(before, out);
        put_json_string(out, field.name);
        fputc(':', out);
        if (field.type == 'S')
            put_json_string(out, field.value);
        else if (field_int(&field, &number))
            fprintf(out, "%lld", (long long)number);
        else
            fputs(field_bool(&field, &flag) && flag ? "true" : "false", out);
    }
    fputc('}', out);
}

static void one_policy(FILE *out, const struct policy *p)
{
    put_name(out, &p->name);
    fputc('\t', out);
    put_name(out, &p->pattern);
    fprintf(out, "\t%s\t", policy_target_name(p->target));
    put_definition(out, p->definition);
    fprintf(out, "\t%d\n", p->priority);
}

void list_policies(struct router *router, struct op *op)
{
    char *text = NULL;
    size_t size = 0;
    bool is_operator = op->flags & OP_OPERATOR;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    for (const struct policy *p = router->policies.first; p; p = p->next)
        if (p->vhost == op->vhost && p->is_operator == is_operator)
            one_policy(out, p);
    fclose(out);
    op->list = text;
    router_answer_now(router, op);
}

/* ---- queues -------------------------------------------------------------------------------------- */

void list_queues(struct router *router, struct op *op)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    map_each(&router->catalog.queues, one_line, out);
    fclose(out);
    op->list = text;
    router_answer_now(router, op);
}
