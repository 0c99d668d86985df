/* Fields of a call's body, and what is said of those that are wrong. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "mgmt/fields.h"

struct thing {
    const char *text;
    char *words;
    json_int_t whole;
    bool truth;
    const json_t *object, *list;
};

static const struct field fields[] = {
    FIELD(struct thing, text, "text", TEXT, true),        FIELD(struct thing, words, "words", WORDS, false),
    FIELD(struct thing, whole, "whole", WHOLE, false),    FIELD(struct thing, truth, "truth", TRUTH, false),
    FIELD(struct thing, object, "object", OBJECT, false), FIELD(struct thing, list, "list", LIST, false),
};

static bool read_it(const char *body, struct thing *thing, struct reply *reply, json_t **json)
{
    *json = json_loads(body, 0, NULL);
    cr_assert_not_null(*json, "%s", body);
    return fields_read(*json, fields, sizeof fields / sizeof *fields, thing, reply);
}

Test(api_body, what_is_right)
{
    struct thing thing = {.whole = 7};
    struct reply reply = {0};
    json_t *json;
    cr_assert(read_it(
        "{\"text\":\"t\",\"words\":[\"a\",\"b\"],\"truth\":true,\"object\":{},\"list\":[\"x\"],\"more\":1}",
        &thing, &reply, &json));
    cr_expect_str_eq(thing.text, "t");
    cr_expect_str_eq(thing.words, "a,b");
    cr_expect_eq(thing.whole, 7);
    cr_expect(thing.truth && thing.object);
    cr_expect_eq(json_array_size(thing.list), 1);
    free(thing.words);
    json_decref(json);
    thing = (struct thing){0};
    cr_assert(read_it("{\"text\":\"\",\"words\":\"a,b\",\"whole\":\"-5\",\"truth\":\"false\",\"list\":null}",
                      &thing, &reply, &json));
    cr_expect_str_eq(thing.words, "a,b");
    cr_expect(thing.whole == -5 && !thing.list);
    free(thing.words);
    json_decref(json);
}

Test(api_body, what_is_wrong)
{
    static const char *const bodies[][2] = {
        {"{}", "'text'"},
        {"{\"text\":null}", "'text'"},
        {"{\"text\":5}", "'text'"},
        {"{\"text\":\"\",\"words\":5}", "'words'"},
        {"{\"text\":\"\",\"words\":[5]}", "'words'"},
        {"{\"text\":\"\",\"whole\":\"5x\"}", "'whole'"},
        {"{\"text\":\"\",\"whole\":5.0}", "'whole'"},
        {"{\"text\":\"\",\"truth\":\"yes\"}", "'truth'"},
        {"{\"text\":\"\",\"object\":[]}", "'object'"},
        {"{\"text\":\"\",\"list\":\"x\"}", "'list'"},
        {"{\"text\":\"\",\"list\":[[]]}", "'list'"},
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct thing thing = {0};
        struct reply reply = {0};
        json_t *json;
        cr_expect_not(read_it(bodies[i][0], &thing, &reply, &json), "%s", bodies[i][0]);
        cr_expect_eq(reply.status, 400);
        cr_expect_not_null(strstr(json_string_value(json_object_get(reply.json, "reason")), bodies[i][1]),
                           "%s", bodies[i][0]);
        json_decref(reply.json);
        json_decref(json);
        free(thing.words);
    }
}
