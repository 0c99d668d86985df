/* Users. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "handlers.h"
#include "listing.h"
#include "paging.h"

/* What is kept of a password is nobody's but the broker's. */
static const struct column columns[] = {
    {"name", COLUMN_SAME, "user"},
    {"password_hash", COLUMN_FIXED, "\"\""},
    {"hashing_algorithm", COLUMN_FIXED, "\"argon2id\""},
    {"tags", COLUMN_WORDS},
    {"limits", COLUMN_FIXED, "{}"},
};
static const struct list users = LIST("list_users", NULL, columns);
static const struct list permissions = {"list_all_permissions", NULL, NULL, 0, LIST_SHORT};

void list_of_users(const struct call *call, struct reply *reply)
{
    list_answer(call, &users, NULL, reply);
}

void get_user(const struct call *call, struct reply *reply)
{
    list_answer_one(call, &users, (struct match[]){{"user", call->argument[0]}, {NULL}}, reply);
}

/* ---- those who may use no virtual host ------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Leaves those out who are in the other list. */
static bool leave_out(struct listing *of, const struct listing *granted)
{
    const char **names = calloc(granted->count + 1, sizeof *names);
    size_t kept = 0;
    for (size_t i = 0; names && i < granted->count; i++)
        names[i] = table_cell(&granted->table, granted->row[i], "user");
    if (names)
        qsort(names, granted->count, sizeof *names, compare);
    for (size_t i = 0; names && i < of->count; i++) {
        const char *name = table_cell(&of->table, of->row[i], "user");
        if (!bsearch(&name, names, granted->count, sizeof *names, compare))
            of->row[kept++] = of->row[i];
    }
    of->count = kept;
    free(names);
    return names;
}

void list_of_users_without_permissions(const struct call *call, struct reply *reply)
{
    struct listing all, granted;
    if (!listing_read(&granted, call, &permissions, NULL, reply))
        return;
    if (listing_read(&all, call, &users, NULL, reply)) {
        if (leave_out(&all, &granted))
            paging_reply(&call->query, &all.rows, all.row, all.count, reply);
        else
            reply_error(reply, 503, "no memory");
        listing_free(&all);
    }
    listing_free(&granted);
}

/* ---- changes --------------------------------------------------------------------------------------------
 */

struct body {
    const char *password, *hash, *algorithm;
    char *tags;
};

static const struct field fields[] = {
    FIELD(struct body, password, "password", TEXT, false),
    FIELD(struct body, hash, "password_hash", TEXT, false),
    FIELD(struct body, algorithm, "hashing_algorithm", TEXT, false),
    FIELD(struct body, tags, "tags", WORDS, true),
};

static bool put_hash(const struct call *call, const struct body *body, struct table *answer,
                     struct reply *reply)
{
    char hash[512];
    int len = snprintf(hash, sizeof hash, "%s:%s",
                       body->algorithm ? body->algorithm : "rabbit_password_hashing_sha256", body->hash);
    if (len < (int)sizeof hash)
        return ask(call, reply, answer, "put_user_hash", call->argument[0], hash, body->tags, NULL);
    reply_error(reply, 400, "the field 'password_hash' is no password's hash");
    return false;
}

/* Without a password, nobody logs in as the user with one. */
static void put(const struct call *call, const struct body *body, struct reply *reply)
{
    const char *name = call->argument[0];
    struct table answer;
    if (body->hash && body->password)
        reply_error(reply, 400, "both_password_and_password_hash_are_provided");
    else if (body->password ? ask(call, reply, &answer, "put_user", name, body->password, body->tags, NULL)
             : body->hash && *body->hash
                 ? put_hash(call, body, &answer, reply)
                 : ask(call, reply, &answer, "put_user_without_password", name, body->tags, NULL)) {
        reply_done(reply, *table_cell(&answer, 1, "new") == 't');
        table_free(&answer);
    }
}

void put_user(const struct call *call, struct reply *reply)
{
    struct body body = {0};
    if (fields_read(call->body, fields, sizeof fields / sizeof *fields, &body, reply))
        put(call, &body, reply);
    free(body.tags);
}

void delete_user(const struct call *call, struct reply *reply)
{
    if (ask(call, reply, NULL, "delete_user", call->argument[0], NULL))
        reply_done(reply, false);
}

struct bulk {
    const json_t *users;
};

static const struct field bulk_fields[] = {FIELD(struct bulk, users, "users", LIST, true)};

/* All must be there before any goes. */
void delete_users(const struct call *call, struct reply *reply)
{
    struct bulk bulk = {0};
    if (!fields_read(call->body, bulk_fields, 1, &bulk, reply))
        return;
    size_t count = json_array_size(bulk.users);
    const char **words = calloc(count + 1, sizeof *words);
    if (!words) {
        reply_error(reply, 503, "no memory");
        return;
    }
    words[0] = "delete_users";
    for (size_t i = 0; i < count; i++)
        words[i + 1] = json_string_value(json_array_get(bulk.users, i));
    if (!count || ask_words(call, reply, NULL, words, count + 1))
        reply_done(reply, false);
    else if (reply->status == 404) /* as RabbitMQ says it */
        reply_status(reply, 400);
    free(words);
}
