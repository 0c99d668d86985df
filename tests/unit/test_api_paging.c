/* Pages of lists: as RabbitMQ has them (tests/interop/against_rabbitmq, with its management plugin, says the
 * same of the rows here). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/paging.h"

static const struct column columns[] = {{"name"},
                                        {"stats.size", COLUMN_SAME, "size"},
                                        {"stats.on", COLUMN_SAME, "on"},
                                        {"tags", COLUMN_WORDS},
                                        {"fixed", COLUMN_FIXED, "[1]"},
                                        {"loud", COLUMN_OR_NULL},
                                        {"deep", COLUMN_PARSED, "loud"}};

static const char text[] = "name\tsize#\ton?\ttags\tloud\tmore{\n"
                           "beta\t9\ttrue\tx,y\t5\t{\"a\":1}\n"
                           "Alpha\t10\tfalse\t\t\t{}\n"
                           "gamma\t2\ttrue\tz\t[1\t{\n";

/* What the query (a=1&b=2) is answered: the reply's JSON, or "STATUS WORD". */
static char *answer(const char *asked, bool all_columns)
{
    struct table table = table_parse(strdup(text));
    struct rows rows = {NULL, &table, all_columns ? NULL : columns, sizeof columns / sizeof *columns};
    size_t row[] = {1, 2, 3};
    struct query query = {0};
    struct reply reply = {0};
    char *copy = strdup(asked), *rest = copy, *said;
    for (char *word; (word = strsep(&rest, "&")) && *word;) {
        char *name = strsep(&word, "=");
        cr_assert_null(query_add(&query, name, word));
    }
    paging_reply(&query, &rows, row, 3, &reply);
    if (reply.status == 200)
        said = json_dumps(reply.json, JSON_COMPACT | JSON_SORT_KEYS);
    else
        cr_assert_gt(
            asprintf(&said, "%u %s", reply.status, json_string_value(json_object_get(reply.json, "error"))),
            0);
    json_decref(reply.json);
    query_clear(&query);
    table_free(&table);
    free(copy);
    return said;
}

static void expect(const char *asked, const char *wanted)
{
    char *said = answer(asked, false);
    cr_expect_str_eq(said, wanted, "?%s: %s", asked, said);
    free(said);
}

Test(api_paging, order)
{
    expect("columns=name", "[{\"name\":\"Alpha\"},{\"name\":\"beta\"},{\"name\":\"gamma\"}]");
    expect("columns=name&sort_reverse=true",
           "[{\"name\":\"gamma\"},{\"name\":\"beta\"},{\"name\":\"Alpha\"}]");
    expect("columns=name&sort=stats.size", "[{\"name\":\"gamma\"},{\"name\":\"beta\"},{\"name\":\"Alpha\"}]");
    expect("columns=name&sort=stats.size&sort_reverse=true",
           "[{\"name\":\"Alpha\"},{\"name\":\"beta\"},{\"name\":\"gamma\"}]");
    expect("columns=name&sort=nothing", "[{\"name\":\"Alpha\"},{\"name\":\"beta\"},{\"name\":\"gamma\"}]");
    expect("columns=name&sort=fixed", "[{\"name\":\"Alpha\"},{\"name\":\"beta\"},{\"name\":\"gamma\"}]");
}

Test(api_paging, members)
{
    expect("page=1&page_size=1&sort=stats.size",
           "{\"filtered_count\":3,\"item_count\":1,\"items\":[{"
           "\"deep\":null,\"fixed\":[1],\"loud\":\"[1\",\"name\":\"gamma\",\"stats\":"
           "{\"on\":true,\"size\":2},\"tags\":[\"z\"]}],\"page\":1,"
           "\"page_count\":3,\"page_size\":1,\"total_count\":3}");
    expect("columns=stats,tags", "[{\"stats\":{\"on\":false,\"size\":10},\"tags\":[]},{\"stats\":{\"on\":"
                                 "true,\"size\":9},\"tags\":[\"x\",\"y\"]},"
                                 "{\"stats\":{\"on\":true,\"size\":2},\"tags\":[\"z\"]}]");
    expect("columns=loud,deep,stats.on,stat", "[{\"deep\":null,\"loud\":null,\"stats\":{\"on\":false}},{"
                                              "\"deep\":5,\"loud\":\"5\",\"stats\":{\"on\":true}},"
                                              "{\"deep\":null,\"loud\":\"[1\",\"stats\":{\"on\":true}}]");
    expect("columns=,", "[{},{},{}]");
    char *said = answer("columns=more,on", true);
    cr_expect_str_eq(
        said, "[{\"more\":{},\"on\":false},{\"more\":{\"a\":1},\"on\":true},{\"more\":null,\"on\":true}]",
        "%s", said);
    free(said);
}

Test(api_paging, names)
{
#define PAGE(filtered, items, list, pages)                                                                   \
    "{\"filtered_count\":" filtered ",\"item_count\":" items ",\"items\":[" list                             \
    "],\"page\":1,\"page_count\":" pages ",\"page_size\":100,\"total_count\":3}"
    expect("page=1&columns=name&name=ALPH", PAGE("1", "1", "{\"name\":\"Alpha\"}", "1"));
    expect("page=1&columns=name&name=^g&use_regex=true", PAGE("1", "1", "{\"name\":\"gamma\"}", "1"));
    expect("page=1&columns=name&name=^a&use_regex=true", PAGE("0", "0", "", "0"));
    expect("page=1&columns=name&name=^g&use_regex=no", PAGE("0", "0", "", "0"));
    expect("page=1&columns=name&name=&use_regex=true",
           PAGE("3", "3", "{\"name\":\"Alpha\"},{\"name\":\"beta\"},{\"name\":\"gamma\"}", "1"));
    /* Without a page it is no filter. */
    expect("columns=name&name=^g&use_regex=true",
           "[{\"name\":\"Alpha\"},{\"name\":\"beta\"},{\"name\":\"gamma\"}]");
}

Test(api_paging, pages)
{
    expect("page=2&page_size=2&columns=name",
           "{\"filtered_count\":3,\"item_count\":1,\"items\":[{\"name\":\"gamma\"}],\"page\":2,"
           "\"page_count\":2,\"page_size\":2,\"total_count\":3}");
    /* Just behind the last is an empty one. */
    expect("page=4&page_size=1&columns=name",
           "{\"filtered_count\":3,\"item_count\":0,\"items\":[],\"page\":4,\"page_count\":3,"
           "\"page_size\":1,\"total_count\":3}");
    expect("page=3&page_size=2", "400 page_out_of_range");
    expect("page=2&name=nothing", "400 page_out_of_range");
    expect("page=9223372036854775807&page_size=500", "400 page_out_of_range");
    static const char *const bad[] = {"page=0", "page=-1", "page=1&page_size=0", "page=1&page_size=501"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect(bad[i], "400 invalid_pagination_parameters");
    static const char *const worse[] = {"page=",
                                        "page=x",
                                        "page=1.5",
                                        "page=1&page_size=",
                                        "page=%201",
                                        "page=1x",
                                        "page=99999999999999999999",
                                        "page=1&name=(&use_regex=true"};
    for (size_t i = 0; i < sizeof worse / sizeof *worse; i++)
        expect(worse[i], "400 bad_request");
}
