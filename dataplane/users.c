#include "users.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/prng.h"
#include "control.h"
#include "gannetd.h"
#include "request.h"
#include "router/access_change.h"
#include "router/password.h"

enum { TEXTS_MAX = 5, NO_TEXT = -1 };

/* The words of a change, in their order; those from `optional` on may be missing. */
static const struct change_verb {
    const char *word;
    uint8_t kind, optional;
    enum { MUST_BE, MUST_NOT_BE, EITHER } user;
    int8_t texts[TEXTS_MAX]; /* enum access_text; NO_TEXT: no more */
} change_verbs[] = {
    {"add_user", ACCESS_USER, 2, MUST_NOT_BE, {TEXT_USER, TEXT_PASSWORD, NO_TEXT}},
    {"put_user", ACCESS_USER, 2, EITHER, {TEXT_USER, TEXT_PASSWORD, TEXT_TAGS, NO_TEXT}},
    {"put_user_hash", ACCESS_USER, 2, EITHER, {TEXT_USER, TEXT_PASSWORD, TEXT_TAGS, NO_TEXT}},
    {"put_user_without_password", ACCESS_USER, 1, EITHER, {TEXT_USER, TEXT_TAGS, NO_TEXT}},
    {"change_password", ACCESS_USER, 2, MUST_BE, {TEXT_USER, TEXT_PASSWORD, NO_TEXT}},
    {"add_user_hash", ACCESS_USER, 2, MUST_NOT_BE, {TEXT_USER, TEXT_PASSWORD, NO_TEXT}},
    {"change_password_hash", ACCESS_USER, 2, MUST_BE, {TEXT_USER, TEXT_PASSWORD, NO_TEXT}},
    {"clear_password", ACCESS_USER, 1, MUST_BE, {TEXT_USER, NO_TEXT}},
    {"set_user_tags", ACCESS_USER, 1, MUST_BE, {TEXT_USER, TEXT_TAGS, NO_TEXT}},
    {"delete_user", ACCESS_USER_GONE, 1, MUST_BE, {TEXT_USER, NO_TEXT}},
    {"add_vhost", ACCESS_VHOST, 1, MUST_BE, {TEXT_VHOST, TEXT_DESCRIPTION, TEXT_TAGS, NO_TEXT}},
    {"put_vhost",
     ACCESS_VHOST,
     1,
     MUST_BE,
     {TEXT_VHOST, TEXT_DESCRIPTION, TEXT_QUEUE_TYPE, TEXT_TAGS, NO_TEXT}},
    {"delete_vhost", ACCESS_VHOST_GONE, 1, MUST_BE, {TEXT_VHOST, NO_TEXT}},
    {"set_permissions",
     ACCESS_PERMISSION,
     5,
     MUST_BE,
     {TEXT_VHOST, TEXT_USER, TEXT_CONFIGURE, TEXT_WRITE, TEXT_READ}},
    {"clear_permissions", ACCESS_PERMISSION_GONE, 2, MUST_BE, {TEXT_VHOST, TEXT_USER, NO_TEXT}},
    {"set_topic_permissions",
     ACCESS_TOPIC,
     5,
     MUST_BE,
     {TEXT_VHOST, TEXT_USER, TEXT_EXCHANGE, TEXT_WRITE, TEXT_READ}},
    {"set_user_limits", ACCESS_USER_LIMITS, 2, MUST_BE, {TEXT_USER, TEXT_LIMITS, NO_TEXT}},
    {"clear_user_limits", ACCESS_USER_LIMITS_GONE, 1, MUST_BE, {TEXT_USER, TEXT_LIMITS, NO_TEXT}},
    {"set_vhost_limits", ACCESS_VHOST_LIMITS, 2, MUST_BE, {TEXT_VHOST, TEXT_LIMITS, NO_TEXT}},
    {"add_vhost_limits", ACCESS_VHOST_LIMIT, 2, MUST_BE, {TEXT_VHOST, TEXT_LIMITS, NO_TEXT}},
    {"clear_vhost_limits", ACCESS_VHOST_LIMITS_GONE, 1, MUST_BE, {TEXT_VHOST, TEXT_LIMITS, NO_TEXT}},
    {"set_global_parameter", ACCESS_GLOBAL, 2, MUST_BE, {TEXT_NAME, TEXT_VALUE, NO_TEXT}},
    {"clear_global_parameter", ACCESS_GLOBAL_GONE, 1, MUST_BE, {TEXT_NAME, NO_TEXT}},
    {"clear_topic_permissions",
     ACCESS_TOPIC_GONE,
     2,
     MUST_BE,
     {TEXT_VHOST, TEXT_USER, TEXT_EXCHANGE, NO_TEXT}},
};

/* of: whose, if not everybody's. columns: what the registrar's lines have. all: the list of everybody's, if
 * nobody is named. */
static const struct list_verb {
    const char *word, *type, *columns;
    enum { OF_ALL, OF_VHOST, OF_USER } of;
    const char *all;
} list_verbs[] = {
    {"list_users", "users", "user\ttags", OF_ALL, NULL},
    {"list_user_hashes", "hashes", "user\tpassword_hash\thashing_algorithm\ttags", OF_ALL, NULL},
    {"list_vhosts", "vhosts", "name\tdescription\ttags\tdefault_queue_type", OF_ALL, NULL},
    {"list_permissions", "permissions", "user\tconfigure\twrite\tread", OF_VHOST, NULL},
    {"list_user_permissions", "user_permissions", "vhost\tconfigure\twrite\tread", OF_USER, NULL},
    {"list_topic_permissions", "topic_permissions", "user\texchange\twrite\tread", OF_VHOST, NULL},
    {"list_user_topic_permissions", "user_topic_permissions", "vhost\texchange\twrite\tread", OF_USER, NULL},
    {"list_all_permissions", "all_permissions", "vhost\tuser\tconfigure\twrite\tread", OF_ALL, NULL},
    {"list_all_topic_permissions", "all_topic_permissions", "vhost\tuser\texchange\twrite\tread", OF_ALL,
     NULL},
    {"list_global_parameters", "globals", "name\tvalue{", OF_ALL, NULL},
    {"list_user_limits", "one_user_limits", "user\tlimits", OF_USER, "user_limits"},
    {"list_vhost_limits", "one_vhost_limits", "vhost\tlimits", OF_VHOST, "vhost_limits"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct op *op_of(enum op_kind kind)
{
    struct op *op = calloc(1, sizeof *op);
    CHECK(op);
    op->kind = kind;
    return op;
}

/* What is kept of his password, and his tags: a line of op->list. NULL: that takes too long. */
static struct op *login_of(struct gannetd *g, struct span user)
{
    struct op *op = op_of(OP_ACCESS_LIST);
    name_set(&op->type, span_str("login"));
    name_set(&op->name, user);
    return control_ask(g, op);
}

/* ---- changes ----------------------------------------------------------------------------------------- */

bool users_hash(struct gannetd *g, struct span password, char text[PASSWORD_TEXT_BYTES])
{
    uint64_t salt[PASSWORD_SALT_BYTES / sizeof(uint64_t)];
    for (unsigned i = 0; i < COUNT(salt); i++)
        salt[i] = prng_next(&g->salts);
    return password_make(text, password, (const uint8_t *)salt);
}

/* The last of the words may be several, with commas between: tags. */
static bool take_texts(const struct change_verb *verb, char *rest, struct access_change *change)
{
    unsigned i = 0;
    for (; rest && i < TEXTS_MAX && verb->texts[i] != NO_TEXT; i++) {
        bool tags = verb->texts[i] == TEXT_TAGS;
        char *word = tags ? rest : strsep(&rest, "\t");
        for (char *tab = word; tags && (tab = strchr(tab, '\t'));)
            *tab = ',';
        change->text[verb->texts[i]] = span_str(word);
        rest = tags ? NULL : rest;
    }
    return i >= verb->optional && !rest;
}

/* What is to be kept of it. False: there is none, and that is said. */
static bool take_password(struct gannetd *g, const struct change_verb *verb, struct span given,
                          char text[PASSWORD_TEXT_BYTES], FILE *out)
{
    char why[256] = "there is no memory to hash the password";
    bool hashed = strcmp(verb->word, "add_user_hash") == 0 ||
                  strcmp(verb->word, "change_password_hash") == 0 || strcmp(verb->word, "put_user_hash") == 0;
    bool ok = hashed ? password_import(text, given, why, sizeof why) : users_hash(g, given, text);
    if (!ok)
        request_error(out, why, "");
    return ok;
}

/* Whether there is such a user: nobody else makes any meanwhile. */
static bool is_there(struct gannetd *g, struct span user)
{
    struct op *op = login_of(g, user);
    bool there = op && op->error == ERR_NONE;
    front_free_answer(op);
    return there;
}

static void send_change(struct gannetd *g, const struct change_verb *verb, const struct access_change *change,
                        FILE *out)
{
    struct span user = change->text[TEXT_USER];
    bool is_new = verb->user == MUST_NOT_BE ||
                  (verb->user == EITHER && (user.len > NAME_MAX_BYTES || !is_there(g, user)));
    struct op *op = op_of(OP_ACCESS_CHANGE);
    op->flags = is_new ? OP_NEW : 0;
    op->arguments = access_pack(change);
    op = control_ask_saying(g, op, out);
    if (op)
        fputs(verb->user != EITHER ? "ok\n" : is_new ? "ok\nnew?\ntrue\n" : "ok\nnew?\nfalse\n", out);
    front_free_answer(op);
}

/* What follows from the verb itself. */
static void complete(const struct change_verb *verb, struct access_change *change)
{
    if (strcmp(verb->word, "clear_password") == 0 || strcmp(verb->word, "put_user_without_password") == 0)
        change->text[TEXT_PASSWORD] = span_str("");
    if ((verb->user == EITHER || strcmp(verb->word, "set_user_tags") == 0) && !access_has(change, TEXT_TAGS))
        change->text[TEXT_TAGS] = span_str("");
}

static void answer_change(struct gannetd *g, const struct change_verb *verb, char *rest, FILE *out)
{
    char password[PASSWORD_TEXT_BYTES];
    struct access_change change = {.kind = verb->kind};
    if (!take_texts(verb, rest, &change)) {
        request_error(out, verb->word, " has too few words, or too many");
        return;
    }
    if (access_has(&change, TEXT_PASSWORD)) {
        if (!take_password(g, verb, change.text[TEXT_PASSWORD], password, out))
            return;
        change.text[TEXT_PASSWORD] = span_str(password);
    }
    complete(verb, &change);
    send_change(g, verb, &change, out);
}

/* ---- lists, authenticate_user ------------------------------------------------------------------------- */

/* Lines of users, what is kept of their passwords, and tags. */
static void put_hashes(const char *lines, FILE *out)
{
    while (*lines) {
        const char *kept = strchr(lines, '\t') + 1;
        struct span text = span_of(kept, strcspn(kept, "\t")), algorithm, hash;
        const char *tags = kept + text.len + 1;
        size_t tags_len = strcspn(tags, "\n");
        password_export(text, &algorithm, &hash);
        fprintf(out, "%.*s%.*s\t%.*s\t%.*s\n", (int)(kept - lines), lines, (int)hash.len,
                (const char *)hash.at, (int)algorithm.len, (const char *)algorithm.at, (int)tags_len, tags);
        lines = tags + tags_len + 1;
    }
}

static void answer_list(struct gannetd *g, const struct list_verb *verb, char *rest, FILE *out)
{
    struct op *op = op_of(OP_ACCESS_LIST);
    struct name *of = verb->of == OF_VHOST ? &op->other : &op->name;
    bool all = verb->of == OF_ALL || (verb->all && !rest);
    name_set(&op->type, span_str(all && verb->all ? verb->all : verb->type));
    if (!all && !request_name(&rest, verb->of == OF_USER ? "the user" : "the virtual host", of, out)) {
        front_free_answer(op);
        return;
    }
    op = control_ask_saying(g, op, out);
    if (op) {
        bool hashes = strcmp(verb->type, "hashes") == 0;
        fprintf(out, "ok\n%s\n%s", verb->columns, op->list && !hashes ? op->list : "");
        if (hashes && op->list)
            put_hashes(op->list, out);
    }
    front_free_answer(op);
}

static struct span kept_of(const struct op *op)
{
    return span_of(op->list, op->list ? strcspn(op->list, "\t\n") : 0);
}

static bool is_local_only(const struct gannetd *g, const char *user)
{
    const struct text_list *users = &g->config->loopback_users;
    for (unsigned i = 0; i < users->count; i++)
        if (strcmp(users->item[i], user) == 0)
            return true;
    return false;
}

/* The stamp is of the name, too: two users may have been given the same hash. */
static void tell_stamp(const struct gannetd *g, const char *user, const struct op *op, FILE *out)
{
    uint8_t digest[PASSWORD_DIGEST_BYTES];
    struct span kept = kept_of(op);
    password_digest(digest, g->secret, kept, span_str(user));
    fputs("ok\nstamp\ttags\tlocal_only?\n", out);
    for (size_t i = 0; i < sizeof digest; i++)
        fprintf(out, "%02x", digest[i]);
    const char *tags = op->list && op->list[kept.len] ? op->list + kept.len + 1 : "";
    fprintf(out, "\t%.*s\t%s\n", (int)strcspn(tags, "\n"), tags, is_local_only(g, user) ? "true" : "false");
}

enum login_word { AUTHENTICATE, STAMP, LOGIN };

/* It takes as long for who isn't there. */
static void tell_login(const struct gannetd *g, enum login_word word, const char *user, const char *password,
                       const struct op *op, FILE *out)
{
    bool known = op->error == ERR_NONE;
    struct span kept = known ? kept_of(op) : span_str(password_decoy());
    if (!known && word != LOGIN)
        request_refused(out, op);
    else if (word == STAMP)
        tell_stamp(g, user, op, out);
    else if (!password || !password_fits(kept, span_str(password)) || !*password || !known)
        request_error(out, "this is not the password of the user", "");
    else if (word == LOGIN)
        tell_stamp(g, user, op, out);
    else
        fputs("ok\n", out);
}

/* Whether that user is there. If not, that is said. */
static bool must_be(struct gannetd *g, struct span user, FILE *out)
{
    struct op *op = login_of(g, user);
    bool there = op && op->error == ERR_NONE;
    if (op && !there)
        request_refused(out, op);
    else if (!op)
        request_too_late(out);
    front_free_answer(op);
    return there;
}

/* One that is named twice is gone by then. */
static bool must_go(struct gannetd *g, struct span user, FILE *out)
{
    struct access_change gone = {.kind = ACCESS_USER_GONE, .text[TEXT_USER] = user};
    struct op *op = op_of(OP_ACCESS_CHANGE);
    op->arguments = access_pack(&gone);
    op = control_ask(g, op);
    bool ok = op && (op->error == ERR_NONE || op->error == ERR_NOT_FOUND);
    if (op && !ok)
        request_refused(out, op);
    else if (!op)
        request_too_late(out);
    front_free_answer(op);
    return ok;
}

/* All must be there before any goes; nobody else deletes one meanwhile. */
static void delete_users(struct gannetd *g, const char *names, FILE *out)
{
    bool (*const steps[])(struct gannetd *, struct span, FILE *) = {must_be, must_go};
    for (unsigned i = 0; i < COUNT(steps); i++)
        for (const char *name = names; name; name = strchr(name, '\t') ? strchr(name, '\t') + 1 : NULL) {
            struct span user = span_of(name, strcspn(name, "\t"));
            if (user.len > NAME_MAX_BYTES) {
                request_error(out, "a user's name is longer than 255 bytes", "");
                return;
            }
            if (!steps[i](g, user, out))
                return;
        }
    fputs("ok\n", out);
}

static bool answer_login(struct gannetd *g, const char *verb, size_t len, char *rest, FILE *out)
{
    static const char *const words[] = {"authenticate_user", "stamp", "login"};
    struct name user;
    enum login_word word = AUTHENTICATE;
    while (word < COUNT(words) && (strlen(words[word]) != len || memcmp(words[word], verb, len) != 0))
        word++;
    if (word == COUNT(words))
        return false;
    const char *name = rest;
    if (!request_name(&rest, "the user", &user, out))
        return true;
    struct op *op = login_of(g, span_str(name));
    if (op)
        tell_login(g, word, name, rest, op, out);
    else
        request_too_late(out);
    front_free_answer(op);
    return true;
}

bool users_answer(struct gannetd *g, char *request, FILE *out)
{
    static const char all_of[] = "delete_users";
    size_t len = strcspn(request, "\t");
    char *rest = request[len] ? request + len + 1 : NULL;
    for (size_t i = 0; i < COUNT(change_verbs); i++)
        if (strlen(change_verbs[i].word) == len && memcmp(request, change_verbs[i].word, len) == 0) {
            answer_change(g, &change_verbs[i], rest, out);
            return true;
        }
    for (size_t i = 0; i < COUNT(list_verbs); i++)
        if (strlen(list_verbs[i].word) == len && memcmp(request, list_verbs[i].word, len) == 0) {
            answer_list(g, &list_verbs[i], rest, out);
            return true;
        }
    if (strlen(all_of) == len && memcmp(request, all_of, len) == 0) {
        delete_users(g, rest, out);
        return true;
    }
    return answer_login(g, request, len, rest, out);
}
