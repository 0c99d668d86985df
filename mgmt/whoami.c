/* Who calls, and how logins went. */
#include <sys/random.h>

#include "counters.h"
#include "handlers.h"
#include "listing.h"
#include "login.h"
#include "router/password.h"

void answer_whoami(const struct call *call, struct reply *reply)
{
    static const struct column columns[] = {{"name"}, {"tags", COLUMN_WORDS}};
    char *cells[][TABLE_COLUMNS_MAX] = {{(char *)"name", (char *)"tags"},
                                        {(char *)call->caller.name, (char *)call->caller.tags}};
    const struct table table = {.cell = cells, .rows = 2, .columns = 2};
    const struct rows rows = {call->mgmtd, &table, columns, 2};
    reply_json(reply, rows_object(&rows, 1, NULL));
}

/* RabbitMQ's page asks for it: there is no login but by password. */
void answer_auth(const struct call *call, struct reply *reply)
{
    (void)call;
    reply_json(reply, json_pack("{sb,ss,ss}", "enable_uaa", 0, "uaa_client_id", "", "uaa_location", ""));
}

static json_t *attempts_of(const char *protocol, uint64_t right, uint64_t wrong)
{
    return json_pack("{ss,sI,sI,sI}", "protocol", protocol, "auth_attempts", (json_int_t)(right + wrong),
                     "auth_attempts_failed", (json_int_t)wrong, "auth_attempts_succeeded", (json_int_t)right);
}

/* The broker counts those of all its protocols together, since it has begun. */
static bool broker_counts(const struct call *call, struct login_counts *counts, struct reply *reply)
{
    struct shm shm;
    if (!node_is_here(call, reply) || !counters_open(call, reply, &shm))
        return false;
    *counts = (struct login_counts){counters_sum(&shm, "front.logins"), counters_sum(&shm, "front.refused")};
    shm_close(&shm);
    return true;
}

void answer_attempts(const struct call *call, struct reply *reply)
{
    struct login_counts http, broker;
    if (!broker_counts(call, &broker, reply))
        return;
    http = logins_counts(call->mgmtd->logins, &broker);
    reply_json(reply, json_pack("[o,o]", attempts_of("http", http.right, http.wrong),
                                attempts_of("amqp, mqtt, stomp", broker.right, broker.wrong)));
}

void forget_attempts(const struct call *call, struct reply *reply)
{
    struct login_counts broker;
    if (!broker_counts(call, &broker, reply))
        return;
    logins_forget_counts(call->mgmtd->logins, broker);
    reply_done(reply, false);
}

/* As RabbitMQ hashes them: a file with it can go there, too. */
void hash_password(const struct call *call, struct reply *reply)
{
    char text[PASSWORD_TEXT_BYTES];
    uint8_t salt[PASSWORD_QUICK_SALT_BYTES];
    struct span algorithm, hash;
    if (getrandom(salt, sizeof salt, 0) != sizeof salt) {
        reply_error(reply, 503, "there is no salt to be had");
        return;
    }
    password_make_quick(text, span_str(call->argument[0]), salt);
    password_export(span_str(text), &algorithm, &hash);
    reply_json(reply, json_pack("{ss%}", "ok", hash.at, hash.len));
}
