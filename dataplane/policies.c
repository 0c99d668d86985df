#include "policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access.h"
#include "router/command.h"
#include "router/table_out.h"

static const struct verb {
    const char *word;
    enum op_kind kind;
    uint32_t flags;
} verbs[] = {
    {"set_policy", OP_POLICY_SET, 0},
    {"check_policy", OP_POLICY_SET, OP_ONLY_CHECK},
    {"clear_policy", OP_POLICY_CLEAR, 0},
    {"list_policies", OP_POLICY_LIST, 0},
    {"set_operator_policy", OP_POLICY_SET, OP_OPERATOR},
    {"check_operator_policy", OP_POLICY_SET, OP_OPERATOR | OP_ONLY_CHECK},
    {"clear_operator_policy", OP_POLICY_CLEAR, OP_OPERATOR},
    {"list_operator_policies", OP_POLICY_LIST, OP_OPERATOR},
    {"list_all_policies", OP_POLICY_LIST, OP_ALL},
    {"list_all_operator_policies", OP_POLICY_LIST, OP_OPERATOR | OP_ALL},
};

/* ---- the words of a request ------------------------------------------------------------------------ */

/* Whether it is there is the registrar's to say. */
static bool take_vhost(char **rest, struct op *op, FILE *out)
{
    if (!request_name(rest, "the virtual host", &op->other, out))
        return false;
    op->vhost = access_vhost_id(name_span(&op->other));
    return true;
}

static bool read_whole(const char *word, long long *number)
{
    char *end;
    errno = 0;
    *number = strtoll(word, &end, 10);
    return *word && *word != ' ' && !*end && errno == 0;
}

static bool take_priority(char **rest, int32_t *priority, FILE *out)
{
    const char *word = strsep(rest, "\t");
    long long number = 0;
    bool ok = word && read_whole(word, &number) && number >= INT32_MIN && number <= INT32_MAX;
    *priority = (int32_t)number;
    if (!ok)
        request_error(out, "a priority is a whole number of 32 bits, not ", word ? word : "");
    return ok;
}

/* ---- a definition, as a table ---------------------------------------------------------------------- */

/* Writes one key's field; NULL: the value is none. */
static uint8_t *put_value(uint8_t *at, const char *key, char type, const char *value)
{
    long long number;
    switch (type) {
    case 's':
        return put_field_str(at, key, span_str(value));
    case 'i':
        return read_whole(value, &number) ? put_field_long(at, key, number) : NULL;
    case 'b':
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return NULL;
        return put_u8(put_field(at, key, 't'), *value == 't');
    default:
        return NULL;
    }
}

static bool take_definition(char *rest, struct span *table, FILE *out)
{
    /* A field's type and lengths take less than twice the word "k=s:", its value less than twice "i:1". */
    size_t room = rest ? 4 * strlen(rest) + 16 : 16;
    uint8_t *bytes = malloc(room), *at = bytes;
    CHECK(bytes);
    *table = span_of(bytes, 0);
    for (char *key; (key = strsep(&rest, "\t"));) {
        char *value = strchr(key, '=');
        if (value)
            *value++ = '\0';
        uint8_t *to = value && value[0] && value[1] == ':' && strlen(key) <= NAME_MAX_BYTES
                          ? put_value(at, key, value[0], value + 2)
                          : NULL;
        if (!to) {
            request_error(
                out, "a definition is made of KEY=s:TEXT, KEY=i:NUMBER and KEY=b:true: there is none for ",
                key);
            return false;
        }
        at = to;
    }
    table->len = (size_t)(at - bytes);
    return true;
}

/* ---- answers --------------------------------------------------------------------------------------- */

static bool fill_in(struct op *op, char *rest, FILE *out)
{
    if (op->flags & OP_ALL)
        return true;
    if (!take_vhost(&rest, op, out))
        return false;
    if (op->kind == OP_POLICY_LIST)
        return true;
    if (op->kind == OP_POLICY_CLEAR)
        return request_name(&rest, "the name", &op->name, out);
    return take_priority(&rest, &op->priority, out) && request_name(&rest, "apply-to", &op->type, out) &&
           request_name(&rest, "the name", &op->name, out) &&
           request_name(&rest, "the pattern", &op->key, out) && take_definition(rest, &op->arguments, out);
}

static void tell(const struct op *op, FILE *out)
{
    if (!op)
        request_too_late(out);
    else if (op->error != ERR_NONE)
        request_refused(out, op);
    else if (op->kind == OP_POLICY_LIST)
        fprintf(out, "ok\n%s\tpriority#\n%s",
                op->flags & OP_ALL ? "vhost\tname\tpattern\tapply-to\tdefinition{"
                                   : "name\tpattern\tapply-to\tdefinition",
                op->list ? op->list : "");
    else
        fputs("ok\n", out);
}

bool policies_answer(struct gannetd *g, char *request, FILE *out)
{
    const char *word = strsep(&request, "\t");
    size_t i = 0;
    while (i < sizeof verbs / sizeof *verbs && strcmp(word, verbs[i].word) != 0)
        i++;
    if (i == sizeof verbs / sizeof *verbs)
        return false;
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = verbs[i].kind;
    op->flags = verbs[i].flags;
    if (fill_in(op, request, out)) {
        op = control_ask(g, op);
        tell(op, out);
    }
    front_free_answer(op);
    return true;
}
