/*
 * Calls of the HTTP API from hostile peers, up to where a handler is called: the path, which row of api.def
 * it is, the query, the Authorization header, the body and its fields, and the page of a list that is asked
 * for. And the broker's tables, which hold names that clients choose.
 *
 * An input is lines: path, query, header, body, and a table to its end. corpus/http has some.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/check.h"
#include "mgmt/basic.h"
#include "mgmt/fields.h"
#include "mgmt/paging.h"
#include "mgmt/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void find(const char *raw)
{
    struct call call = {0};
    unsigned known;
    if (path_split(&call.path, raw))
        return;
    for (unsigned method = 0; method <= METHODS; method++) {
        const struct route *route = route_find((enum method)method, &call.path, call.argument, &known);
        if (!route)
            continue;
        CHECK(known & 1u << method);
        const char *vhost = route_argument(route, &call, "vhost");
        CHECK(!vhost || strlen(vhost) <= PATH_NAME_BYTES);
    }
}

static void log_in(const char *header)
{
    struct basic basic;
    CHECK(basic_read(&basic, header) == (*basic.user != '\0'));
    CHECK(!strpbrk(basic.user, "\t\n\r") && !strpbrk(basic.password, "\t\n\r"));
}

struct fields_of {
    const char *text;
    char *words;
    json_int_t whole;
    bool truth;
    const json_t *object, *list;
};

static void read_body(const char *body)
{
    static const struct field fields[] = {
        FIELD(struct fields_of, text, "a", TEXT, false),
        FIELD(struct fields_of, words, "b", WORDS, false),
        FIELD(struct fields_of, whole, "c", WHOLE, false),
        FIELD(struct fields_of, truth, "d", TRUTH, false),
        FIELD(struct fields_of, object, "e", OBJECT, false),
        FIELD(struct fields_of, list, "f", LIST, false),
    };
    struct fields_of of = {0};
    struct reply reply = {0};
    json_t *json = json_loadb(body, strlen(body), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (json_is_object(json) && !fields_read(json, fields, sizeof fields / sizeof *fields, &of, &reply))
        CHECK(reply.status == 400 && reply.json);
    json_decref(reply.json);
    json_decref(json);
    free(of.words);
}

static void read_query(struct query *query, char *text)
{
    for (char *word; (word = strsep(&text, "&"));) {
        char *name = strsep(&word, "=");
        query_add(query, name, word);
    }
}

static void list(const struct query *query, const char *text)
{
    static const struct column columns[] = {{"vhost"},
                                            {"name"},
                                            {"tags", COLUMN_WORDS},
                                            {"a.b", COLUMN_SAME, "size"},
                                            {"a.c", COLUMN_FIXED, "{}"},
                                            {"on", COLUMN_PARSED},
                                            {"off", COLUMN_OR_NULL}};
    struct table table = table_parse(strdup(text));
    for (unsigned all = 0; all < 2; all++) {
        struct rows rows = {NULL, &table, all ? NULL : columns, sizeof columns / sizeof *columns};
        size_t *row = calloc(table.rows + 1, sizeof *row), count = 0;
        struct reply reply = {0};
        for (size_t i = 1; i < table.rows; i++)
            row[count++] = i;
        if (table.columns)
            paging_reply(query, &rows, row, count, &reply);
        CHECK(!table.columns || (reply.json && (reply.status == 200 || reply.status == 400)));
        free(json_dumps(reply.json, 0));
        json_decref(reply.json);
        free(row);
    }
    table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), *rest = text;
    const char *path = strsep(&rest, "\n");
    char *asked = rest ? strsep(&rest, "\n") : NULL;
    const char *header = rest ? strsep(&rest, "\n") : NULL, *body = rest ? strsep(&rest, "\n") : NULL;
    struct query query = {0};
    find(path);
    if (asked)
        read_query(&query, asked);
    if (header)
        log_in(header);
    if (body)
        read_body(body);
    if (rest)
        list(&query, rest);
    query_clear(&query);
    free(text);
    return 0;
}
