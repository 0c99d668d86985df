#include "parameters.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access.h"
#include "router/command.h"
#include "router/rows.h"

/* A list of limits, or of operator policies: of all virtual hosts, or of the one. */
static struct op *op_of(enum op_kind kind, const struct name *vhost, bool all)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = kind;
    op->other = *vhost;
    op->vhost = all ? 0 : access_vhost_id(name_span(vhost));
    name_set(&op->type, span_str(all ? "vhost_limits" : "one_vhost_limits"));
    if (kind == OP_POLICY_LIST)
        op->flags = OP_OPERATOR | (all ? OP_ALL : 0);
    return op;
}

/* A line of limits begins with the virtual host either way. */
static void put_limits(char *lines, bool all, FILE *out)
{
    for (char *line; (line = strsep(&lines, "\n")) && *line;) {
        const char *vhost = strsep(&line, "\t");
        fprintf(out, "%s%svhost-limits\tlimits\t%s\n", all ? vhost : "", all ? "\t" : "", line);
    }
}

static void put_quoted(const char *text, FILE *out)
{
    struct rows row = {0};
    rows_string(&row, span_str(text));
    fwrite(row.text, 1, row.len, out);
    free(row.text);
}

static void put_policies(char *lines, bool all, FILE *out)
{
    for (char *line; (line = strsep(&lines, "\n")) && *line;) {
        if (all)
            fprintf(out, "%s\t", strsep(&line, "\t"));
        fprintf(out, "operator_policy\t%s\t{\"pattern\":", strsep(&line, "\t"));
        put_quoted(strsep(&line, "\t"), out);
        const char *apply_to = strsep(&line, "\t"), *definition = strsep(&line, "\t");
        fprintf(out, ",\"apply-to\":\"%s\",\"definition\":%s,\"priority\":%s}\n", apply_to, definition, line);
    }
}

static void answer(struct gannetd *g, const struct name *vhost, bool all, FILE *out)
{
    struct op *limits = control_ask_saying(g, op_of(OP_ACCESS_LIST, vhost, all), out);
    struct op *policies = limits ? control_ask_saying(g, op_of(OP_POLICY_LIST, vhost, all), out) : NULL;
    if (policies) {
        fprintf(out, "ok\n%scomponent\tname\tvalue{\n", all ? "vhost\t" : "");
        put_limits(limits->list, all, out);
        put_policies(policies->list, all, out);
    }
    front_free_answer(limits);
    front_free_answer(policies);
}

bool parameters_answer(struct gannetd *g, char *request, FILE *out)
{
    static const char of_one[] = "list_parameters", of_all[] = "list_all_parameters";
    size_t len = strcspn(request, "\t");
    char *rest = request[len] ? request + len + 1 : NULL;
    struct name vhost = {0};
    bool all = len == sizeof of_all - 1 && memcmp(request, of_all, len) == 0;
    if (!all && (len != sizeof of_one - 1 || memcmp(request, of_one, len) != 0))
        return false;
    if (all || request_name(&rest, "the virtual host", &vhost, out))
        answer(g, &vhost, all, out);
    return true;
}
